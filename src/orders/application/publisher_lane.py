"""One publisher's lane: when it is tried, and the events that wait for it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from orders.application.ports import (
    Clock,
    EventOutbox,
    EventPublisher,
    Lag,
    Published,
    Unreadable,
    WaitingEvents,
)
from orders.domain.identifiers import OrderId

LEASE = timedelta(seconds=30)
"""How long claimed events are one relay's. Longer than a turn takes."""
AGAIN_AFTER = timedelta(seconds=1)
"""Before something is sent again; doubled each time that it fails."""
AGAIN_AFTER_AT_MOST = timedelta(seconds=8)
"""Before a publisher that is away is tried again."""
REFUSALS_AT_MOST = 5
"""Then the order's events are parked for that publisher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What became of one turn's events."""

    events: int = 0
    """How many of those claimed are not in the turn's queue any more."""
    published: Mapping[str, int] = field(default_factory=dict)
    """How many each publisher has confirmed."""
    parked: tuple[OrderId, ...] = ()
    """Whose events the publisher has refused once too often: they wait for a person."""
    unreadable: tuple[Unreadable, ...] = ()
    """Events that only a newer version can relay. They stay where they are."""


class PublisherLane:
    """Sends to one publisher. Whatever holds it up holds up no other."""

    def __init__(
        self, name: str, publisher: EventPublisher, outbox: EventOutbox, now: Clock
    ) -> None:
        self.name = name
        self._publisher = publisher
        self._outbox = outbox
        self._now = now
        self._failures = 0
        self._try_at = now()
        self._has_backlog = False
        self._late: tuple[Sequence[WaitingEvents], asyncio.Task[Published]] | None = None

    @property
    def is_away(self) -> bool:
        """Whether the publisher could not be reached the last time."""
        return self._failures > 0

    @property
    def keeps_up(self) -> bool:
        """Whether it may be offered new events: none that came before wait, as far as known."""
        return not (self.is_away or self._has_backlog or self._late)

    async def offer(self, waiting: Sequence[WaitingEvents]) -> Published:
        """Send events; remember whether the publisher could be reached, and when to try again."""
        outcome = await self._publisher.publish(
            [event for each in waiting for event in each.events]
        )
        if all(_is_known(each, outcome) for each in waiting):
            self._failures = 0
            return outcome
        self._failures = 1 if outcome.confirmed else self._failures + 1
        self._has_backlog = True
        wait = AGAIN_AFTER * 2 ** min(self._failures - 1, 10)
        self._try_at = self._now() + min(wait, AGAIN_AFTER_AT_MOST)
        return outcome

    def lag_of(
        self, waiting: WaitingEvents, outcome: Published | None, *, now: datetime
    ) -> Lag | None:
        """What it lacks of new events; None if nothing. `told` is None if it was not asked."""
        if outcome is None:
            return Lag(confirmed=waiting.first - 1, again_at=now)
        left = left_of(waiting, outcome)
        if left is None:
            return None
        again_at = self._again_at(left, now)
        return Lag(confirmed=left.first - 1, again_at=again_at, refusals=left.refusals)

    def take_over(self, waiting: Sequence[WaitingEvents], late: asyncio.Task[Published]) -> None:
        """See to events that are still being sent, which the outbox keeps for this lane."""
        self._late = waiting, late

    async def catch_up(self, *, limit: int) -> Relayed:
        """Send what waits for this publisher alone, of at most `limit` orders.

        One that is away is tried with one order, at growing distances; nothing is claimed before.
        """
        if self._late is not None:
            return await self._end_late()
        now = self._now()
        if self.is_away and now < self._try_at:
            return Relayed()
        at_once = 1 if self.is_away else limit
        claimed = await self._outbox.claim_for(self.name, now=now, lease=LEASE, limit=at_once)
        if not self.is_away:
            self._has_backlog = len(claimed) == limit
        ready = [each for each in claimed if each.events]
        relayed = await self._end(ready, await self.offer(ready)) if ready else Relayed()
        return replace(relayed, unreadable=tuple(e.unreadable for e in claimed if e.unreadable))

    async def finish(self) -> None:
        """Wait for what is still being sent."""
        if self._late is not None:
            await self._end_late()

    def abandon(self) -> None:
        """Stop sending. What is not confirmed is claimed again after the lease."""
        if self._late is not None:
            self._late[1].cancel()

    async def _end_late(self) -> Relayed:
        assert self._late is not None
        waiting, task = self._late
        try:
            outcome = await task
        finally:
            self._late = None
        return await self._end(waiting, outcome)

    async def _end(self, claimed: Sequence[WaitingEvents], outcome: Published) -> Relayed:
        left = [rest for each in claimed if (rest := left_of(each, outcome))]
        unfinished = {each.order_id for each in left}
        done = {each.order_id: each.last for each in claimed if each.order_id not in unfinished}
        if done:
            await self._outbox.confirm(self.name, done)
        parked = await self._hold_back(left, outcome)
        events = sum(len(each.events) for each in claimed) - sum(len(each.events) for each in left)
        return Relayed(events=events, published={self.name: events}, parked=parked)

    async def _hold_back(
        self, left: Sequence[WaitingEvents], outcome: Published
    ) -> tuple[OrderId, ...]:
        parked = [each for each in left if each.refusals >= REFUSALS_AT_MOST]
        now = self._now()
        for each in parked:
            reason = outcome.refused[each.order_id]
            await self._outbox.park(self.name, each, reason=reason, now=now)
        by_refusals: dict[int, list[WaitingEvents]] = {}
        for each in left:
            if each.refusals < REFUSALS_AT_MOST:
                by_refusals.setdefault(each.refusals, []).append(each)
        for those in by_refusals.values():
            until = self._again_at(those[0], now)
            await self._outbox.defer(self.name, those, until=until)
        return tuple(each.order_id for each in parked)

    def _again_at(self, left: WaitingEvents, now: datetime) -> datetime:
        if not left.refusals:
            return self._try_at
        wait: timedelta = AGAIN_AFTER * 2**left.refusals
        return now + wait


def left_of(waiting: WaitingEvents, outcome: Published) -> WaitingEvents | None:
    """The events that are not confirmed, with one refusal more if the first of them is refused."""
    confirmed = outcome.confirmed.get(waiting.order_id, 0)
    events = [event for event in waiting.events if event.recorded.sequence > confirmed]
    if not events:
        return None
    before = waiting.refusals if confirmed < waiting.first else 0
    return replace(waiting, events=events, refusals=before + (waiting.order_id in outcome.refused))


def confirmed_of(waiting: Sequence[WaitingEvents], outcome: Published) -> int:
    """How many of the events are confirmed."""
    left = (left_of(each, outcome) for each in waiting)
    return sum(len(each.events) for each in waiting) - sum(len(e.events) for e in left if e)


def _is_known(waiting: WaitingEvents, outcome: Published) -> bool:
    is_confirmed = outcome.confirmed.get(waiting.order_id, 0) >= waiting.last
    return is_confirmed or waiting.order_id in outcome.refused
