"""`orders outbox`: list the events that do not leave, send them again, or drop them."""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from orders.application.access import Operation, Role, operator
from orders.application.errors import StoreUnavailable
from orders.application.manage_outbox import (
    DroppedEvents,
    ManageOutbox,
    NotDroppable,
    ResentEvents,
)
from orders.application.ports import ParkedEvents, Unreadable
from orders.domain.identifiers import OrderId
from orders.entrypoints.container import Container, opened
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.json_logging import configure_audit
from orders.entrypoints.settings.table import Settings

_audit: Final = logging.getLogger("audit")


async def listed(settings: Settings, *, name: str) -> Sequence[str]:
    """A line for each parked event, the longest parked first, and for each unreadable one."""
    async with _opened(settings) as outbox:
        found = await outbox.list(caller=operator(name))
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
    async with _opened(settings) as outbox:
        resent = outbox.resend(order_id=wanted, publisher=publisher, caller=operator(name))
        async for each in resent:
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
        async with _opened(settings) as outbox:
            async for each in outbox.drop(publisher or "", caller=operator(name)):
                _record(Operation.DROP_EVENTS, each, name)
                dropped += each.count
    except NotDroppable as refusal:
        raise CommandFailed(
            "name a --publisher whose setting was removed: rabbitmq or kafka"
        ) from refusal
    return [f"{dropped} events will not be sent to {publisher}"]


def system_user() -> str:
    """The name of the user that runs this process, or its number: a container may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # before Python 3.13, and from then on
        return f"uid {os.getuid()}"


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[ManageOutbox]:
    configure_audit()
    container = Container(settings=settings)
    try:
        async with opened(container):
            yield container.manage_outbox()
    except StoreUnavailable as error:
        raise CommandFailed(f"{error}: see ORDERS_MONGO_URI") from error


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
