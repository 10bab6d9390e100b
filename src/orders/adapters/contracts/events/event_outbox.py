"""What every `EventOutbox` promises, with the `OrderRepository` that fills it. Subclass this suite
and provide your adapters:

    class TestMyOutbox(EventOutboxContract):
        @pytest.fixture
        async def orders(self) -> OrderRepository: ...

        @pytest.fixture
        async def outbox(self, orders) -> EventOutbox: ...

        @pytest.fixture
        async def lost_outbox(self) -> EventOutbox: ...

`orders` stores `TRACE` as the traceparent of every event. The publishers are named `rabbitmq` and
`kafka`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.contracts.events.held_back_events import HeldBackEvents
from orders.adapters.contracts.events.lagging_publishers import LaggingPublishers
from orders.adapters.contracts.samples import CUSTOMER, LATER, NOW, STAFF, a_new_order
from orders.application.errors import ConcurrentUpdate, DuplicateOrder, StoreUnavailable
from orders.application.ports import KeptEvents, LoggedEvent, WaitingEvents
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from orders.application.ports import EventOutbox, OrderRepository

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LEASE = timedelta(seconds=30)
OUTAGE_SECONDS = 2.0


class EventOutboxContract(LaggingPublishers, HeldBackEvents):
    """The suite. Each test starts with an empty store."""

    @pytest.fixture
    def orders(self) -> OrderRepository:
        """An empty repository over the same store."""
        raise NotImplementedError("override the fixture `orders`")

    @pytest.fixture
    def outbox(self) -> EventOutbox:
        """The outbox under test."""
        raise NotImplementedError("override the fixture `outbox`")

    @pytest.fixture
    def lost_outbox(self) -> EventOutbox:
        """An outbox whose store does not respond."""
        raise NotImplementedError("override the fixture `lost_outbox`")

    # -- filling ----------------------------------------------------------------------------

    async def test_holds_every_event_of_an_order_in_sequence(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = await _a_saved_order(orders)

        waiting = (await outbox.waiting_of(expected[0].order_id)).events

        assert list(waiting) == expected
        assert [event.recorded.sequence for event in waiting] == [1, 2, 3, 4]

    async def test_a_refused_write_stores_no_event(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        await orders.add(order := a_new_order())
        stale = await orders.get(order.id)
        order.hold("first", by=STAFF, now=NOW)
        await orders.save(order)
        stale.hold("second", by=STAFF, now=NOW)

        with pytest.raises(ConcurrentUpdate):
            await orders.save(stale)
        with pytest.raises(DuplicateOrder):
            await orders.add(a_new_order(order_id=order.id))

        assert await _left(outbox, order.id) == [1, 2]

    async def test_a_change_without_an_event_stores_none(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        await orders.add(order := a_new_order())
        operation = order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
        await orders.save(order)
        await outbox.remove({order.id: 2})

        order.record_unknown_outcome(operation.key, now=NOW)
        await orders.save(order)

        assert await _claimed(outbox) == []

    async def test_returns_no_event_of_an_unknown_order(self, outbox: EventOutbox) -> None:
        assert await _left(outbox, OrderId(uuid4())) == []
        await outbox.remove({OrderId(uuid4()): 1})

    # -- claiming ---------------------------------------------------------------------------

    async def test_claims_the_events_of_each_order_in_sequence(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = [await _a_saved_order(orders) for _ in range(3)]

        claimed = await outbox.claim(now=NOW, lease=LEASE, limit=10)

        by_order = {each.order_id: list(each.events) for each in claimed}
        assert by_order == {events[0].order_id: events for events in expected}

    async def test_claims_at_most_the_limit_of_orders(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        ids = [(await _a_saved_order(orders))[0].order_id for _ in range(5)]

        first = await _claimed(outbox, limit=3)
        second = await _claimed(outbox, limit=3)

        assert (len(first), len(second)) == (3, 2)
        assert sorted(first + second) == sorted(ids)

    async def test_concurrent_claims_get_the_new_events_of_each_order_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        ids = [(await _a_saved_order(orders))[0].order_id for _ in range(10)]

        claims = await asyncio.gather(*(_claimed(outbox) for _ in range(10)))

        assert sorted(order_id for claim in claims for order_id in claim) == sorted(ids)

    async def test_a_claim_lasts_as_long_as_its_lease(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = await _a_saved_order(orders)
        tick = timedelta(milliseconds=1)
        await _claimed(outbox)

        assert await _claimed(outbox, now=NOW + LEASE - tick) == []
        (again,) = await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=10)
        assert list(again.events) == expected
        assert await _claimed(outbox, now=NOW + LEASE) == []

    async def test_an_event_stored_during_a_claim_does_not_end_the_claim(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = await _a_saved_order(orders)
        await _claimed(outbox)
        order = await orders.get(expected[0].order_id)
        order.add_note("Meanwhile", by=STAFF, now=LATER)
        await orders.save(order)

        assert await _claimed(outbox) == []
        (batch,) = await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=10)
        assert [event.recorded.sequence for event in batch.events] == [1, 2, 3, 4, 5]

    async def test_claiming_and_removing_change_no_version(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        await orders.add(order := a_new_order())

        await _claimed(outbox)
        assert (await orders.get(order.id)).state == order.state
        await outbox.remove({order.id: 1})

        assert (await orders.get(order.id)).state == order.state
        order.add_note("Still mine to change", by=STAFF, now=NOW)
        await orders.save(order)

    # -- removing ---------------------------------------------------------------------------

    async def test_removed_events_are_never_claimed_again(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = await _a_saved_order(orders)
        order_id = expected[0].order_id
        await _claimed(outbox)

        await outbox.remove({order_id: 4})
        await outbox.remove({order_id: 4})

        assert await _left(outbox, order_id) == []
        assert await _claimed(outbox, now=NOW + 2 * LEASE) == []

    async def test_events_stored_meanwhile_stay_and_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        expected = await _a_saved_order(orders)
        order_id = expected[0].order_id
        await _claimed(outbox)
        order = await orders.get(order_id)
        order.add_note("Meanwhile", by=STAFF, now=LATER)
        await orders.save(order)

        await outbox.remove({order_id: 4})

        (batch,) = await outbox.claim(now=NOW, lease=LEASE, limit=10)
        assert [event.recorded.sequence for event in batch.events] == [5]

    async def test_removes_the_events_of_many_orders_up_to_a_number_each(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        ids = [(await _a_saved_order(orders))[0].order_id for _ in range(5)]
        await _claimed(outbox)

        await outbox.remove(dict(zip(ids, [4, 2, 4, 3, 2], strict=True)))

        left = [await _left(outbox, each) for each in ids]
        assert left == [[], [3, 4], [], [4], [3, 4]]
        assert sorted(await _claimed(outbox)) == sorted([ids[1], ids[3], ids[4]])

    async def test_a_late_retry_of_a_removal_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        order_id = (await _a_saved_order(orders))[0].order_id
        order = await orders.get(order_id)
        await outbox.remove({order_id: 4})
        order.add_note("Later", by=STAFF, now=LATER)
        await orders.save(order)
        await outbox.remove({order_id: 5})

        await outbox.remove({order_id: 4})

        assert await _claimed(outbox, now=NOW + LEASE) == []
        order.add_note("Later still", by=STAFF, now=LATER)
        await orders.save(order)
        assert await _claimed(outbox) == [order_id]

    # -- outages ----------------------------------------------------------------------------

    async def test_raises_in_time_if_the_store_does_not_respond(
        self, lost_outbox: EventOutbox
    ) -> None:
        (event,) = logged_events()[:1]
        waiting = WaitingEvents(order_id=event.order_id, events=[event])
        kept = KeptEvents(order_id=event.order_id, first=1, last=1)
        calls: list[Awaitable[object]] = [
            lost_outbox.claim(now=NOW, lease=LEASE, limit=1),
            lost_outbox.remove({OrderId(uuid4()): 1}),
            lost_outbox.keep([kept]),
            lost_outbox.claim_for("kafka", now=NOW, lease=LEASE, limit=1),
            lost_outbox.confirm("kafka", {OrderId(uuid4()): 1}),
            lost_outbox.defer("kafka", [waiting], until=NOW),
            lost_outbox.park("kafka", waiting, reason="too-large", now=NOW),
            lost_outbox.parked(limit=1),
            lost_outbox.resend(OrderId(uuid4()), "kafka"),
            lost_outbox.unreadable(limit=1),
            lost_outbox.waiting_of(OrderId(uuid4())),
        ]

        async with asyncio.timeout(OUTAGE_SECONDS):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(calls)


async def _a_saved_order(orders: OrderRepository) -> list[LoggedEvent]:
    """Store an order in three writes, and return its events."""
    order = a_new_order()
    recorded = [*order.new_events]
    await orders.add(order)
    order.hold("address", by=STAFF, now=NOW)
    order.add_note("Asked", by=STAFF, now=LATER)
    recorded += order.new_events
    await orders.save(order)
    order.release("1", by=STAFF, now=LATER)
    recorded += order.new_events
    await orders.save(order)
    return [
        LoggedEvent(tenant="shop", order_id=order.id, recorded=each, traceparent=TRACE)
        for each in recorded
    ]


async def _left(outbox: EventOutbox, order_id: OrderId) -> list[int]:
    return [each.recorded.sequence for each in (await outbox.waiting_of(order_id)).events]


async def _claimed(outbox: EventOutbox, *, now: datetime = NOW, limit: int = 100) -> list[OrderId]:
    return [each.order_id for each in await outbox.claim(now=now, lease=LEASE, limit=limit)]
