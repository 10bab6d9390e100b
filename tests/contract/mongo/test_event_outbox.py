"""Outboxes in memory and in MongoDB keep what `EventOutbox` promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orders.adapters.contracts.events.event_outbox import TRACE, EventOutboxContract
from orders.adapters.contracts.events.waiting_samples import (
    FAR_AWAY,
    LEASE,
    ONE,
    OTHER,
    claim,
    claim_for,
    keep,
    left,
    new_events,
    nothing,
    one_more_event,
)
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.in_memory import (
    FixedClock,
    FixedTraceContext,
    InMemoryOrders,
    InMemoryPublisher,
)
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Collection, Database, open_mongo
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.relay_events import RelayEvents
from tests.support.database.database_commands import RoundTrips


class TestInMemoryOutbox(EventOutboxContract):
    @pytest.fixture
    def orders(self) -> InMemoryOrders:
        return InMemoryOrders(trace_context=FixedTraceContext(TRACE))

    @pytest.fixture
    def outbox(self, orders: InMemoryOrders) -> InMemoryOrders:
        return orders

    @pytest.fixture
    def lost_outbox(self) -> InMemoryOrders:
        outbox = InMemoryOrders()
        outbox.unavailable = True
        return outbox


class TestMongoOutbox(EventOutboxContract):
    @pytest.fixture
    def orders(self, database: Database) -> MongoOrders:
        return MongoOrders(database, trace_context=FixedTraceContext(TRACE))

    @pytest.fixture
    def outbox(self, database: Database) -> MongoOutbox:
        return MongoOutbox(database)

    @pytest.fixture
    def lost_outbox(self, lost_database: Database) -> MongoOutbox:
        return MongoOutbox(lost_database)


class Interrupted:
    """A collection in which something happens after the first update."""

    def __init__(self, collection: Collection, happen: Callable[[], Awaitable[None]]) -> None:
        self._collection = collection
        self._happen: Callable[[], Awaitable[None]] | None = happen

    async def update_many(self, *told: Any) -> Any:
        result = await self._collection.update_many(*told)
        if self._happen is not None:
            happen, self._happen = self._happen, None
            await happen()
        return result


async def test_an_order_without_new_events_does_not_wait_for_a_relay(database: Database) -> None:
    orders, outbox = MongoOrders(database), MongoOutbox(database)
    waiting = await new_events(orders, outbox)
    await one_more_event(orders, waiting.order_id)
    (again,) = await claim(outbox, NOW + LEASE)
    await keep(outbox, again, {ONE: nothing()})

    await outbox.remove({waiting.order_id: 3})  # by a relay whose lease was over

    assert await claim(outbox, NOW + LEASE) == []
    assert (await MongoBacklog(database).measure(now=NOW)).new.waiting_orders == 0
    (lacking,) = await claim_for(ONE, outbox)
    assert [event.recorded.sequence for event in lacking.events] == [4]


async def test_one_publisher_may_catch_up_in_the_middle_of_the_other(database: Database) -> None:
    outbox = MongoOutbox(database)
    waiting = await new_events(MongoOrders(database), outbox)
    await keep(outbox, waiting, {ONE: nothing(), OTHER: nothing()})
    done = {waiting.order_id: 3}
    slow: Any = MongoOutbox(database)
    slow._orders = Interrupted(slow._orders, lambda: outbox.confirm(OTHER, done))

    await slow.confirm(ONE, done)

    assert await left(outbox, waiting.order_id) == []
    for publisher in (ONE, OTHER):
        assert await claim_for(publisher, outbox, FAR_AWAY + NOW) == []


async def test_a_turn_of_the_relay_is_six_round_trips_however_many_orders_it_has(
    database: Database, database_uri: str
) -> None:
    trips = RoundTrips()
    async with open_mongo(
        database_uri, database=database.name, timeout_seconds=30, listeners=[trips]
    ) as counted:
        orders, broker, other = MongoOrders(counted), InMemoryPublisher(), InMemoryPublisher()
        for number in range(60):
            order = a_new_order()
            if number % 2:
                order.hold("address", by=STAFF, now=NOW)
            await orders.add(order)
        trips.sent.clear()
        outbox, log = MongoOutbox(counted), MongoEventLog(counted)
        relay = RelayEvents(outbox, log, {"rabbitmq": broker, "kafka": other}, FixedClock(NOW))

        relayed = await relay(limit=100)
        assert (relayed.events, len(broker.published), len(other.published)) == (90, 90, 90)
        # Claim (find, mark, read), log, and a removal for each length that outboxes have.
        assert trips.sent == ["find", "update", "find", "insert", "update", "update"]

        await orders.add(a_new_order())
        broker.unavailable = True
        trips.sent.clear()
        await relay(limit=100)
        assert trips.sent == ["find", "update", "find", "insert", "update"]
        assert (len(broker.published), len(other.published)) == (90, 91)
