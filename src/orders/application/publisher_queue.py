"""Send one publisher its events, and keep those that it has not confirmed."""

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

RELAY_LEASE = timedelta(seconds=30)
"""How long claimed events belong to one relay. Publishing them takes less."""
RETRY_DELAY = timedelta(seconds=1)
"""The wait before the first retry of a publisher or an event. Each failure doubles it."""
MAX_RETRY_DELAY = timedelta(seconds=8)
"""The longest wait before the next try of a publisher that cannot be reached."""
MAX_REFUSALS = 5
"""Refusals of one event after which the events of its order are parked for that publisher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """The result of one call that claims events and sends them."""

    events: int = 0
    """How many of the claimed events left the queue that they were claimed from."""
    published: Mapping[str, int] = field(default_factory=dict)
    """How many events each publisher confirmed."""
    parked: tuple[OrderId, ...] = ()
    """The orders whose events were parked: an operator must resend them."""
    unreadable: tuple[Unreadable, ...] = ()
    """Events that only a newer version can read. They stay in their queue."""


class PublisherQueue:
    """The events that wait for one publisher. A publisher that fails delays no other."""

    def __init__(
        self, name: str, publisher: EventPublisher, outbox: EventOutbox, now: Clock
    ) -> None:
        self.name = name
        self._publisher = publisher
        self._outbox = outbox
        self._now = now
        self._failures = 0
        self._try_at = now()
        self._is_prepared: bool | None = None  # None: not tried
        self._has_backlog = False
        self._late: tuple[Sequence[WaitingEvents], asyncio.Task[Published]] | None = None

    @property
    def is_unreachable(self) -> bool:
        """Whether the publisher could not be reached at the last try."""
        return self._failures > 0

    @property
    def takes_new_events(self) -> bool:
        """Whether new events may be sent now: no older ones are known to wait."""
        return not (self.is_unreachable or self._has_backlog or self._late)

    async def publish(self, waiting: Sequence[WaitingEvents]) -> Published:
        """Send events. If the publisher cannot be reached, set when to try it again."""
        outcome = await self._publisher.publish(
            [event for each in waiting for event in each.events]
        )
        if all(_is_settled(each, outcome) for each in waiting):
            self._failures = 0
            return outcome
        self._has_backlog = True
        self._record_failure(1 if outcome.confirmed else self._failures + 1)
        return outcome

    def lag_of(
        self, waiting: WaitingEvents, outcome: Published | None, *, now: datetime
    ) -> Lag | None:
        """What the publisher lacks of new events; None if nothing.

        Without an outcome the events were not sent. They may be sent at once.
        """
        if outcome is None:
            return Lag(confirmed=waiting.first - 1, again_at=now)
        left = unconfirmed_of(waiting, outcome)
        if left is None:
            return None
        again_at = self._retry_at(left, now)
        return Lag(confirmed=left.first - 1, again_at=again_at, refusals=left.refusals)

    def finish_later(
        self, waiting: Sequence[WaitingEvents], sending: asyncio.Task[Published]
    ) -> None:
        """Take events that are still being sent. The outbox keeps them for this publisher."""
        self._late = waiting, sending

    async def send_waiting(self, *, limit: int) -> Relayed:
        """Send the events in this publisher's queue, of at most `limit` orders.

        If the publisher could not be reached, this does nothing until the wait is over. Then it
        tries with one order. Before all else the publisher is prepared, once: consumers need no
        event to find what they bind to.
        """
        if self._late is not None:
            return await self._finish_late()
        now = self._now()
        if self.is_unreachable and now < self._try_at:
            return Relayed()
        if not self._is_prepared:
            was_away = self._is_prepared is False
            self._is_prepared = await self._publisher.prepare()
            if not self._is_prepared:
                self._record_failure(self._failures + 1)
                return Relayed()
            if was_away:
                self._failures = 0
        most = 1 if self.is_unreachable else limit
        claimed = await self._outbox.claim_for(self.name, now=now, lease=RELAY_LEASE, limit=most)
        if not self.is_unreachable:
            self._has_backlog = len(claimed) == limit
        ready = [each for each in claimed if each.events]
        relayed = await self._store(ready, await self.publish(ready)) if ready else Relayed()
        return replace(relayed, unreadable=tuple(e.unreadable for e in claimed if e.unreadable))

    async def finish(self) -> None:
        """Wait for events that are still being sent."""
        if self._late is not None:
            await self._finish_late()

    def cancel(self) -> None:
        """Stop sending. Events without a confirmation are claimed again after the lease."""
        if self._late is not None:
            self._late[1].cancel()

    def _record_failure(self, failures: int) -> None:
        self._failures = failures
        wait = RETRY_DELAY * 2 ** min(failures - 1, 10)
        self._try_at = self._now() + min(wait, MAX_RETRY_DELAY)

    async def _finish_late(self) -> Relayed:
        assert self._late is not None
        waiting, sending = self._late
        try:
            outcome = await sending
        finally:
            self._late = None
        return await self._store(waiting, outcome)

    async def _store(self, claimed: Sequence[WaitingEvents], outcome: Published) -> Relayed:
        """End the claims: confirm what was confirmed, defer or park the rest."""
        left = [rest for each in claimed if (rest := unconfirmed_of(each, outcome))]
        unfinished = {each.order_id for each in left}
        done = {each.order_id: each.last for each in claimed if each.order_id not in unfinished}
        if done:
            await self._outbox.confirm(self.name, done)
        parked = await self._defer_or_park(left, outcome)
        events = sum(len(each.events) for each in claimed) - sum(len(each.events) for each in left)
        return Relayed(events=events, published={self.name: events}, parked=parked)

    async def _defer_or_park(
        self, left: Sequence[WaitingEvents], outcome: Published
    ) -> tuple[OrderId, ...]:
        parked = [each for each in left if each.refusals >= MAX_REFUSALS]
        now = self._now()
        for each in parked:
            reason = outcome.refused[each.order_id]
            await self._outbox.park(self.name, each, reason=reason, now=now)
        by_refusals: dict[int, list[WaitingEvents]] = {}
        for each in left:
            if each.refusals < MAX_REFUSALS:
                by_refusals.setdefault(each.refusals, []).append(each)
        for those in by_refusals.values():
            until = self._retry_at(those[0], now)
            await self._outbox.defer(self.name, those, until=until)
        return tuple(each.order_id for each in parked)

    def _retry_at(self, left: WaitingEvents, now: datetime) -> datetime:
        if not left.refusals:
            return self._try_at
        wait: timedelta = RETRY_DELAY * 2**left.refusals
        return now + wait


def unconfirmed_of(waiting: WaitingEvents, outcome: Published) -> WaitingEvents | None:
    """The events without a confirmation; None if there are none.

    A refusal of the first of them is added to its `refusals`.
    """
    confirmed = outcome.confirmed.get(waiting.order_id, 0)
    events = [event for event in waiting.events if event.recorded.sequence > confirmed]
    if not events:
        return None
    before = waiting.refusals if confirmed < waiting.first else 0
    return replace(waiting, events=events, refusals=before + (waiting.order_id in outcome.refused))


def count_confirmed(waiting: Sequence[WaitingEvents], outcome: Published) -> int:
    """How many of the events are confirmed."""
    left = (unconfirmed_of(each, outcome) for each in waiting)
    return sum(len(each.events) for each in waiting) - sum(len(e.events) for e in left if e)


def _is_settled(waiting: WaitingEvents, outcome: Published) -> bool:
    """Whether the publisher confirmed an order's events or refused one: it could be reached."""
    is_confirmed = outcome.confirmed.get(waiting.order_id, 0) >= waiting.last
    return is_confirmed or waiting.order_id in outcome.refused
