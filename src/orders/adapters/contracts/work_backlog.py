"""What every `WorkBacklog` promises. Subclass this suite and provide your adapters:

class TestMyBacklog(WorkBacklogContract):
    @pytest.fixture
    async def orders(self) -> OrderRepository: ...

    @pytest.fixture
    async def outbox(self, orders) -> EventOutbox: ...

    @pytest.fixture
    async def backlog(self, orders) -> WorkBacklog: ...

    @pytest.fixture
    async def lost_backlog(self) -> WorkBacklog: ...
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from orders.adapters.contracts.events.waiting_samples import LEASE, ONE, OTHER
from orders.adapters.contracts.samples import NOW, STAFF, a_new_order
from orders.application.errors import StoreUnavailable
from orders.application.ports import Backlog, KeptEvents, Lag, QueueBacklog

if TYPE_CHECKING:
    from orders.application.ports import (
        EventOutbox,
        OrderRepository,
        WaitingEvents,
        WorkBacklog,
    )

NOTHING: Final = QueueBacklog(waiting_orders=0, oldest_event_seconds=0)
SECOND: Final = timedelta(seconds=1)
OUTAGE_SECONDS: Final = 2.0


class WorkBacklogContract:
    """The suite. Each test starts with an empty store. The publishers are `ONE` and `OTHER`."""

    @pytest.fixture
    def orders(self) -> OrderRepository:
        """The orders whose work is measured."""
        raise NotImplementedError("override the fixture `orders`")

    @pytest.fixture
    def outbox(self) -> EventOutbox:
        """The outbox of `orders`."""
        raise NotImplementedError("override the fixture `outbox`")

    @pytest.fixture
    def backlog(self) -> WorkBacklog:
        """The backlog under test."""
        raise NotImplementedError("override the fixture `backlog`")

    @pytest.fixture
    def lost_backlog(self) -> WorkBacklog:
        """A backlog whose store does not respond."""
        raise NotImplementedError("override the fixture `lost_backlog`")

    async def test_an_empty_store_has_no_backlog(self, backlog: WorkBacklog) -> None:
        assert await backlog.measure(now=NOW) == Backlog(
            new=NOTHING, behind={ONE: NOTHING, OTHER: NOTHING}, due_lag_seconds=0
        )

    async def test_new_events_count_from_when_they_occurred_also_while_claimed(
        self, orders: OrderRepository, outbox: EventOutbox, backlog: WorkBacklog
    ) -> None:
        for _ in range(3):
            await orders.add(a_new_order())
        found = (await backlog.measure(now=NOW + 7 * SECOND)).new
        assert found == QueueBacklog(waiting_orders=3, oldest_event_seconds=7)

        await outbox.claim(now=NOW, lease=LEASE, limit=1)
        found = (await backlog.measure(now=NOW + 9 * SECOND)).new
        assert found == QueueBacklog(waiting_orders=3, oldest_event_seconds=9)

        waiting = await outbox.claim(now=NOW + LEASE, lease=LEASE, limit=10)
        await outbox.remove({each.order_id: each.last for each in waiting})
        assert (await backlog.measure(now=NOW + 9 * SECOND)).new == NOTHING

    async def test_the_queue_of_each_publisher_is_counted_separately(
        self, orders: OrderRepository, outbox: EventOutbox, backlog: WorkBacklog
    ) -> None:
        await _behind(orders, outbox, ONE)
        await _behind(orders, outbox, ONE, confirmed=1)
        found = await backlog.measure(now=NOW + 8 * SECOND)
        assert (found.new, found.behind[OTHER]) == (NOTHING, NOTHING)
        assert found.behind[ONE] == QueueBacklog(waiting_orders=2, oldest_event_seconds=8)

        late = await _behind(orders, outbox, OTHER, confirmed=1)
        found = await backlog.measure(now=NOW + 8 * SECOND)
        assert found.behind[OTHER] == QueueBacklog(waiting_orders=1, oldest_event_seconds=7)

        await outbox.confirm(OTHER, {late.order_id: 2})
        assert (await backlog.measure(now=NOW)).behind[OTHER] == NOTHING

    async def test_parked_orders_are_counted_separately(
        self, orders: OrderRepository, outbox: EventOutbox, backlog: WorkBacklog
    ) -> None:
        lacking = await _behind(orders, outbox, ONE)
        await outbox.park(ONE, lacking, reason="too-large", now=NOW)
        found = (await backlog.measure(now=NOW + SECOND)).behind[ONE]
        assert found == QueueBacklog(waiting_orders=0, oldest_event_seconds=0, parked_orders=1)

        assert await outbox.resend(lacking.order_id, ONE)
        found = (await backlog.measure(now=NOW + SECOND)).behind[ONE]
        assert found == QueueBacklog(waiting_orders=1, oldest_event_seconds=1)

    async def test_due_work_counts_until_a_worker_claims_it(
        self, orders: OrderRepository, backlog: WorkBacklog
    ) -> None:
        order = a_new_order()
        await orders.add(order)
        next_action_at = order.state.next_action_at
        assert next_action_at is not None
        assert (await backlog.measure(now=next_action_at)).due_lag_seconds == 0
        assert (await backlog.measure(now=next_action_at + 5 * SECOND)).due_lag_seconds == 5

        await orders.claim_scheduled(now=next_action_at + 5 * SECOND, lease=60 * SECOND, limit=1)
        assert (await backlog.measure(now=next_action_at + 6 * SECOND)).due_lag_seconds == 0

    async def test_raises_in_time_if_the_store_does_not_respond(
        self, lost_backlog: WorkBacklog
    ) -> None:
        async with asyncio.timeout(OUTAGE_SECONDS):
            with pytest.raises(StoreUnavailable):
                await lost_backlog.measure(now=NOW)


async def _behind(
    orders: OrderRepository, outbox: EventOutbox, publisher: str, *, confirmed: int = 0
) -> WaitingEvents:
    """Store an order with two events, 1 s apart, and claim them for a publisher that lacks them."""
    order = a_new_order()
    order.hold("address", by=STAFF, now=NOW + SECOND)
    await orders.add(order)
    await outbox.claim(now=NOW, lease=LEASE, limit=1)
    lags = {publisher: Lag(confirmed=confirmed, again_at=NOW)}
    await outbox.keep([KeptEvents(order_id=order.id, first=1, last=2, lags=lags)])
    (lacking,) = await outbox.claim_for(publisher, now=NOW, lease=LEASE, limit=1)
    return lacking
