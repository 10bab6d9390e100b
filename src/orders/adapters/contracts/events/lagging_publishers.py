"""The part of `EventOutboxContract` about publishers that lag: `keep`, `claim_for`, `confirm`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from orders.adapters.contracts.events.waiting_samples import (
    FAR_AWAY,
    LEASE,
    ONE,
    OTHER,
    TICK,
    claim,
    claim_for,
    keep,
    left,
    new_events,
    nothing,
    one_more_event,
)
from orders.adapters.contracts.samples import LATER, NOW
from orders.application.ports import Lag
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from orders.application.ports import EventOutbox, OrderRepository


class LaggingPublishers:
    """Events that one publisher lacks wait in its queue. They are not new to the others."""

    # -- falling behind ---------------------------------------------------------------------

    async def test_events_that_one_publisher_lacks_wait_for_it_alone(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        assert (waiting.behind, waiting.refusals) == (frozenset(), 0)

        await keep(outbox, waiting, {ONE: Lag(confirmed=1, again_at=NOW, refusals=2)})

        assert await claim(outbox, NOW + LEASE) == []
        assert await claim_for(OTHER, outbox, NOW + LEASE) == []
        (lacking,) = await claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [2, 3]
        assert list(lacking.events) == list(waiting.events[1:])
        assert lacking.refusals == 2

    async def test_a_publisher_claims_nothing_before_its_time_or_twice(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing(again_at=LATER)})

        assert await claim_for(ONE, outbox, LATER - TICK) == []
        assert len(await claim_for(ONE, outbox, LATER)) == 1
        assert await claim_for(ONE, outbox, LATER + LEASE - TICK) == []
        assert len(await claim_for(ONE, outbox, LATER + LEASE)) == 1

    async def test_concurrent_claims_get_each_order_once_the_earliest_due_first(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        ids = []
        for place in range(10):
            waiting = await new_events(orders, outbox)
            await keep(outbox, waiting, {ONE: nothing(again_at=NOW - place * TICK)})
            ids.append(waiting.order_id)

        first = await outbox.claim_for(ONE, now=NOW, lease=LEASE, limit=3)
        assert [each.order_id for each in first] == ids[:-4:-1]
        rest = await asyncio.gather(*(claim_for(ONE, outbox) for _ in range(5)))
        assert sorted(e.order_id for claim in rest for e in claim) == sorted(ids[:7])

    async def test_later_events_are_new_to_the_others_and_wait_for_the_lagging_one(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await one_more_event(orders, waiting.order_id)

        (new,) = await claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset({ONE}))
        # It was never sent to any publisher, so it is still new.
        (lacking,) = await claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [1, 2, 3]

        await keep(outbox, new, {})
        assert await claim(outbox, NOW + LEASE) == []
        (lacking,) = await claim_for(ONE, outbox, NOW + LEASE)
        assert [e.recorded.sequence for e in lacking.events] == [1, 2, 3, 4]

    async def test_events_stored_during_the_claim_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await one_more_event(orders, waiting.order_id)

        await keep(outbox, waiting, {ONE: nothing()})

        (new,) = await claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset({ONE}))

    async def test_a_late_keep_of_removed_events_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        (again,) = await claim(outbox, NOW + LEASE)
        await outbox.remove({again.order_id: 3})
        await one_more_event(orders, waiting.order_id)

        await keep(outbox, waiting, {ONE: nothing()})

        assert await claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        (new,) = await claim(outbox)
        assert [e.recorded.sequence for e in new.events] == [4]

    async def test_a_late_keep_after_that_of_another_relay_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        (again,) = await claim(outbox, NOW + LEASE)
        await keep(outbox, again, {ONE: Lag(confirmed=2, again_at=NOW)})
        (lacking,) = await claim_for(ONE, outbox)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)

        await keep(outbox, waiting, {ONE: nothing(), OTHER: nothing()})

        assert await claim_for(ONE, outbox) == await claim_for(OTHER, outbox) == []
        assert len(await outbox.parked(limit=9)) == 1

    async def test_a_late_removal_ends_the_lag_that_another_relay_has_stored(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        """A slow relay had all confirms. A second one then missed the confirm of one publisher."""
        await new_events(orders, outbox)
        (again,) = await claim(outbox, NOW + LEASE)
        await keep(outbox, again, {ONE: nothing()})

        await outbox.remove({again.order_id: 3})

        assert await claim_for(ONE, outbox) == []
        assert await left(outbox, again.order_id) == []
        await one_more_event(orders, again.order_id)
        (new,) = await claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset())

    async def test_a_late_removal_ends_the_lag_also_if_an_event_was_stored_meanwhile(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await one_more_event(orders, waiting.order_id)

        await outbox.remove({waiting.order_id: 3})

        assert await claim_for(ONE, outbox) == []
        (new,) = await claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset())

    async def test_a_late_removal_of_older_events_keeps_the_newer_ones(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await one_more_event(orders, waiting.order_id)
        (new,) = await claim(outbox)
        await keep(outbox, new, {})

        await outbox.remove({waiting.order_id: 3})

        (lacking,) = await claim_for(ONE, outbox, NOW + LEASE)
        assert lacking.events[-1].recorded.sequence == 4

    # -- catching up ------------------------------------------------------------------------

    async def test_events_are_removed_once_the_last_publisher_confirms_them(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: Lag(confirmed=2, again_at=NOW)})
        assert await left(outbox, waiting.order_id) == [3]
        await claim_for(ONE, outbox)

        for _ in range(2):
            await outbox.confirm(ONE, {waiting.order_id: 3})

        assert await left(outbox, waiting.order_id) == []
        assert await claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        await one_more_event(orders, waiting.order_id)
        (new,) = await claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset())

    @pytest.mark.parametrize("order", [(ONE, OTHER), (OTHER, ONE)])
    async def test_events_stay_until_the_last_of_several_publishers_confirms_them(
        self, orders: OrderRepository, outbox: EventOutbox, order: tuple[str, str]
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing(), OTHER: nothing()})
        for publisher in order:
            assert await left(outbox, waiting.order_id) == [1, 2, 3]
            (lacking,) = await claim_for(publisher, outbox)
            assert len(lacking.events) == 3
            await outbox.confirm(publisher, {waiting.order_id: 3})
            assert await claim_for(publisher, outbox, NOW + FAR_AWAY) == []

        assert await left(outbox, waiting.order_id) == []

    async def test_several_publishers_may_confirm_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = [await new_events(orders, outbox) for _ in range(20)]
        for each in waiting:
            await keep(outbox, each, {ONE: nothing(), OTHER: nothing()})
        done = {each.order_id: 3 for each in waiting}

        await asyncio.gather(*(outbox.confirm(name, done) for name in (ONE, OTHER)))
        # A publisher that lost a race claims its orders once more.
        for name in (ONE, OTHER):
            again = await claim_for(name, outbox, NOW + LEASE)
            await outbox.confirm(name, {each.order_id: 3 for each in again})

        assert [await left(outbox, each.order_id) for each in waiting] == [[]] * 20

    async def test_events_kept_meanwhile_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await claim_for(ONE, outbox)
        await one_more_event(orders, waiting.order_id)
        (new,) = await claim(outbox)
        await keep(outbox, new, {})

        await outbox.confirm(ONE, {waiting.order_id: 3})

        (lacking,) = await claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [4]

    async def test_a_publisher_that_catches_up_during_a_claim_gets_the_claimed_events(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await one_more_event(orders, waiting.order_id)
        (new,) = await claim(outbox)
        assert new.behind == {ONE}
        await claim_for(ONE, outbox)
        await outbox.confirm(ONE, {waiting.order_id: 3})

        # The relay did not send to ONE, since the claim said that it was behind.
        await keep(outbox, new, {})

        (lacking,) = await claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [4]

    async def test_a_late_confirmation_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await new_events(orders, outbox)
        await keep(outbox, waiting, {ONE: nothing()})
        await outbox.confirm(ONE, {waiting.order_id: 3})
        await one_more_event(orders, waiting.order_id)
        (new,) = await claim(outbox)
        await keep(outbox, new, {ONE: Lag(confirmed=3, again_at=NOW)})
        (lacking,) = await claim_for(ONE, outbox)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)

        await outbox.confirm(ONE, {waiting.order_id: 3})
        await outbox.confirm(ONE, {OrderId(uuid4()): 3})

        assert len(await outbox.parked(limit=9)) == 1
        assert await left(outbox, waiting.order_id) == [4]
