"""The order in which events are sent, whatever they are sent with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from orders.application.errors import PublisherUnavailable
from orders.application.ports import EventPublisher, LoggedEvent, Published
from orders.domain.identifiers import OrderId

T = TypeVar("T")


class EventRefused(Exception):
    """The broker will never take this event as it is. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Send = Callable[[LoggedEvent], Awaitable[None]]
"""Returns once the broker has confirmed an event.

Raises:
    EventRefused: If it never will.
    PublisherUnavailable: If the event may not have arrived.
"""


async def publish_in_order(
    events: Iterable[LoggedEvent], send: Send, *, within_seconds: float
) -> Published:
    """Send each order's events one after another, different orders' side by side.

    An order goes no further than its first event without a confirm: what came after it would
    overtake it.
    """
    confirmed: dict[OrderId, int] = {}
    refused: dict[OrderId, str] = {}

    async def send_all(own: Sequence[LoggedEvent]) -> None:
        order_id = own[0].order_id
        with contextlib.suppress(PublisherUnavailable):
            for event in own:
                try:
                    await send(event)
                except EventRefused as refusal:
                    refused[order_id] = refusal.reason
                    return
                confirmed[order_id] = event.recorded.sequence

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_seconds), asyncio.TaskGroup() as group:
            for own in by_order(events).values():
                group.create_task(send_all(own))
    return Published(confirmed=confirmed, refused=refused)


def by_order(events: Iterable[LoggedEvent]) -> Mapping[OrderId, Sequence[LoggedEvent]]:
    """Each order's events, in the order given."""
    orders: dict[OrderId, list[LoggedEvent]] = {}
    for event in events:
        orders.setdefault(event.order_id, []).append(event)
    return orders


class PublishToAll:
    """Several brokers as one: an event is confirmed once all of them have."""

    def __init__(self, publishers: Sequence[EventPublisher]) -> None:
        """Take the brokers; at least one."""
        self._publishers = publishers

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send to all side by side. What one broker refuses is refused."""
        told = await asyncio.gather(*(each.publish(events) for each in self._publishers))
        return Published(
            confirmed={
                order_id: min(each.confirmed[order_id] for each in told)
                for order_id in told[0].confirmed
                if all(order_id in each.confirmed for each in told)
            },
            refused={
                order_id: reason for each in told for order_id, reason in each.refused.items()
            },
        )
