"""The order in which events are sent, whatever they are sent with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from orders.application.errors import PublisherUnavailable
from orders.application.ports import LoggedEvent, Published
from orders.domain.identifiers import OrderId


class EventRefused(Exception):
    """The broker will never take an event as it is. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sender(Protocol):
    """One broker, as far as `publish_in_order` needs it. Called by one publisher at a time."""

    async def ready(self) -> None:
        """Be able to send, also after something went wrong.

        Raises:
            PublisherUnavailable: If the broker cannot be reached.
        """
        ...

    async def send(self, event: LoggedEvent) -> None:
        """Return once the broker has confirmed the event.

        Raises:
            EventRefused: If it never will: this event, or another that is under way.
            PublisherUnavailable: If the event may not have arrived.
        """
        ...


async def publish_in_order(
    events: Iterable[LoggedEvent], sender: Sender, *, within_seconds: float
) -> Published:
    """Send each order's events one after another, different orders' side by side.

    An order goes no further than its first event without a confirm: what came after it would
    overtake it.
    """
    sending = _Sending(sender)
    with contextlib.suppress(PublisherUnavailable, TimeoutError):
        async with asyncio.timeout(within_seconds):
            await sending.send_all(events)
    return Published(confirmed=sending.confirmed, refused=sending.refused)


class _Sending:
    """One call of `publish_in_order`, and what is known of it so far."""

    def __init__(self, sender: Sender) -> None:
        self.confirmed: dict[OrderId, int] = {}
        self.refused: dict[OrderId, str] = {}
        self._sender = sender

    async def send_all(self, events: Iterable[LoggedEvent]) -> None:
        orders = _by_order(events)
        await self._sender.ready()
        async with asyncio.TaskGroup() as group:
            for own in orders:
                group.create_task(self._send(own))
        if self.refused and len(orders) > 1:
            # A broker may refuse one message by dropping all that are under way with it, and
            # not say which it was. Sent by itself, each order's tells.
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
