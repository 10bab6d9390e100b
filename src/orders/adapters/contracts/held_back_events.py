"""What every `EventOutbox` promises of events the broker does not take; a part of its suite."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from orders.adapters.contracts.samples import LATER, NOW, STAFF, a_new_order
from orders.application.ports import ParkedEvents, WaitingEvents
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from datetime import datetime

    from orders.application.ports import EventOutbox, OrderRepository

LEASE = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)
FAR_AWAY = timedelta(days=3_650)


class HeldBackEvents:
    """Deferred for a while, parked until somebody looks."""

    async def test_an_outbox_starts_without_refusals(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        assert (await _a_claim(orders, outbox)).refusals == 0
        assert await outbox.parked(limit=10) == []

    async def test_deferred_events_wait_and_remember_the_refusals(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        until = NOW + 2 * LEASE

        await outbox.defer([replace(waiting, refusals=2)], until=until)

        assert await _claim(outbox, until - TICK) == []
        (again,) = await _claim(outbox, until)
        assert (list(again.events), again.refusals) == (list(waiting.events), 2)

    async def test_events_may_be_deferred_to_before_the_end_of_the_lease(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)

        for _ in range(2):
            await outbox.defer([waiting], until=NOW + TICK)

        assert len(await _claim(outbox, NOW + TICK)) == 1

    async def test_remembers_the_refusals_of_each_of_many(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = [await _a_claim(orders, outbox) for _ in range(3)]
        await _one_more_event(orders, waiting[2].order_id)
        await outbox.remove({waiting[2].order_id: 1})
        refused = [replace(each, refusals=n) for n, each in enumerate(waiting)]

        await outbox.defer(refused, until=NOW)

        found = {each.order_id: each.refusals for each in await _claim(outbox, NOW)}
        assert found == {each.order_id: n for each, n in zip(waiting, (0, 1, 0), strict=True)}

    async def test_a_late_deferral_of_what_was_relayed_since_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        await _one_more_event(orders, waiting.order_id)
        await outbox.remove({waiting.order_id: 1})

        await outbox.defer([replace(waiting, refusals=3)], until=LATER + FAR_AWAY)
        await outbox.park(waiting, reason="too-large", now=LATER)

        (again,) = await _claim(outbox, NOW)
        assert (again.first, again.refusals) == (2, 0)
        assert await outbox.parked(limit=10) == []

    async def test_refusals_are_forgotten_when_the_first_event_is_taken(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        await _one_more_event(orders, waiting.order_id)
        await outbox.defer([replace(waiting, refusals=4)], until=NOW)

        await outbox.remove({waiting.order_id: 1})

        (again,) = await _claim(outbox, NOW)
        assert (again.first, again.refusals) == (2, 0)

    async def test_parked_events_are_claimed_by_nobody_nor_those_that_come(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)

        await outbox.park(waiting, reason="too-large", now=NOW)
        await _one_more_event(orders, waiting.order_id)

        assert await _claim(outbox, NOW + FAR_AWAY) == []
        assert [e.recorded.sequence for e in await outbox.waiting_of(waiting.order_id)] == [1, 2]

    async def test_a_late_deferral_does_not_unpark(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        await outbox.park(waiting, reason="too-large", now=NOW)

        await outbox.defer([waiting], until=NOW)

        assert await _claim(outbox, NOW + FAR_AWAY) == []

    async def test_tells_what_is_parked_the_longest_parked_first(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = [await _a_claim(orders, outbox) for _ in range(3)]
        for place, each in enumerate(waiting):
            await outbox.park(each, reason=f"reason-{place}", now=NOW - place * TICK)
        await _one_more_event(orders, waiting[2].order_id)

        assert list(await outbox.parked(limit=2)) == [
            ParkedEvents(
                tenant="shop",
                order_id=waiting[place].order_id,
                first=1,
                waiting=count,
                reason=f"reason-{place}",
                parked_at=NOW - place * TICK,
            )
            for place, count in ((2, 2), (1, 1))
        ]
        assert len(await outbox.parked(limit=10)) == 3

    async def test_what_is_sent_again_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        await outbox.park(replace(waiting, refusals=5), reason="too-large", now=NOW)
        await _one_more_event(orders, waiting.order_id)

        assert await outbox.resend(waiting.order_id)

        assert await outbox.parked(limit=10) == []
        (again,) = await _claim(outbox, NOW)
        assert [event.recorded.sequence for event in again.events] == [1, 2]
        assert again.refusals == 0

    async def test_sends_nothing_again_that_is_not_parked(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)

        assert not await outbox.resend(waiting.order_id)
        assert not await outbox.resend(OrderId(uuid4()))
        assert await _claim(outbox, NOW) == []

    async def test_removing_what_was_parked_unparks_what_came_meanwhile(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        await outbox.park(waiting, reason="too-large", now=NOW)
        await _one_more_event(orders, waiting.order_id)

        await outbox.remove({waiting.order_id: 1})

        assert await outbox.parked(limit=10) == []
        (again,) = await _claim(outbox, NOW)
        assert again.first == 2

    async def test_holding_back_changes_no_version(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _a_claim(orders, outbox)
        before = (await orders.get(waiting.order_id)).state

        await outbox.defer([waiting], until=NOW)
        await outbox.park(waiting, reason="too-large", now=NOW)
        await outbox.resend(waiting.order_id)

        assert (await orders.get(waiting.order_id)).state == before


async def _a_claim(orders: OrderRepository, outbox: EventOutbox) -> WaitingEvents:
    """The one waiting event of a new order, claimed now."""
    await orders.add(a_new_order())
    (waiting,) = await _claim(outbox, NOW)
    return waiting


async def _claim(outbox: EventOutbox, now: datetime) -> list[WaitingEvents]:
    return [*await outbox.claim(now=now, lease=LEASE, limit=100)]


async def _one_more_event(orders: OrderRepository, order_id: OrderId) -> None:
    order = await orders.get(order_id)
    order.hold("meanwhile", by=STAFF, now=LATER)
    await orders.save(order)
