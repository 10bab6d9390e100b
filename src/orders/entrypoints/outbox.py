"""`orders outbox`: what the relay has given up on or cannot read; send it again, or forget it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from orders.application.errors import StoreUnavailable
from orders.application.ports import EventOutbox, ParkedEvents, Unreadable
from orders.application.publisher_lane import LEASE
from orders.domain.identifiers import OrderId
from orders.entrypoints import clock
from orders.entrypoints.container import KNOWN_PUBLISHERS, Adapters
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings.table import Settings

_PAGE = 100


async def listed(settings: Settings) -> Sequence[str]:
    """What is held up: parked events, the longest parked first, and unreadable ones.

    At most 100 lines of each.
    """
    async with _opened(settings) as outbox:
        parked = [_parked_line(each) for each in await outbox.parked(limit=_PAGE)]
        return parked + [_unreadable_line(each) for each in await outbox.unreadable(limit=_PAGE)]


async def resend(settings: Settings, order_id: UUID | None, publisher: str | None) -> Sequence[str]:
    """Let parked events be sent again: of one order or all, to one publisher or all.

    Returns a line for each order and publisher.

    Raises:
        CommandFailed: If that order has none.
    """
    async with _opened(settings) as outbox:
        names = KNOWN_PUBLISHERS if publisher is None else (publisher,)
        if order_id is None:
            return [_resent(each.order_id, each.publisher) for each in await _all(outbox, names)]
        resent = [each for each in names if await outbox.resend(OrderId(order_id), each)]
    if not resent:
        raise CommandFailed(f"order {order_id} has no parked events")
    return [_resent(order_id, each) for each in resent]


async def drop(settings: Settings, publisher: str | None) -> Sequence[str]:
    """Forget what waits for a publisher that is not configured any more; a line says how much.

    Nothing else ever does: events that wait for a publisher wait until it is configured again.

    Raises:
        CommandFailed: If no publisher is named, or it is still configured.
    """
    if publisher not in KNOWN_PUBLISHERS or publisher in Adapters(settings).publishers:
        raise CommandFailed("name a --publisher whose setting was removed: rabbitmq or kafka")
    async with _opened(settings) as outbox:
        dropped = await forget(outbox, publisher, now=clock.now())
    return [f"{dropped} events will not be sent to {publisher}"]


async def forget(outbox: EventOutbox, publisher: str, *, now: datetime) -> int:
    """Take out what waits for one publisher alone; returns how many events. May be repeated.

    What only a newer version can read is left to it.
    """
    await _all(outbox, (publisher,))
    dropped = 0
    # Also what is deferred; by others' claims, if there are any, nothing is sent any more.
    later = now + timedelta(hours=1)
    while claimed := await outbox.claim_for(publisher, now=later, lease=LEASE, limit=_PAGE):
        ready = [each for each in claimed if each.events]
        await outbox.confirm(publisher, {each.order_id: each.last for each in ready})
        dropped += sum(len(each.events) for each in ready)
    return dropped


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[EventOutbox]:
    adapters = Adapters(settings)
    try:
        async with adapters.opened():
            yield adapters.use_cases().outbox()
    except StoreUnavailable as error:
        raise CommandFailed(f"{error}: see ORDERS_MONGO_URI") from error


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
