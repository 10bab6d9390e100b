"""`orders outbox`: what the relay has given up on or cannot read, and how it is sent again."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from orders.application.ports import EventOutbox, ParkedEvents, Unreadable
from orders.domain.identifiers import OrderId
from orders.entrypoints.container import KNOWN_PUBLISHERS, Adapters
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings import Settings

_PAGE = 100


async def listed(settings: Settings) -> Sequence[str]:
    """What is held up: parked events, the longest parked first, and unreadable ones.

    At most 100 lines of each.
    """
    adapters = Adapters(settings)
    async with adapters.opened():
        outbox: EventOutbox = adapters.use_cases().outbox()
        parked = [_parked_line(each) for each in await outbox.parked(limit=_PAGE)]
        return parked + [_unreadable_line(each) for each in await outbox.unreadable(limit=_PAGE)]


async def resend(settings: Settings, order_id: UUID | None, publisher: str | None) -> Sequence[str]:
    """Let parked events be sent again: of one order or all, to one publisher or all.

    Returns a line for each order and publisher.

    Raises:
        CommandFailed: If that order has none.
    """
    adapters = Adapters(settings)
    async with adapters.opened():
        outbox: EventOutbox = adapters.use_cases().outbox()
        names = KNOWN_PUBLISHERS if publisher is None else (publisher,)
        if order_id is None:
            return [_resent(each.order_id, each.publisher) for each in await _all(outbox, names)]
        resent = [each for each in names if await outbox.resend(OrderId(order_id), each)]
    if not resent:
        raise CommandFailed(f"order {order_id} has no parked events")
    return [_resent(order_id, each) for each in resent]


async def _all(outbox: EventOutbox, publishers: Sequence[str]) -> Sequence[ParkedEvents]:
    resent: list[ParkedEvents] = []
    for publisher in publishers:
        while page := await outbox.parked(limit=_PAGE, publisher=publisher):
            for each in page:
                await outbox.resend(each.order_id, publisher)
            resent += page
    return resent


def _resent(order_id: UUID, publisher: str) -> str:
    return f"{order_id} will be sent to {publisher} again"


def _parked_line(events: ParkedEvents) -> str:
    return (
        f"{events.order_id}  {events.publisher}  tenant {events.tenant}  event {events.first} "
        f"and {events.waiting - 1} after it  {events.reason}  "
        f"since {events.parked_at:%Y-%m-%dT%H:%M:%SZ}"
    )


def _unreadable_line(event: Unreadable) -> str:
    return f"{event.order_id}  event {event.sequence} needs a newer version  {event.reason}"
