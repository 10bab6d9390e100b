"""What the tests of `EventOutbox` share: events that wait in an outbox, and short calls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from orders.adapters.contracts.samples import LATER, NOW, STAFF, a_new_order
from orders.application.ports import KeptEvents, Lag, WaitingEvents
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from orders.application.ports import EventOutbox, OrderRepository

LEASE = timedelta(seconds=30)
TICK = timedelta(milliseconds=1)
FAR_AWAY = timedelta(days=3_650)
ONE, OTHER = "kafka", "rabbitmq"


def nothing(*, again_at: datetime = NOW) -> Lag:
    """The lag of a publisher that has confirmed none of an order's events."""
    return Lag(confirmed=0, again_at=again_at)


async def new_events(orders: OrderRepository, outbox: EventOutbox) -> WaitingEvents:
    """Store a new order with three events, and claim them at `NOW`."""
    order = a_new_order()
    order.hold("address", by=STAFF, now=NOW)
    order.release("1", by=STAFF, now=NOW)
    await orders.add(order)
    (waiting,) = await claim(outbox)
    assert [event.recorded.sequence for event in waiting.events] == [1, 2, 3]
    return waiting


async def lacking_events(
    orders: OrderRepository, outbox: EventOutbox, publisher: str = ONE
) -> WaitingEvents:
    """Store a new order with three events, and claim them for a publisher that lacks them."""
    await keep(outbox, await new_events(orders, outbox), {publisher: nothing()})
    (lacking,) = await claim_for(publisher, outbox)
    return lacking


async def keep(outbox: EventOutbox, waiting: WaitingEvents, lags: Mapping[str, Lag]) -> None:
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


async def claim(outbox: EventOutbox, now: datetime = NOW) -> list[WaitingEvents]:
    return [*await outbox.claim(now=now, lease=LEASE, limit=100)]


async def claim_for(
    publisher: str, outbox: EventOutbox, now: datetime = NOW
) -> list[WaitingEvents]:
    return [*await outbox.claim_for(publisher, now=now, lease=LEASE, limit=100)]


async def left(outbox: EventOutbox, order_id: OrderId) -> list[int]:
    """The numbers of the events that are still in the outbox."""
    return [each.recorded.sequence for each in (await outbox.waiting_of(order_id)).events]


async def one_more_event(orders: OrderRepository, order_id: OrderId) -> None:
    """Store one more event of an order."""
    order = await orders.get(order_id)
    order.add_note("Meanwhile", by=STAFF, now=LATER)
    await orders.save(order)
