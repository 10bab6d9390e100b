"""The ports of events: outbox, log and publishers; `ports` has them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from orders.domain.events import RecordedEvent
from orders.domain.identifiers import OrderId


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event with its order and tenant.

    `position` is its place in the feed, from 1 on without a gap; None before the relay has logged
    it. `traceparent` is the W3C trace context of the request that caused it.
    """

    tenant: str
    order_id: OrderId
    recorded: RecordedEvent
    traceparent: str | None = None
    position: int | None = None

    @property
    def id(self) -> str:
        """The event's id. It is the same on every delivery."""
        return f"{self.order_id}:{self.recorded.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An event that this version of the service cannot read: a newer one has written it."""

    order_id: OrderId
    sequence: int
    reason: str

    @property
    def id(self) -> str:
        """The event's id, as `LoggedEvent` has it."""
        return f"{self.order_id}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvents:
    """The waiting events of one order, in sequence, up to the first that cannot be read.

    `unreadable` is that one. The events after it are not among these: none may overtake it.
    """

    order_id: OrderId
    events: Sequence[LoggedEvent]
    unreadable: Unreadable | None = None
    behind: frozenset[str] = frozenset()
    """Of new events: the publishers that lack older events of this order."""
    refusals: int = 0
    """Of a publisher's events: how many times in a row it has refused the first of them."""

    @property
    def first(self) -> int:
        """The sequence number of the first event; there must be one."""
        return self.events[0].recorded.sequence

    @property
    def last(self) -> int:
        """The sequence number of the last event; there must be one."""
        return self.events[-1].recorded.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """The events of an order that a publisher lacks: those after the number `confirmed`."""

    confirmed: int
    again_at: datetime
    """When they may be sent again."""
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvents:
    """New events of one order, `first` to `last`, that some publisher has not confirmed."""

    order_id: OrderId
    first: int
    last: int
    lags: Mapping[str, Lag] = field(default_factory=dict)
    """The publishers that did not confirm all of these events, and what each lacks."""
    behind: frozenset[str] = frozenset()
    """The publishers that lacked older events already, as the claim said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvents:
    """Events of one order that wait for a person: a publisher has refused the first for good."""

    publisher: str
    tenant: str
    order_id: OrderId
    first: int
    """The sequence number of the refused event."""
    waiting: int
    """How many events wait, the refused one included."""
    reason: str
    parked_at: datetime


class EventOutbox(Protocol):
    """The events that are stored with their orders until every publisher has confirmed them.

    New events wait for all publishers. If one publisher does not confirm them, they wait in the
    queue of that publisher alone, with the later events of the same order. An event leaves the
    outbox when no publisher lacks it.

    Publishers are named; a store may know only some names. Every method raises `StoreUnavailable`
    if the store gives no answer in time. Every method may be repeated.
    """

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The new events of at most `limit` orders, the longest waiting first.

        No other claim gets the new events of these orders before the lease is over.
        """
        ...

    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """Remove new events that every publisher has confirmed, and end their claims.

        `up_to` has the last sequence number by order. Events that were stored meanwhile stay, and
        can be claimed at once.
        """
        ...

    async def keep(self, kept: Sequence[KeptEvents]) -> None:
        """Move new events to the queues of the publishers that lack them, and end their claims.

        Changes nothing for an order whose first claimed event is not new any more. Events that
        were stored meanwhile can be claimed at once.
        """
        ...

    async def claim_for(
        self, publisher: str, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """What a publisher lacks of at most `limit` orders that are due, the earliest due first.

        New events are not among these. No other claim gets them before the lease is over.
        """
        ...

    async def confirm(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        """End a publisher's claims: it has confirmed all claimed events, up to these numbers.

        Events that no publisher lacks any more are removed.
        """
        ...

    async def defer(
        self, publisher: str, waiting: Sequence[WaitingEvents], *, until: datetime
    ) -> None:
        """Let a publisher's events be claimed from `until` on, and store the `refusals` of each.

        The claimed events before the first of these count as confirmed. Changes nothing for an
        order if the publisher has confirmed the first meanwhile, or its events are parked.
        """
        ...

    async def park(
        self, publisher: str, waiting: WaitingEvents, *, reason: str, now: datetime
    ) -> None:
        """As `defer`, until `resend`. The order's later events wait too, for this publisher."""
        ...

    async def parked(self, *, limit: int, publisher: str | None = None) -> Sequence[ParkedEvents]:
        """At most `limit` parked orders, of one publisher or all, the longest parked first."""
        ...

    async def resend(self, order_id: OrderId, publisher: str) -> bool:
        """Let a publisher's parked events be claimed at once; False if none are parked."""
        ...

    async def unreadable(self, *, limit: int) -> Sequence[Unreadable]:
        """New events that this version cannot read, the first of each of at most `limit` orders."""
        ...

    async def waiting_of(self, order_id: OrderId) -> FoundEvents:
        """An order's events that are still in the outbox, in sequence."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvents:
    """The events of a search, and those that this version cannot read."""

    events: Sequence[LoggedEvent] = ()
    unreadable: Sequence[Unreadable] = ()
    end: int | None = None
    """Of a page of the feed: the last position that was looked at; None if there is none."""


class EventLog(Protocol):
    """All relayed events, each once. None is ever removed."""

    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Add events at the end of the feed. An event that is logged already stays as it is."""
        ...

    async def timeline(self, order_id: OrderId) -> FoundEvents:
        """An order's logged events, in sequence."""
        ...

    async def cause_of(self, order_id: OrderId) -> str | None:
        """The traceparent of an order's first event; None if it has none, or is not logged yet."""
        ...

    async def after(self, position: int, *, tenant: str, limit: int) -> FoundEvents:
        """A tenant's events after a position of the feed, at most `limit`.

        Positions appear in order: once a reader has seen one, no event appears before it.
        """
        ...

    async def between(
        self, start: datetime, end: datetime, *, position: int, limit: int
    ) -> FoundEvents:
        """The events of all tenants that happened from `start` on and before `end`.

        Only the next `limit` positions of the feed are looked at, so a page may be empty. Its `end`
        is the last of these positions, and None at the end of the feed.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The outcome of sending events.

    An event that is neither confirmed nor refused may have arrived. It must be sent again.
    """

    confirmed: Mapping[OrderId, int] = field(default_factory=dict)
    """The sequence number up to which the broker has confirmed an order's events."""
    refused: Mapping[OrderId, str] = field(default_factory=dict)
    """Why the broker refuses for good the order's first event after those."""


class EventPublisher(Protocol):
    """Sends events to other services."""

    async def prepare(self) -> bool:
        """Connect, and make what consumers bind to or read, so that they need not wait for events.

        Returns False, within a bounded time, if the broker cannot be reached. `publish` does the
        same at need. The call may be repeated.
        """
        ...

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, those of each order in the sequence given.

        An event is sent after the broker has confirmed the one before it of the same order. No
        order waits for another. Returns within a bounded time, and raises nothing if the broker is
        lost. The call may be repeated: the same event has the same bytes.
        """
        ...
