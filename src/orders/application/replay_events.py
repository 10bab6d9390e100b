"""Send events again that a publisher has had: for a consumer that came later, or lost them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orders.application.access import Caller, Operation, require
from orders.application.errors import PublisherUnavailable
from orders.application.ports import (
    EventLog,
    EventOutbox,
    EventPublisher,
    FoundEvents,
    LoggedEvent,
    Unreadable,
)
from orders.domain.identifiers import OrderId

PAGE = 1_000
"""How many positions of the feed are looked at at once, and events sent at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpan:
    """The events of all tenants that happened from `start` on and before `end`; both are aware."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The outcome of one page."""

    sent: int = 0
    """How many events the publisher has confirmed."""
    waiting: int = 0
    """How many were left out: they wait in the outbox, and the worker sends them."""
    refused: Mapping[OrderId, str] = field(default_factory=dict)
    """Why the publisher refuses an event of an order. The later ones are not sent."""
    unreadable: Sequence[Unreadable] = ()
    """Events that only a newer version of the service can send."""
    position: int | None = None
    """Of a span: the position of the feed up to which it was looked at."""


class ReplayEvents:
    """Sends logged events to one publisher again, with the same ids and bytes.

    Consumers see them as duplicates that arrive late. Each order's events are sent in sequence.
    Every call may be repeated.
    """

    def __init__(
        self, log: EventLog, outbox: EventOutbox, publishers: Mapping[str, EventPublisher]
    ) -> None:
        """Take the publishers by name."""
        self._log = log
        self._outbox = outbox
        self._publishers = publishers

    async def __call__(
        self, what: OrderId | EventSpan, *, publisher: str, caller: Caller
    ) -> AsyncIterator[Replayed]:
        """Send the events of an order, or of a span of time. Gives each page once it is sent.

        Raises:
            Forbidden: If the caller is no operator.
            KeyError: If there is no such publisher.
            PublisherUnavailable: If the publisher does not confirm. What it was given before is
                sent; repeat the call.
        """
        require(caller, Operation.REPLAY_EVENTS)
        target = self._publishers[publisher]
        refused: dict[OrderId, str] = {}
        async for page in self._pages(what):
            ready = await self._confirmed_before(page.events)
            wanted = [event for event in ready if event.order_id not in refused]
            outcome = await target.publish(wanted)
            refused |= outcome.refused
            unsent = [e for e in wanted if _lacks(outcome.confirmed, e)]
            if any(event.order_id not in refused for event in unsent):
                raise PublisherUnavailable(f"{publisher} does not confirm")
            yield Replayed(
                sent=len(wanted) - len(unsent),
                waiting=len(page.events) - len(ready),
                refused=outcome.refused,
                unreadable=page.unreadable,
                position=page.end,
            )

    async def _pages(self, what: OrderId | EventSpan) -> AsyncIterator[FoundEvents]:
        if not isinstance(what, EventSpan):
            found = await self._log.timeline(what)
            yield FoundEvents(events=found.events[:PAGE], unreadable=found.unreadable)
            for start in range(PAGE, len(found.events), PAGE):
                yield FoundEvents(events=found.events[start : start + PAGE])
            return
        position: int | None = 0
        while position is not None:
            page = await self._log.between(what.start, what.end, position=position, limit=PAGE)
            if page.end is not None:
                yield page
            position = page.end

    async def _confirmed_before(self, events: Sequence[LoggedEvent]) -> Sequence[LoggedEvent]:
        """The events that every publisher has had: none is sent before the ones it follows."""
        first: dict[OrderId, int] = {}
        for order_id in {event.order_id for event in events}:
            found = await self._outbox.waiting_of(order_id)
            waiting = [event.recorded.sequence for event in found.events]
            waiting += [event.sequence for event in found.unreadable]
            if waiting:
                first[order_id] = min(waiting)
        return [e for e in events if e.recorded.sequence < first.get(e.order_id, 2**63)]


def _lacks(confirmed: Mapping[OrderId, int], event: LoggedEvent) -> bool:
    return event.recorded.sequence > confirmed.get(event.order_id, 0)
