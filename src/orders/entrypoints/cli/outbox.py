"""`orders outbox` and `orders events replay`: what an operator does with stored events."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from orders.application.access import Operation, Role, operator
from orders.application.errors import PublisherUnavailable, StoreUnavailable
from orders.application.manage_outbox import (
    DroppedEvents,
    NotDroppable,
    ResentEvents,
)
from orders.application.ports import ParkedEvents, Unreadable
from orders.application.replay_events import EventSpan, Replayed
from orders.domain.identifiers import OrderId
from orders.entrypoints.container import Container, opened
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.json_logging import configure_audit
from orders.entrypoints.settings.table import Settings

_audit: Final = logging.getLogger("audit")


async def listed(settings: Settings, *, name: str) -> Sequence[str]:
    """A line for each parked event, the longest parked first, and for each unreadable one."""
    async with _opened(settings) as container:
        found = await container.manage_outbox().list(caller=operator(name))
    return [*map(_parked_line, found.parked), *map(_unreadable_line, found.unreadable)]


async def resend(
    settings: Settings, order_id: UUID | None, publisher: str | None, *, name: str
) -> Sequence[str]:
    """Send parked events again: of one order or all, to one publisher or all.

    Returns a line for each order and publisher, and records each in the audit trail.

    Raises:
        CommandFailed: If that order has none.
    """
    wanted = None if order_id is None else OrderId(order_id)
    lines: list[str] = []
    async with _opened(settings) as container:
        manage = container.manage_outbox()
        async for each in manage.resend(
            order_id=wanted, publisher=publisher, caller=operator(name)
        ):
            _record(Operation.RESEND_EVENTS, each, name)
            lines.append(f"{each.order_id} will be sent to {each.publisher} again")
    if order_id is not None and not lines:
        raise CommandFailed(f"order {order_id} has no parked events")
    return lines


async def drop(settings: Settings, publisher: str | None, *, name: str) -> Sequence[str]:
    """Drop what waits for a publisher whose setting was taken away.

    Returns one line, and records each order in the audit trail.

    Raises:
        CommandFailed: If no publisher is named, or it is still configured.
    """
    dropped = 0
    try:
        async with _opened(settings) as container:
            manage = container.manage_outbox()
            async for each in manage.drop(publisher or "", caller=operator(name)):
                _record(Operation.DROP_EVENTS, each, name)
                dropped += each.count
    except NotDroppable as refusal:
        raise CommandFailed(
            "name a --publisher whose setting was removed: rabbitmq or kafka"
        ) from refusal
    return [f"{dropped} events will not be sent to {publisher}"]


async def replay(
    settings: Settings, what: OrderId | EventSpan, publisher: str | None, *, name: str
) -> AsyncIterator[str]:
    """Send the events of an order or a span of time again, to one publisher or to all.

    Returns a line for each page, as soon as it is sent. The audit trail has a record of each
    publisher before anything is sent to it.

    Raises:
        CommandFailed: If there is no such publisher or event, or the publisher does not confirm.
    """
    async with _opened(settings) as container:
        known, caller = [*container.publishers()], operator(name)
        chosen = known if publisher is None else [publisher]
        if not known or not {*chosen} <= {*known}:
            raise CommandFailed("no such broker is configured: see ORDERS_RABBITMQ_URI", 2)
        for each in chosen:
            _record_replay(what, each, name)
            count = _ReplayCount(each)
            try:
                async for page in container.replay_events()(what, publisher=each, caller=caller):
                    yield count.line_after(page)
            except PublisherUnavailable as error:
                raise CommandFailed(f"{error}, after {count.sent} events: repeat this") from error
            count.require_success()


def system_user() -> str:
    """The name of the user that runs this process, or its number: a container may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # before Python 3.13, and from then on
        return f"uid {os.getuid()}"


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Container]:
    configure_audit()
    container = Container(settings=settings)
    try:
        async with opened(container):
            yield container
    except StoreUnavailable as error:
        raise CommandFailed(f"{error}: see ORDERS_MONGO_URI") from error


class _ReplayCount:
    """What one publisher has had so far."""

    def __init__(self, publisher: str) -> None:
        self._publisher = publisher
        self.sent = self._waiting = self._left = 0

    def line_after(self, page: Replayed) -> str:
        self.sent += page.sent
        self._waiting += page.waiting
        self._left += len(page.refused) + len(page.unreadable)
        place = "" if page.position is None else f", the feed up to position {page.position}"
        reasons = [f"; {order_id} is refused: {why}" for order_id, why in page.refused.items()]
        reasons += [f"; {each.id} needs a newer version" for each in page.unreadable]
        if self._waiting:
            reasons.append(f"; {self._waiting} left out: the worker is still to send them")
        return f"{self._publisher}: {self.sent} events sent{place}{''.join(reasons)}"

    def require_success(self) -> None:
        if self._left:
            raise CommandFailed(f"{self._left} of them cannot be sent to {self._publisher}")
        if not self.sent and not self._waiting:
            raise CommandFailed("there is no such event")


def _record_replay(what: OrderId | EventSpan, publisher: str, name: str) -> None:
    record: dict[str, object] = {
        "action": Operation.REPLAY_EVENTS,
        "actor": name,
        "roles": [Role.OPERATOR],
        "publisher": publisher,
    }
    if isinstance(what, EventSpan):
        span = {"since": what.start.isoformat(), "until": what.end.isoformat()}
    else:
        span = {"order_id": str(what)}
    _audit.info("replayed", extra=record | span)


def _record(action: Operation, events: ResentEvents | DroppedEvents, name: str) -> None:
    """Say in the audit trail what was done to which events, and who did it."""
    record: dict[str, Any] = {
        "action": action,
        "actor": name,
        "roles": [Role.OPERATOR],
        "order_id": str(events.order_id),
        "publisher": events.publisher,
    }
    if isinstance(events, DroppedEvents):
        record |= {"first": events.first, "last": events.last}
    _audit.info("changed", extra=record)


def _parked_line(events: ParkedEvents) -> str:
    return (
        f"{events.order_id}  {events.publisher}  tenant {events.tenant}  event {events.first} "
        f"and {events.waiting - 1} after it  {events.reason}  "
        f"since {events.parked_at:%Y-%m-%dT%H:%M:%SZ}"
    )


def _unreadable_line(event: Unreadable) -> str:
    return f"{event.order_id}  event {event.sequence} needs a newer version  {event.reason}"
