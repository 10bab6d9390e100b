"""What is acknowledged is at a majority, whatever the primary alone says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from bson import ObjectId

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDERS
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.errors import (
    ConcurrentUpdate,
    DuplicateOrder,
    OrderNotFound,
    StoreUnavailable,
)
from tests.support.database.database_commands import RoundTrips
from tests.support.database.failing_database import NO_MAJORITY, FailPoint
from tests.support.database.faulty_proxy import ForgetfulProxy

LEASE = timedelta(seconds=30)


@pytest.fixture
def trips() -> RoundTrips:
    return RoundTrips()


@pytest.fixture
async def way(
    proxy: ForgetfulProxy, database_name: str, trips: RoundTrips
) -> AsyncIterator[Database]:
    async with open_mongo(proxy.uri, database=database_name, listeners=[trips]) as opened:
        yield opened


async def test_a_duplicate_that_no_majority_has_is_no_duplicate_yet(
    database: Database, point: FailPoint
) -> None:
    """The server tells of both, and the driver's error for one document holds only the first."""
    orders = MongoOrders(database)
    order = a_new_order()
    point.fail("insert", writeConcernError=NO_MAJORITY)

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await orders.add(order)

    point.off()
    with pytest.raises(DuplicateOrder):
        await orders.add(order)


@pytest.mark.parametrize("write", ["insert", "update"])
async def test_a_write_whose_answer_was_lost_is_ours_once_a_majority_has_it(
    way: Database, proxy: ForgetfulProxy, write: str, retries_writes: bool
) -> None:
    orders = MongoOrders(way)
    order = a_new_order()
    if write == "update":
        await orders.add(order)
        order.hold("address", by=STAFF, now=NOW)
    proxy.lose_next_answers(write)
    proxy.hide_from_majority()

    with pytest.raises(StoreUnavailable, match="majority" if retries_writes else None):
        await (orders.save(order) if write == "update" else orders.add(order))

    assert proxy.lost == 1
    assert order.version == (write == "update")


@pytest.mark.parametrize("behind", [1, 2, 3])
async def test_a_majority_that_is_a_moment_behind_is_waited_for(
    way: Database, proxy: ForgetfulProxy, trips: RoundTrips, behind: int
) -> None:
    orders = MongoOrders(way)
    await orders.add(order := a_new_order())
    proxy.hide_from_majority(behind)
    trips.sent.clear()

    assert (await orders.get_durable(order.id)).state == order.state

    # One of them asks whether there is such an order at all.
    assert trips.sent == ["find"] * (behind + 2)


async def test_a_version_that_another_write_has_made_is_not_saved_over(database: Database) -> None:
    """As after the loss of the server that had the first: the numbers are given anew."""
    orders = MongoOrders(database)
    await orders.add(order := a_new_order())
    seen = [await orders.get(order.id), await orders.get_durable(order.id), order]
    await database[ORDERS].update_one({"_id": order.id}, {"$set": {"write_token": ObjectId()}})

    for each in seen:
        each.hold("address", by=STAFF, now=NOW)
        with pytest.raises(ConcurrentUpdate):
            await orders.save(each)

    assert (await orders.get(order.id)).state.holds == ()


async def test_what_is_nowhere_is_not_waited_for(way: Database, trips: RoundTrips) -> None:
    with pytest.raises(OrderNotFound):
        await MongoOrders(way).get_durable(a_new_order().id)

    assert trips.sent == ["find", "find"]


async def test_claims_give_what_a_majority_has(way: Database, proxy: ForgetfulProxy) -> None:
    """What is claimed is told to the world: it must not be undone then."""
    orders, outbox = MongoOrders(way), MongoOutbox(way)
    await orders.add(order := a_new_order())
    proxy.hide_from_majority(2)

    assert await outbox.claim(now=NOW, lease=LEASE, limit=9) == []
    later = order.state.expires_at
    assert await orders.claim_scheduled(now=later, lease=LEASE, limit=9) == []

    assert len(await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=9)) == 1
    assert await orders.claim_scheduled(now=later + LEASE, lease=LEASE, limit=9) == [order.id]


@pytest.mark.parametrize("logged", [0, 2])
async def test_events_that_no_majority_has_are_not_logged(
    database: Database, point: FailPoint, logged: int
) -> None:
    """Also where the server refuses the first of them, as that is logged already."""
    events = logged_events()[:4]
    await MongoEventLog(database).append(events[:logged])
    point.fail("insert", writeConcernError=NO_MAJORITY)

    with pytest.raises(StoreUnavailable, match="majority"):
        await MongoEventLog(database).append(events)

    point.off()
    await MongoEventLog(database).append(events)
    feed = await MongoEventLog(database).after(0, tenant="shop", limit=10)
    said = [(each.position, each.recorded.sequence) for each in feed.events]
    assert said == [(n, n) for n in range(1, 5)]
