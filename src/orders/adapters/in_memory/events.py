"""`EventLog` and `EventPublisher` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orders.adapters.messages import encode
from orders.application.errors import PublisherUnavailable, StoreUnavailable
from orders.application.ordered_publishing import EventRefused, prepared, publish_in_order
from orders.application.ports import FoundEvents, LoggedEvent, Published
from orders.domain.identifiers import OrderId


class InMemoryEventLog:
    """The log as a list: the position of an event is its place in the list.

    `lose_majority` works as in `InMemoryOutbox`, but no read returns what is written meanwhile.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self._events: dict[str, LoggedEvent] = {}
        self._durable: dict[str, LoggedEvent] | None = None

    def lose_majority(self) -> None:
        """Stop replicating: later writes fail, and stay on this server only."""
        self._durable = {**self._events}

    def regain_majority(self, *, undone: bool) -> None:
        """Replicate again, and either keep or undo what was written meanwhile."""
        if undone and self._durable is not None:
            self._events = self._durable
        self._durable = None

    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Add events at the end of the feed. An event that is logged already stays as it is."""
        self._require_available()
        for event in events:
            if event.id not in self._events:
                self._events[event.id] = replace(event, position=len(self._events) + 1)
        if self._durable is not None:
            raise StoreUnavailable("the write has not reached a majority of the servers")

    async def timeline(self, order_id: OrderId) -> FoundEvents:
        """An order's logged events, in sequence."""
        self._require_available()
        own = [event for event in self._read().values() if event.order_id == order_id]
        return FoundEvents(events=sorted(own, key=lambda event: event.recorded.sequence))

    async def cause_of(self, order_id: OrderId) -> str | None:
        """The traceparent of an order's first event; None if it has none, or is not logged yet."""
        self._require_available()
        first = self._read().get(f"{order_id}:1")
        return None if first is None else first.traceparent

    async def after(self, position: int, *, tenant: str, limit: int) -> FoundEvents:
        """A tenant's events after a position of the feed, at most `limit`."""
        self._require_available()
        later = [event for event in [*self._read().values()][position:] if event.tenant == tenant]
        found = later[:limit]
        return FoundEvents(events=found, end=found[-1].position if found else None)

    async def between(
        self, start: datetime, end: datetime, *, position: int, limit: int
    ) -> FoundEvents:
        """The events of all tenants in a span of time, among the next `limit` positions."""
        self._require_available()
        page = [*self._read().values()][position : position + limit]
        found = [event for event in page if start <= event.recorded.occurred_at < end]
        return FoundEvents(events=found, end=page[-1].position if page else None)

    def _read(self) -> dict[str, LoggedEvent]:
        return self._events if self._durable is None else self._durable

    def _require_available(self) -> None:
        if self.unavailable:
            raise StoreUnavailable("the log is switched off")


class InMemoryPublisher:
    """A publisher that appends each delivery to `published`, repeated ones included.

    It refuses messages of more than `max_bytes`.
    """

    def __init__(self, *, max_bytes: int = 1_000_000) -> None:
        self.unavailable = False
        self.max_bytes = max_bytes
        self.published: list[LoggedEvent] = []

    async def prepare(self) -> bool:
        """Return whether the broker is switched on."""
        return await prepared(self)

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, those of each order in the sequence given. Returns the outcome."""
        return await publish_in_order(events, self, within_seconds=1)

    async def ready(self) -> None:
        """Check that the broker is switched on."""
        if self.unavailable:
            raise PublisherUnavailable("the broker is switched off")

    async def send(self, event: LoggedEvent) -> None:
        """Append the event to `published`."""
        if self.unavailable:
            raise PublisherUnavailable("the broker is switched off")
        if len(encode(event)) > self.max_bytes:
            raise EventRefused("too-large")
        self.published.append(event)
