"""`EventLog` and `EventPublisher` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orders.application.errors import PublisherUnavailable, StoreUnavailable
from orders.application.ports import LoggedEvent, Published
from orders.application.publishing import EventRefused, publish_in_order
from orders.domain.identifiers import OrderId


class InMemoryEventLog:
    """The log as a list: an event's position is its place in it."""

    def __init__(self) -> None:
        self.unavailable = False
        self._events: dict[str, LoggedEvent] = {}

    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Log events at the end of the feed. One that is logged already is left as it is."""
        self._require_available()
        for event in events:
            if event.id not in self._events:
                self._events[event.id] = replace(event, position=len(self._events) + 1)

    async def timeline(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's logged events, in sequence."""
        self._require_available()
        own = [event for event in self._events.values() if event.order_id == order_id]
        return sorted(own, key=lambda event: event.recorded.sequence)

    async def after(self, position: int, *, tenant: str, limit: int) -> Sequence[LoggedEvent]:
        """A tenant's events after a position of the feed, at most `limit`."""
        self._require_available()
        later = [*self._events.values()][position:]
        return [event for event in later if event.tenant == tenant][:limit]

    def _require_available(self) -> None:
        if self.unavailable:
            raise StoreUnavailable("the log is switched off")


class InMemoryPublisher:
    """A broker that keeps what it was sent, in order, each delivery anew, in `published`.

    It refuses the events whose ids are in `refuses`.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self.refuses: set[str] = set()
        self.published: list[LoggedEvent] = []

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, each order's in the order given, and tell what became of them."""
        return await publish_in_order(events, self._send, within_seconds=1)

    async def _send(self, event: LoggedEvent) -> None:
        if self.unavailable:
            raise PublisherUnavailable("the broker is switched off")
        if event.id in self.refuses:
            raise EventRefused("too-large")
        self.published.append(event)
