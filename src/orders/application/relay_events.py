"""Relay events from the orders they were stored with to the log and the broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from orders.application.ports import (
    Clock,
    EventLog,
    EventOutbox,
    EventPublisher,
    LoggedEvent,
    Published,
    WaitingEvents,
)
from orders.domain.identifiers import OrderId

LEASE = timedelta(seconds=30)
"""How long claimed events are one relay's. Longer than a turn takes."""
AGAIN_AFTER = timedelta(seconds=1)
"""Before events are sent again; doubled each time that the broker refuses one."""
REFUSALS_AT_MOST = 5
"""Then the order's events are parked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What became of one turn's events."""

    events: int = 0
    """How many the broker has confirmed."""
    unconfirmed: int = 0
    """How many orders have one of unknown fate, to be sent again."""
    parked: tuple[OrderId, ...] = ()
    """Whose events the broker has refused once too often: they wait for a person."""


class RelayEvents:
    """One relay's turn: log, publish, and only then forget. Any number of relays may run."""

    def __init__(
        self, outbox: EventOutbox, log: EventLog, publisher: EventPublisher | None, now: Clock
    ) -> None:
        self._outbox = outbox
        self._log = log
        self._publisher = publisher
        self._now = now

    async def __call__(self, *, limit: int) -> Relayed:
        """Relay the waiting events of at most `limit` orders.

        Whatever dies in here, the events are claimed again after the lease: each is logged
        once, and published at least once, in order per order. An order whose event the broker
        does not take holds up no other.
        """
        claimed = await self._outbox.claim(now=self._now(), lease=LEASE, limit=limit)
        events = [event for waiting in claimed for event in waiting.events]
        if not events:
            return Relayed()
        await self._log.append(events)
        told = await self._publish(events)
        left = [rest for waiting in claimed if (rest := _left_of(waiting, told))]
        await self._outbox.remove(told.confirmed)
        await self._hold_back(left, told)
        return Relayed(
            events=len(events) - sum(len(rest.events) for rest in left),
            unconfirmed=sum(rest.order_id not in told.refused for rest in left),
            parked=tuple(e.order_id for e in left if e.refusals >= REFUSALS_AT_MOST),
        )

    async def _publish(self, events: Sequence[LoggedEvent]) -> Published:
        if self._publisher is None:
            return Published(confirmed={each.order_id: each.recorded.sequence for each in events})
        return await self._publisher.publish(events)

    async def _hold_back(self, left: Sequence[WaitingEvents], told: Published) -> None:
        now = self._now()
        by_refusals: dict[int, list[WaitingEvents]] = {}
        for rest in left:
            by_refusals.setdefault(rest.refusals, []).append(rest)
        for refusals, those in by_refusals.items():
            if refusals < REFUSALS_AT_MOST:
                await self._outbox.defer(those, until=now + AGAIN_AFTER * 2**refusals)
                continue
            for rest in those:
                await self._outbox.park(rest, reason=told.refused[rest.order_id], now=now)


def _left_of(waiting: WaitingEvents, told: Published) -> WaitingEvents | None:
    """The events that the broker has not confirmed, with one refusal more if it was one."""
    order_id = waiting.order_id
    confirmed = told.confirmed.get(order_id, 0)
    events = [event for event in waiting.events if event.recorded.sequence > confirmed]
    if not events:
        return None
    before = waiting.refusals if confirmed < waiting.first else 0
    return WaitingEvents(events=events, refusals=before + (order_id in told.refused))
