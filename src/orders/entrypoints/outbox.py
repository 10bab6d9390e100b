"""`orders outbox`: what the relay has given up on, and how it is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from orders.application.ports import EventOutbox, ParkedEvents
from orders.domain.identifiers import OrderId
from orders.entrypoints.container import Adapters
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings import Settings

_PAGE = 100


async def parked(settings: Settings) -> Sequence[str]:
    """A line for each order whose events are parked, the longest parked first, at most 100."""
    adapters = Adapters(settings)
    async with adapters.opened():
        return [_line(each) for each in await adapters.use_cases().outbox().parked(limit=_PAGE)]


async def resend(settings: Settings, order_id: UUID | None) -> Sequence[str]:
    """Let the relay send parked events again, of one order or of all; a line for each order.

    Raises:
        CommandFailed: If that order has none.
    """
    adapters = Adapters(settings)
    async with adapters.opened():
        outbox: EventOutbox = adapters.use_cases().outbox()
        if order_id is None:
            return [f"{each} will be sent again" for each in await _resend_all(outbox)]
        if not await outbox.resend(OrderId(order_id)):
            raise CommandFailed(f"order {order_id} has no parked events")
    return [f"{order_id} will be sent again"]


async def _resend_all(outbox: EventOutbox) -> Sequence[OrderId]:
    resent: list[OrderId] = []
    while page := await outbox.parked(limit=_PAGE):
        for each in page:
            await outbox.resend(each.order_id)
            resent.append(each.order_id)
    return resent


def _line(events: ParkedEvents) -> str:
    return (
        f"{events.order_id}  tenant {events.tenant}  event {events.first} "
        f"and {events.waiting - 1} after it  {events.reason}  "
        f"since {events.parked_at:%Y-%m-%dT%H:%M:%SZ}"
    )
