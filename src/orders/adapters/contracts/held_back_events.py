"""What every `EventOutbox` promises of events that one publisher does not take, and all others
have: a part of its suite.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from orders.adapters.contracts.samples import LATER, NOW, STAFF, a_new_order
from orders.application.ports import KeptEvents, Lag, ParkedEvents, WaitingEvents
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from orders.application.ports import EventOutbox, OrderRepository

LEASE = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)
FAR_AWAY = timedelta(days=3_650)
ONE, OTHER = "kafka", "rabbitmq"


class HeldBackEvents:
    """Kept for a publisher that is behind, deferred for a while, parked until somebody looks."""

    # -- falling behind ---------------------------------------------------------------------

    async def test_what_one_publisher_lacks_waits_for_it_alone(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        assert (waiting.behind, waiting.refusals) == (frozenset(), 0)

        await _keep(outbox, waiting, {ONE: Lag(confirmed=1, again_at=NOW, refusals=2)})

        assert await _claim(outbox, NOW + LEASE) == []
        assert await _claim_for(OTHER, outbox, NOW + LEASE) == []
        (lacking,) = await _claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [2, 3]
        assert list(lacking.events) == list(waiting.events[1:])
        assert lacking.refusals == 2

    async def test_nothing_is_given_to_a_publisher_before_its_time_or_twice(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing(again_at=LATER)})

        assert await _claim_for(ONE, outbox, LATER - TICK) == []
        assert len(await _claim_for(ONE, outbox, LATER)) == 1
        assert await _claim_for(ONE, outbox, LATER + LEASE - TICK) == []
        assert len(await _claim_for(ONE, outbox, LATER + LEASE)) == 1

    async def test_gives_each_order_to_one_of_many_that_claim_first_come_first(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        ids = []
        for place in range(10):
            waiting = await _new_events(orders, outbox)
            await _keep(outbox, waiting, {ONE: _nothing(again_at=NOW - place * TICK)})
            ids.append(waiting.order_id)

        first = await outbox.claim_for(ONE, now=NOW, lease=LEASE, limit=3)
        assert [each.order_id for each in first] == ids[:-4:-1]
        rest = await asyncio.gather(*(_claim_for(ONE, outbox) for _ in range(5)))
        assert sorted(e.order_id for claim in rest for e in claim) == sorted(ids[:7])

    async def test_what_comes_later_is_new_to_the_others_and_waits_for_the_one(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing()})
        await _one_more_event(orders, waiting.order_id)

        (new,) = await _claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset({ONE}))
        # Not offered yet, so it is not the lane's to send.
        (lacking,) = await _claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [1, 2, 3]

        await _keep(outbox, new, {})
        assert await _claim(outbox, NOW + LEASE) == []
        (lacking,) = await _claim_for(ONE, outbox, NOW + LEASE)
        assert [e.recorded.sequence for e in lacking.events] == [1, 2, 3, 4]

    async def test_events_that_came_during_the_claim_are_new_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _one_more_event(orders, waiting.order_id)

        await _keep(outbox, waiting, {ONE: _nothing()})

        (new,) = await _claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset({ONE}))

    async def test_a_late_keeping_of_what_was_relayed_since_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        (again,) = await _claim(outbox, NOW + LEASE)
        await outbox.remove({again.order_id: 3})
        await _one_more_event(orders, waiting.order_id)

        await _keep(outbox, waiting, {ONE: _nothing()})

        assert await _claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        (new,) = await _claim(outbox)
        assert [e.recorded.sequence for e in new.events] == [4]

    async def test_a_late_removal_leaves_nothing_to_send_where_the_other_relay_failed(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        """The first relay was slow, and had a confirm of all; the second had none of one."""
        await _new_events(orders, outbox)
        (again,) = await _claim(outbox, NOW + LEASE)
        await _keep(outbox, again, {ONE: _nothing()})

        await outbox.remove({again.order_id: 3})

        assert await _claim_for(ONE, outbox) == []
        assert await _left(outbox, again.order_id) == []
        await _one_more_event(orders, again.order_id)
        (new,) = await _claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset())

    async def test_late_removals_of_older_events_do_not_let_a_newer_one_be_forgotten(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing()})
        await _one_more_event(orders, waiting.order_id)
        (new,) = await _claim(outbox)
        await _keep(outbox, new, {})

        await outbox.remove({waiting.order_id: 3})

        (lacking,) = await _claim_for(ONE, outbox, NOW + LEASE)
        assert lacking.events[-1].recorded.sequence == 4

    # -- catching up ------------------------------------------------------------------------

    async def test_what_the_last_publisher_has_confirmed_is_taken_out(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: Lag(confirmed=2, again_at=NOW)})
        assert await _left(outbox, waiting.order_id) == [3]
        await _claim_for(ONE, outbox)

        for _ in range(2):
            await outbox.confirm(ONE, {waiting.order_id: 3})

        assert await _left(outbox, waiting.order_id) == []
        assert await _claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        await _one_more_event(orders, waiting.order_id)
        (new,) = await _claim(outbox)
        assert ([e.recorded.sequence for e in new.events], new.behind) == ([4], frozenset())

    @pytest.mark.parametrize("order", [(ONE, OTHER), (OTHER, ONE)])
    async def test_it_stays_until_the_last_of_several_has_it(
        self, orders: OrderRepository, outbox: EventOutbox, order: tuple[str, str]
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing(), OTHER: _nothing()})
        for publisher in order:
            assert await _left(outbox, waiting.order_id) == [1, 2, 3]
            (lacking,) = await _claim_for(publisher, outbox)
            assert len(lacking.events) == 3
            await outbox.confirm(publisher, {waiting.order_id: 3})
            assert await _claim_for(publisher, outbox, NOW + FAR_AWAY) == []

        assert await _left(outbox, waiting.order_id) == []

    async def test_several_may_catch_up_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = [await _new_events(orders, outbox) for _ in range(20)]
        for each in waiting:
            await _keep(outbox, each, {ONE: _nothing(), OTHER: _nothing()})
        done = {each.order_id: 3 for each in waiting}

        await asyncio.gather(*(outbox.confirm(name, done) for name in (ONE, OTHER)))
        # Whoever lost a race is given its orders once more.
        for name in (ONE, OTHER):
            again = await _claim_for(name, outbox, NOW + LEASE)
            await outbox.confirm(name, {each.order_id: 3 for each in again})

        assert [await _left(outbox, each.order_id) for each in waiting] == [[]] * 20

    async def test_what_was_offered_meanwhile_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing()})
        await _claim_for(ONE, outbox)
        await _one_more_event(orders, waiting.order_id)
        (new,) = await _claim(outbox)
        await _keep(outbox, new, {})

        await outbox.confirm(ONE, {waiting.order_id: 3})

        (lacking,) = await _claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [4]

    async def test_a_publisher_that_caught_up_during_a_claim_gets_what_was_claimed(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing()})
        await _one_more_event(orders, waiting.order_id)
        (new,) = await _claim(outbox)
        assert new.behind == {ONE}
        await _claim_for(ONE, outbox)
        await outbox.confirm(ONE, {waiting.order_id: 3})

        # Its relay has left ONE out, as the claim said that it was behind.
        await _keep(outbox, new, {})

        (lacking,) = await _claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in lacking.events] == [4]

    async def test_a_late_confirmation_disturbs_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing()})
        await outbox.confirm(ONE, {waiting.order_id: 3})
        await _one_more_event(orders, waiting.order_id)
        (new,) = await _claim(outbox)
        await _keep(outbox, new, {ONE: Lag(confirmed=3, again_at=NOW)})
        (lacking,) = await _claim_for(ONE, outbox)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)

        await outbox.confirm(ONE, {waiting.order_id: 3})
        await outbox.confirm(ONE, {OrderId(uuid4()): 3})

        assert len(await outbox.parked(limit=9)) == 1
        assert await _left(outbox, waiting.order_id) == [4]

    # -- deferring --------------------------------------------------------------------------

    async def test_deferred_events_wait_and_remember_the_refusals(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)
        until = NOW + 2 * LEASE

        for _ in range(2):
            await outbox.defer(ONE, [replace(lacking, refusals=2)], until=until)

        assert await _claim_for(ONE, outbox, until - TICK) == []
        (again,) = await _claim_for(ONE, outbox, until)
        assert (list(again.events), again.refusals) == (list(lacking.events), 2)

    async def test_what_was_confirmed_before_the_deferred_is_not_given_again(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)

        await outbox.defer(ONE, [replace(lacking, events=lacking.events[1:])], until=NOW)

        assert await _left(outbox, lacking.order_id) == [2, 3]
        (again,) = await _claim_for(ONE, outbox)
        assert [e.recorded.sequence for e in again.events] == [2, 3]

    async def test_remembers_the_refusals_of_each_of_many(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = [await _lacking(orders, outbox) for _ in range(3)]
        refused = [replace(each, refusals=n) for n, each in enumerate(lacking)]

        await outbox.defer(ONE, refused, until=NOW)

        found = {each.order_id: each.refusals for each in await _claim_for(ONE, outbox)}
        assert found == {each.order_id: n for n, each in enumerate(lacking)}

    async def test_a_late_deferral_of_what_was_confirmed_since_changes_nothing(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)
        await _one_more_event(orders, lacking.order_id)
        (new,) = await _claim(outbox)
        await _keep(outbox, new, {})
        await outbox.confirm(ONE, {lacking.order_id: 3})

        await outbox.defer(ONE, [replace(lacking, refusals=3)], until=LATER + FAR_AWAY)
        await outbox.park(ONE, lacking, reason="too-large", now=LATER)

        (again,) = await _claim_for(ONE, outbox)
        assert (again.first, again.refusals) == (4, 0)
        assert await outbox.parked(limit=10) == []

    # -- parking ----------------------------------------------------------------------------

    async def test_parked_events_are_claimed_by_nobody_nor_those_that_come(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)

        await outbox.park(ONE, lacking, reason="too-large", now=NOW)
        await outbox.defer(ONE, [lacking], until=NOW)
        await _one_more_event(orders, lacking.order_id)

        assert await _claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        # To the others they are new.
        (new,) = await _claim(outbox)
        await _keep(outbox, new, {})
        assert await _claim_for(ONE, outbox, NOW + FAR_AWAY) == []
        assert await _left(outbox, lacking.order_id) == [1, 2, 3, 4]

    async def test_parking_for_one_does_not_park_for_the_other(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        waiting = await _new_events(orders, outbox)
        await _keep(outbox, waiting, {ONE: _nothing(), OTHER: _nothing()})
        (lacking,) = await _claim_for(ONE, outbox)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)

        (other,) = await _claim_for(OTHER, outbox)
        await outbox.confirm(OTHER, {other.order_id: 3})

        assert [each.publisher for each in await outbox.parked(limit=9)] == [ONE]
        assert not await outbox.resend(waiting.order_id, OTHER)
        assert await _left(outbox, waiting.order_id) == [1, 2, 3]

    async def test_tells_what_is_parked_the_longest_parked_first(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = []
        for place, name in enumerate((ONE, OTHER, ONE)):
            lacking.append(await _lacking(orders, outbox, name))
            parked_at = NOW - place * TICK
            await outbox.park(name, lacking[-1], reason=f"reason-{place}", now=parked_at)
        await _one_more_event(orders, lacking[2].order_id)

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

    async def test_what_is_sent_again_can_be_claimed_at_once(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)
        rest = replace(lacking, events=lacking.events[1:], refusals=5)
        await outbox.park(ONE, rest, reason="too-large", now=NOW)

        assert await outbox.resend(lacking.order_id, ONE)

        assert await outbox.parked(limit=10) == []
        assert not await outbox.resend(lacking.order_id, ONE)
        (again,) = await _claim_for(ONE, outbox)
        assert [event.recorded.sequence for event in again.events] == [2, 3]
        assert again.refusals == 0

    async def test_sends_nothing_again_that_is_not_parked(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        assert not await outbox.resend(OrderId(uuid4()), ONE)
        lacking = await _lacking(orders, outbox)

        assert not await outbox.resend(lacking.order_id, ONE)
        assert await _claim_for(ONE, outbox) == []

    async def test_holding_back_changes_no_version(
        self, orders: OrderRepository, outbox: EventOutbox
    ) -> None:
        lacking = await _lacking(orders, outbox)
        before = (await orders.get(lacking.order_id)).state

        await outbox.defer(ONE, [lacking], until=NOW)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)
        await outbox.resend(lacking.order_id, ONE)
        await outbox.confirm(ONE, {lacking.order_id: 3})

        assert (await orders.get(lacking.order_id)).state == before


def _nothing(*, again_at: datetime = NOW) -> Lag:
    """A publisher has none of an order's events."""
    return Lag(confirmed=0, again_at=again_at)


