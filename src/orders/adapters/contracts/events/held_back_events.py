"""The part of `EventOutboxContract` about events that a publisher refuses: `defer` and `park`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from orders.adapters.contracts.events.waiting_samples import (
    FAR_AWAY,
    LEASE,
    ONE,
    OTHER,
    TICK,
    claim,
    claim_for,
    keep,
    lacking_events,
    left,
    new_events,
    nothing,
    one_more_event,
)
from orders.adapters.contracts.samples import LATER, NOW
from orders.application.ports import ParkedEvents
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from orders.application.ports import EventOutbox, OrderRepository


class HeldBackEvents:
    """Deferred events wait for a time, parked events for `resend`."""

    # -- deferring --------------------------------------------------------------------------

    async def test_deferred_events_wait_and_keep_the_count_of_refusals(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)
        until = NOW + 2 * LEASE

        for _ in range(2):
            await outbox.defer(ONE, [replace(lacking, refusals=2)], until=until)

        assert await claim_for(ONE, outbox, until - TICK) == []
        (again,) = await claim_for(ONE, outbox, until)
        assert (list(again.events), again.refusals) == (list(lacking.events), 2)

    async def test_events_before_the_deferred_ones_count_as_confirmed(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)

        await outbox.defer(ONE, [replace(lacking, events=lacking.events[1:])], until=NOW)

        assert await left(outbox, lacking.order_id) == [2, 3]
        (again,) = await claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in again.events] == [2, 3]

    async def test_keeps_the_count_of_refusals_of_each_order(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = [await lacking_events(orders, outbox) for _ in range(3)]
        refused = [replace(each, refusals=n) for n, each in enumerate(lacking)]

        await outbox.defer(ONE, refused, until=NOW)

        found = {each.order_id: each.refusals for each in await claim_for(ONE, outbox)}
        assert found == {each.order_id: n for n, each in enumerate(lacking)}

    async def test_a_late_deferral_of_confirmed_events_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)
        await one_more_event(orders, lacking.order_id)
        (new,) = await claim(outbox)
        await keep(outbox, new, {})
        await outbox.confirm(ONE, {lacking.order_id: 3})

        await outbox.defer(ONE, [replace(lacking, refusals=3)], until=LATER + FAR_AWAY)
        await outbox.park(ONE, lacking, reason="too-large", now=LATER)

        (again,) = await claim_for(ONE, outbox)
        assert (again.first, again.refusals) == (4, 0)
        assert await outbox.parked(limit=10) == []

    # -- parking ----------------------------------------------------------------------------

    async def test_parked_events_and_later_ones_are_not_claimed(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)

        await outbox.park(ONE, lacking, reason="too-large", now=NOW)
        await outbox.defer(ONE, [lacking], until=NOW)
        await one_more_event(orders, lacking.order_id)

        assert await claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        # The other publishers can still claim them as new events.
        (new,) = await claim(outbox)
        await keep(outbox, new, {})
        assert await claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        assert await left(outbox, lacking.order_id) == [1, 2, 3, 4]

    async def test_parking_affects_one_publisher(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing(), OTHER: nothing()})
        (lacking,) = await claim_for(ONE, outbox)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)

        (other,) = await claim_for(OTHER, outbox)
        await outbox.confirm(OTHER, {other.order_id: 3})

        assert [each.publisher for each in await outbox.parked(limit=9)] == [ONE]
        assert not await outbox.resend(waiting.order_id, OTHER)
        assert await left(outbox, waiting.order_id) == [1, 2, 3]

    async def test_lists_parked_orders_the_longest_parked_first(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = []
        for place, name in enumerate((ONE, OTHER, ONE)):
            lacking.append(await lacking_events(orders, outbox, name))
            parked_at = NOW - place * TICK
            await outbox.park(name, lacking[-1], reason=f"reason-{place}", now=parked_at)
        await one_more_event(orders, lacking[2].order_id)

        def expected(place: int, name: str, count: int) -> ParkedEvents:
            return ParkedEvents(
                publisher=name,
                tenant="shop",
                order_id=lacking[place].order_id,
                first=1,
                waiting=count,
                reason=f"reason-{place}",
                parked_at=NOW - place * TICK,
            )

        first, second, third = expected(2, ONE, 4), expected(1, OTHER, 3), expected(0, ONE, 3)
        assert list(await outbox.parked(limit=2)) == [first, second]
        assert list(await outbox.parked(limit=9)) == [first, second, third]
        assert list(await outbox.parked(limit=9, publisher=ONE)) == [first, third]

    async def test_resent_events_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)
        rest = replace(lacking, events=lacking.events[1:], refusals=5)
        await outbox.park(ONE, rest, reason="too-large", now=NOW)

        assert await outbox.resend(lacking.order_id, ONE)

        assert await outbox.parked(limit=10) == []
        assert not await outbox.resend(lacking.order_id, ONE)
        (again,) = await claim_for(ONE, outbox)
        assert [event.recorded.sequence for event in again.events] == [2, 3]
        assert again.refusals == 0

    async def test_resends_nothing_that_is_not_parked(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        assert not await outbox.resend(OrderId(uuid4()), ONE)
        lacking = await lacking_events(orders, outbox)

        assert not await outbox.resend(lacking.order_id, ONE)
        assert await claim_for(ONE, outbox) == []

    async def test_deferring_and_parking_change_no_version(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await lacking_events(orders, outbox)
        before = (await orders.get(lacking.order_id)).state

        await outbox.defer(ONE, [lacking], until=NOW)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)
        await outbox.resend(lacking.order_id, ONE)
        await outbox.confirm(ONE, {lacking.order_id: 3})

        assert (await orders.get(lacking.order_id)).state == before
