"""What a broker refuses for good is parked after some tries, and holds up its own order only."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest

from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.adapters.in_memory import (
    FixedClock,
    InMemoryEventLog,
    InMemoryOrders,
    InMemoryPublisher,
)
from orders.adapters.messages import encode
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.ports import EventLog, EventOutbox, OrderRepository
from orders.application.publisher_queue import RELAY_LEASE
from orders.application.relay_events import RelayEvents
from orders.domain.identifiers import OrderId

LONG = "x" * 60
SECONDS = (2, 4, 8, 16)
"""From a refusal to the next try."""

Store = tuple[OrderRepository, EventOutbox, EventLog]


class Turn(NamedTuple):
    confirmed: int = 0
    parked: tuple[OrderId, ...] = ()


class Relay:
    """A relay at a time of the test's choosing, to a broker that takes short messages only."""

    def __init__(self, store: Store) -> None:
        self.orders, self.outbox, log = store
        self.clock = FixedClock(NOW)
        self.broker = InMemoryPublisher(max_bytes=0)
        self.other = InMemoryPublisher()
        publishers = {"rabbitmq": self.broker, "kafka": self.other}
        self._relay = RelayEvents(self.outbox, log, publishers, self.clock)

    async def turn(self, *, after_seconds: float = 0) -> Turn:
        """What the broker has confirmed, and whose events were parked for it."""
        self.clock.advance(timedelta(seconds=after_seconds))
        relayed = [await self._relay(limit=100)]
        relayed += [await queue.send_waiting(limit=100) for queue in self._relay.queues]
        return Turn(
            confirmed=sum(each.published.get("rabbitmq", 0) for each in relayed),
            parked=tuple(order_id for each in relayed for order_id in each.parked),
        )

    async def an_order_with_a_large_event(self) -> OrderId:
        """Its second event of three is what the broker refuses from now on."""
        await self.orders.add(order := a_new_order())
        order.hold("short", by=STAFF, now=NOW)
        order.hold(LONG, by=STAFF, now=NOW)
        order.release("1", by=STAFF, now=NOW)
        await self.orders.save(order)
        events = (await self.outbox.waiting_of(order.id)).events
        sizes = [len(encode(event)) for event in events]
        assert sizes.index(max(sizes)) == 2
        self.broker.max_bytes = max(sizes) - 1
        return order.id

    def got(self, order_id: OrderId) -> list[int]:
        return [e.recorded.sequence for e in self.broker.published if e.order_id == order_id]


class RelayingToABrokerThatRefuses:
    """The tests; each starts with an empty store."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def relay(self, store: Store) -> Relay:
        return Relay(store)

    async def test_is_tried_five_times_at_growing_distances_and_then_parked(
        self, relay: Relay
    ) -> None:
        bad = await relay.an_order_with_a_large_event()

        assert await relay.turn() == Turn(confirmed=2)
        for seconds in SECONDS[:-1]:
            assert await relay.turn(after_seconds=seconds - 0.001) == Turn()
            assert await relay.turn(after_seconds=0.001) == Turn()
            assert await relay.outbox.parked(limit=9) == []
        assert await relay.turn(after_seconds=SECONDS[-1]) == Turn(parked=(bad,))

        assert relay.got(bad) == [1, 2]
        (parked,) = await relay.outbox.parked(limit=9)
        assert (parked.publisher, parked.order_id) == ("rabbitmq", bad)
        assert (parked.first, parked.waiting) == (3, 2)
        assert (parked.reason, parked.parked_at) == ("too-large", relay.clock())
        assert await relay.turn(after_seconds=86_400) == Turn()

    async def test_the_other_publisher_gets_it_at_once(self, relay: Relay) -> None:
        bad = await relay.an_order_with_a_large_event()
        await relay.turn()

        assert [e.recorded.sequence for e in relay.other.published] == [1, 2, 3, 4]
        for seconds in SECONDS:
            await relay.turn(after_seconds=seconds)
        order = await relay.orders.get(bad)
        order.add_note("Meanwhile", by=STAFF, now=NOW)
        await relay.orders.save(order)
        await relay.turn(after_seconds=60)

        assert [e.recorded.sequence for e in relay.other.published] == [1, 2, 3, 4, 5]
        assert relay.got(bad) == [1, 2]

    async def test_others_go_on_meanwhile(self, relay: Relay) -> None:
        await relay.an_order_with_a_large_event()
        for seconds in (0, *SECONDS):
            await relay.orders.add(other := a_new_order())
            await relay.turn(after_seconds=seconds)
            assert relay.got(other.id) == [1]

    async def test_is_sent_in_order_once_someone_has_mended_it(self, relay: Relay) -> None:
        bad = await relay.an_order_with_a_large_event()
        for seconds in (0, *SECONDS):
            await relay.turn(after_seconds=seconds)
        order = await relay.orders.get(bad)
        order.add_note("Meanwhile", by=STAFF, now=NOW)
        await relay.orders.save(order)
        assert await relay.turn(after_seconds=60) == Turn()

        relay.broker.max_bytes *= 2
        assert await relay.outbox.resend(bad, "rabbitmq")

        assert await relay.turn() == Turn(confirmed=3)
        assert len(relay.other.published) == 5
        assert relay.got(bad) == [1, 2, 3, 4, 5]

    async def test_an_outage_parks_nothing_however_long(self, relay: Relay) -> None:
        relay.broker.max_bytes = 1_000_000
        await relay.orders.add(order := a_new_order())
        relay.broker.unavailable = True

        for _ in range(50):
            assert await relay.turn(after_seconds=1) == Turn()

        relay.broker.unavailable = False
        assert await relay.turn(after_seconds=8) == Turn(confirmed=1)
        assert relay.got(order.id) == [1]

    async def test_what_a_dead_relay_had_claimed_is_sent_after_its_lease(
        self, relay: Relay
    ) -> None:
        relay.broker.max_bytes = 1_000_000
        await relay.orders.add(order := a_new_order())
        await relay.outbox.claim(now=NOW, lease=RELAY_LEASE, limit=1)
        await relay.orders.add(a_new_order())

        assert await relay.turn() == Turn(confirmed=1)
        assert await relay.turn(after_seconds=RELAY_LEASE.total_seconds()) == Turn(confirmed=1)
        assert relay.got(order.id) == [1]


class TestInMemory(RelayingToABrokerThatRefuses):
    @pytest.fixture
    def store(self) -> Store:
        orders = InMemoryOrders()
        return orders, orders, InMemoryEventLog()


class TestMongo(RelayingToABrokerThatRefuses):
    @pytest.fixture
    def store(self, database: Database) -> Store:
        return MongoOrders(database), MongoOutbox(database), MongoEventLog(database)