async def _new_events(orders: OrderRepository, outbox: EventOutbox) -> WaitingEvents:
    """The three new events of a new order, claimed now."""
    order = a_new_order()
    order.hold("address", by=STAFF, now=NOW)
    order.release("1", by=STAFF, now=NOW)
    await orders.add(order)
    (waiting,) = await _claim(outbox)
    assert [event.recorded.sequence for event in waiting.events] == [1, 2, 3]
    return waiting


async def _lacking(
    orders: OrderRepository, outbox: EventOutbox, publisher: str = ONE
) -> WaitingEvents:
    """The three events of a new order, as a publisher that lacks them has claimed them now."""
    await _keep(outbox, await _new_events(orders, outbox), {publisher: _nothing()})
    (lacking,) = await _claim_for(publisher, outbox)
    return lacking


async def _keep(outbox: EventOutbox, waiting: WaitingEvents, lags: Mapping[str, Lag]) -> None:
    await outbox.keep(
        [
            KeptEvents(
                order_id=waiting.order_id,
                first=waiting.first,
                last=waiting.last,
                lags=lags,
                behind=waiting.behind,
            )
        ]
    )


async def _claim(outbox: EventOutbox, now: datetime = NOW) -> list[WaitingEvents]:
    return [*await outbox.claim(now=now, lease=LEASE, limit=100)]


async def _claim_for(
    publisher: str, outbox: EventOutbox, now: datetime = NOW
) -> list[WaitingEvents]:
    return [*await outbox.claim_for(publisher, now=now, lease=LEASE, limit=100)]


async def _left(outbox: EventOutbox, order_id: OrderId) -> list[int]:
    """The numbers of the events that are still in the outbox."""
    return [each.recorded.sequence for each in (await outbox.waiting_of(order_id)).events]


async def _one_more_event(orders: OrderRepository, order_id: OrderId) -> None:
    order = await orders.get(order_id)
    order.add_note("Meanwhile", by=STAFF, now=LATER)
    await orders.save(order)
