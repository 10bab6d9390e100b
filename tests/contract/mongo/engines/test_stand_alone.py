"""The contracts on a stand-alone server: it has no replica set, and no retryable writes.

`make databases` runs all tests of this folder there, and on other engines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from orders.adapters.contracts.events.event_log import EventLogContract
from orders.adapters.contracts.events.event_outbox import TRACE, EventOutboxContract
from orders.adapters.contracts.order_repository import OrderRepositoryContract
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.contracts.work_backlog import WorkBacklogContract
from orders.adapters.in_memory import FixedTraceContext
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDER_EVENTS, ORDERS
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.migration import migrate
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.errors import ConcurrentUpdate, DuplicateOrder, StoreUnavailable
from orders.entrypoints.sandbox.database import embedded_database
from tests.support.database.failing_database import (
    NO_MAJORITY,
    FailPoint,
    fail_point,
    stand_alone_database_command,
)
from tests.support.database.faulty_proxy import ForgetfulProxy

NAME = "stand_alone"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("secantus", reason="the stand-alone server is SecantusDB's")
    data = tmp_path_factory.mktemp("alone") / "data"
    with embedded_database(data, command=stand_alone_database_command) as uri:
        asyncio.run(migrate(uri, database=NAME))
        yield uri


@pytest.fixture
async def alone(server: str) -> AsyncIterator[Database]:
    async with open_mongo(server, database=NAME, timeout_seconds=30) as opened:
        for collection in (ORDERS, ORDER_EVENTS):
            await opened[collection].delete_many({})
        yield opened


@pytest.fixture
async def way(server: str) -> AsyncIterator[ForgetfulProxy]:
    async with ForgetfulProxy(server) as running:
        yield running


@pytest.fixture
async def far(way: ForgetfulProxy, alone: Database) -> AsyncIterator[MongoOrders]:
    async with open_mongo(way.uri, database=NAME, timeout_seconds=5) as opened:
        yield MongoOrders(opened)


@pytest.fixture
def point_there(server: str) -> Iterator[FailPoint]:
    with fail_point(server) as found:
        yield found


class TestOrders(OrderRepositoryContract):
    @pytest.fixture
    def orders(self, alone: Database) -> MongoOrders:
        return MongoOrders(alone)

    @pytest.fixture
    def lost_orders(self, lost_database: Database) -> MongoOrders:
        return MongoOrders(lost_database)

    @pytest.fixture
    def lone_orders(
        self, far: MongoOrders, way: ForgetfulProxy, point_there: FailPoint
    ) -> MongoOrders:
        way.hide_from_majority()
        point_there.fail("insert", "update", writeConcernError=NO_MAJORITY)
        return far


class TestOutbox(EventOutboxContract):
    @pytest.fixture
    def orders(self, alone: Database) -> MongoOrders:
        return MongoOrders(alone, trace_context=FixedTraceContext(TRACE))

    @pytest.fixture
    def outbox(self, alone: Database) -> MongoOutbox:
        return MongoOutbox(alone)

    @pytest.fixture
    def lost_outbox(self, lost_database: Database) -> MongoOutbox:
        return MongoOutbox(lost_database)


class TestEventLog(EventLogContract):
    @pytest.fixture
    def log(self, alone: Database) -> MongoEventLog:
        return MongoEventLog(alone)

    @pytest.fixture
    async def same_log(self, alone: Database, server: str) -> AsyncIterator[MongoEventLog]:
        async with open_mongo(server, database=NAME, timeout_seconds=30) as again:
            yield MongoEventLog(again)

    @pytest.fixture
    def lost_log(self, lost_database: Database) -> MongoEventLog:
        return MongoEventLog(lost_database)


class TestBacklog(WorkBacklogContract):
    @pytest.fixture
    def orders(self, alone: Database) -> MongoOrders:
        return MongoOrders(alone)

    @pytest.fixture
    def outbox(self, alone: Database) -> MongoOutbox:
        return MongoOutbox(alone)

    @pytest.fixture
    def backlog(self, alone: Database) -> MongoBacklog:
        return MongoBacklog(alone)

    @pytest.fixture
    def lost_backlog(self, lost_database: Database) -> MongoBacklog:
        return MongoBacklog(lost_database)


async def test_nothing_is_sent_again_and_nothing_is_done_twice(
    far: MongoOrders, way: ForgetfulProxy
) -> None:
    """Whoever called is told to try again; what was stored by then is told apart."""
    order = a_new_order()
    way.lose_next_answers("insert")
    with pytest.raises(StoreUnavailable):
        await far.add(order)
    with pytest.raises(DuplicateOrder):
        await far.add(order)

    order = await far.get(order.id)
    order.hold("address", by=STAFF, now=NOW)
    way.lose_next_answers("update")
    with pytest.raises(StoreUnavailable):
        await far.save(order)
    with pytest.raises(ConcurrentUpdate):
        await far.save(order)

    assert way.lost == 2
    assert len((await far.get(order.id)).state.holds) == 1
