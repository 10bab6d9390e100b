"""The sequence in which events are sent, for any broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from orders.application.errors import PublisherUnavailable
from orders.application.ports import LoggedEvent, Published
from orders.domain.identifiers import OrderId


class EventRefused(Exception):
    """The broker refuses an event for good. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sender(Protocol):
    """Sends single events to a broker. One publisher calls it at a time."""

    async def ready(self) -> None:
        """Connect, also again after a failure, and declare what events are sent to.

        Has separate time limits.

        Raises:
            PublisherUnavailable: If the broker cannot be reached.
        """
        ...

    async def send(self, event: LoggedEvent) -> None:
        """Return once the broker has confirmed the event.

        Raises:
            EventRefused: If the broker refuses it for good: this event, or another that is being
                sent.
            PublisherUnavailable: If the event may not have arrived.
        """
        ...


async def publish_in_order(
    events: Iterable[LoggedEvent], sender: Sender, *, within_seconds: float
) -> Published:
    """Send the events of one order one after another, and those of different orders concurrently.

    After an event without a confirmation, no later event of the order is sent: it would overtake.
    `within_seconds` begins when the sender is connected.
    """
    sending = _Sending(sender)
    with contextlib.suppress(PublisherUnavailable, TimeoutError):
        await sender.ready()
        async with asyncio.timeout(within_seconds):
            await sending.send_all(events)
    return Published(confirmed=sending.confirmed, refused=sending.refused)


async def prepared(sender: Sender) -> bool:
    """Let a sender connect. Returns whether it has."""
    with contextlib.suppress(PublisherUnavailable):
        await sender.ready()
        return True
    return False


class _Sending:
    """One call of `publish_in_order`, and its outcome so far."""

    def __init__(self, sender: Sender) -> None:
        self.confirmed: dict[OrderId, int] = {}
        self.refused: dict[OrderId, str] = {}
        self._sender = sender

    async def send_all(self, events: Iterable[LoggedEvent]) -> None:
        orders = _by_order(events)
        async with asyncio.TaskGroup() as group:
            for own in orders:
                group.create_task(self._send(own))
        if self.refused and len(orders) > 1:
            # A broker may refuse one message by dropping all that are sent with it, and not say
            # which it was. Each order's events, sent alone, show it.
            self.refused.clear()
            for own in orders:
                await self._sender.ready()
                await self._send(own)

    async def _send(self, own: Sequence[LoggedEvent]) -> None:
        order_id = own[0].order_id
        with contextlib.suppress(PublisherUnavailable):
            for event in own:
                if event.recorded.sequence <= self.confirmed.get(order_id, 0):
                    continue
                try:
                    await self._sender.send(event)
                except EventRefused as refusal:
                    self.refused[order_id] = refusal.reason
                    return
                self.confirmed[order_id] = event.recorded.sequence


def _by_order(events: Iterable[LoggedEvent]) -> Sequence[Sequence[LoggedEvent]]:
    orders: dict[OrderId, list[LoggedEvent]] = {}
    for event in events:
        orders.setdefault(event.order_id, []).append(event)
    return [*orders.values()]
