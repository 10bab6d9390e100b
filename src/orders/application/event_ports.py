"""The ports that events leave by; `ports` has them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from orders.domain.events import RecordedEvent
from orders.domain.identifiers import OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event with the order and tenant it belongs to.

    `position` is its place in the feed, 1, 2, 3 …; None while the relay has not logged it.
    `traceparent` is the W3C trace context of the request that caused it.
    """

    tenant: str
    order_id: OrderId
    recorded: RecordedEvent
    traceparent: str | None = None
    position: int | None = None

    @property
    def id(self) -> str:
        """The same on every delivery."""
        return f"{self.order_id}:{self.recorded.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvents:
    """Events of one order that wait to be relayed, at least one, in sequence.

    `refusals` is how often in a row the broker has refused the first of them.
    """

    events: Sequence[LoggedEvent]
    refusals: int = 0

    @property
    def order_id(self) -> OrderId:
        """Whose events they are."""
        return self.events[0].order_id

    @property
    def first(self) -> int:
        """The sequence number of the first: while it waits, so do the others."""
        return self.events[0].recorded.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvents:
    """Events of one order that wait for a person: the broker takes the first of them never."""

    tenant: str
    order_id: OrderId
    first: int
    """The sequence number of the refused event."""
    waiting: int
    """How many events wait with it, itself included."""
    reason: str
    parked_at: datetime


class EventOutbox(Protocol):
    """The events that were stored with their orders and have not been relayed yet.

    Every method raises `StoreUnavailable` when the store gives no answer in time. All may be
    repeated.
    """

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The waiting events of at most `limit` orders, the longest waiting first.

        A claimed order's events are given to nobody else until the lease is over.
        """
        ...

    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """Take out the orders' events, of each up to a sequence number, and end their claims.

        Events that came meanwhile stay, and can be claimed at once: also parked ones.
        """
        ...

    async def defer(self, waiting: Sequence[WaitingEvents], *, until: datetime) -> None:
        """Give the orders' events to nobody until then, and remember the `refusals` of each.

        Changes nothing of an order if the first of them does not wait any more.
        """
        ...

    async def park(self, waiting: WaitingEvents, *, reason: str, now: datetime) -> None:
        """Give an order's events to nobody until `resend`, nor those that come.

        Changes nothing if the first of them does not wait any more.
        """
        ...

    async def parked(self, *, limit: int) -> Sequence[ParkedEvents]:
        """What is parked, of at most `limit` orders, the longest parked first."""
        ...

    async def resend(self, order_id: OrderId) -> bool:
        """Let an order's parked events be claimed at once; False if none are parked."""
        ...

    async def waiting_of(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's events that have not been relayed, in sequence."""
        ...


class EventLog(Protocol):
    """Every relayed event, for ever, each once."""

    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Log events at the end of the feed. One that is logged already is left as it is."""
        ...

    async def timeline(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's logged events, in sequence."""
        ...

    async def after(self, position: int, *, tenant: str, limit: int) -> Sequence[LoggedEvent]:
        """A tenant's events after a position of the feed, at most `limit`.

        Positions are seen in order: once a reader has seen one, nothing appears before it.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of events that were sent.

    Of all others nothing is known: they may have arrived, and must be sent again.
    """

    confirmed: Mapping[OrderId, int] = field(default_factory=dict)
    """The sequence number up to which the broker has confirmed an order's events."""
    refused: Mapping[OrderId, str] = field(default_factory=dict)
    """Why the broker will never take an order's event after those, as it is."""


class EventPublisher(Protocol):
    """Sends events to other services."""

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, each order's in the order given, and tell what became of them.

        An order's event is sent only once the one before it is confirmed. No order waits for
        another's. Returns within a bounded time, and raises nothing if the broker is lost.
        Sending an event again is allowed; it sends the same bytes.
        """
        ...
