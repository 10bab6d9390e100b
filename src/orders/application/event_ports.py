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
class Unreadable:
    """An event of a form that this version does not know: a newer one has written it."""

    order_id: OrderId
    sequence: int
    reason: str

    @property
    def id(self) -> str:
        """The event's id, as `LoggedEvent` has it."""
        return f"{self.order_id}:{self.sequence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvents:
    """Events of one order that wait, in sequence; none if the first of them is unreadable.

    `unreadable` is the event that comes next and cannot be read. Nothing may overtake it.
    """

    order_id: OrderId
    events: Sequence[LoggedEvent]
    unreadable: Unreadable | None = None
    behind: frozenset[str] = frozenset()
    """Of new events: the publishers that still have older events of this order to get."""
    refusals: int = 0
    """Of a publisher's events: how often in a row it has refused the first of them."""

    @property
    def first(self) -> int:
        """The sequence number of the first; there must be one."""
        return self.events[0].recorded.sequence

    @property
    def last(self) -> int:
        """The sequence number of the last; there must be one."""
        return self.events[-1].recorded.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """What a publisher lacks of an order's events: those after `confirmed`."""

    confirmed: int
    again_at: datetime
    """When they are to be sent again."""
    refusals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvents:
    """New events of one order, `first` to `last`, that not every publisher has confirmed."""

    order_id: OrderId
    first: int
    last: int
    lags: Mapping[str, Lag] = field(default_factory=dict)
    """The publishers that have fallen behind with these events."""
    behind: frozenset[str] = frozenset()
    """Those that were behind already, as the claim said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvents:
    """Events of one order that wait for a person: a publisher takes the first of them never."""

    publisher: str
    tenant: str
    order_id: OrderId
    first: int
    """The sequence number of the refused event."""
    waiting: int
    """How many events wait with it, itself included."""
    reason: str
    parked_at: datetime


class EventOutbox(Protocol):
    """The events that were stored with their orders and that not every publisher has confirmed.

    New events wait for all publishers. Where one does not confirm them, the order falls behind
    for that publisher alone: it waits in the publisher's queue, with what comes after it. An
    event stays in the outbox while a publisher is behind with it.

    Publishers are named; a store may know only some names. Every method raises
    `StoreUnavailable` when the store gives no answer in time. All may be repeated.
    """

    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The new events of at most `limit` orders, the longest waiting first.

        A claimed order's new events are given to nobody else until the lease is over.
        """
        ...

    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """End claims of new events that every publisher has confirmed, of each up to a number.

        They are taken out. Events that came meanwhile stay, and can be claimed at once.
        """
        ...

    async def keep(self, kept: Sequence[KeptEvents]) -> None:
        """End claims of new events that some publishers have not confirmed.

        Changes nothing of an order whose first claimed event is not new any more. Events that
        came meanwhile can be claimed at once.
        """
        ...

    async def claim_for(
        self, publisher: str, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """What a publisher lacks of at most `limit` orders whose time has come, first come first.

        New events are not among them. Given to nobody else until the lease is over.
        """
        ...

    async def confirm(self, publisher: str, up_to: Mapping[OrderId, int]) -> None:
        """End a publisher's claims: it has confirmed all that was claimed, up to these numbers.

        What no publisher is behind with any more is taken out.
        """
        ...

    async def defer(
        self, publisher: str, waiting: Sequence[WaitingEvents], *, until: datetime
    ) -> None:
        """Give events to a publisher not before then, and remember the `refusals` of each.

        Of those claimed, the ones before the first of these are confirmed. Changes nothing of
        an order if that publisher has confirmed the first meanwhile, or it is parked.
        """
        ...

    async def park(
        self, publisher: str, waiting: WaitingEvents, *, reason: str, now: datetime
    ) -> None:
        """As `defer`, until `resend`: for this publisher alone, also what comes later."""
        ...

    async def parked(self, *, limit: int, publisher: str | None = None) -> Sequence[ParkedEvents]:
        """What is parked, for one publisher or any, at most `limit`, the longest parked first."""
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
    """Events that were looked for; those that this version cannot read are named."""

    events: Sequence[LoggedEvent] = ()
    unreadable: Sequence[Unreadable] = ()
    end: int | None = None
    """Of a part of the feed: the position of the last one, readable or not; None of nothing."""


class EventLog(Protocol):
    """Every relayed event, for ever, each once."""

    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Log events at the end of the feed. One that is logged already is left as it is."""
        ...

    async def timeline(self, order_id: OrderId) -> FoundEvents:
        """An order's logged events, in sequence."""
        ...

    async def cause_of(self, order_id: OrderId) -> str | None:
        """The traceparent of an order's first event; None if it has none, or is not logged yet."""
        ...

    async def after(self, position: int, *, tenant: str, limit: int) -> FoundEvents:
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
