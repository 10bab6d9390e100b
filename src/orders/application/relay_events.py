"""Relay events from the orders they were stored with to the log and the publishers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from orders.application.ports import (
    Clock,
    EventLog,
    EventOutbox,
    EventPublisher,
    KeptEvents,
    Lag,
    Published,
    WaitingEvents,
)
from orders.application.publisher_lane import LEASE, PublisherLane, Relayed, confirmed_of
from orders.domain.identifiers import OrderId

SLOWER_PUBLISHERS_WAIT = timedelta(milliseconds=500)
"""How much longer than the first publisher the others may take before they are left behind."""


class RelayEvents:
    """One relay's turn: log, publish, and only then forget. Any number of relays may run.

    New events are offered to all publishers at once. One that does not confirm them falls behind:
    it gets them in its lane, by `PublisherLane.catch_up`, and no other waits for it.
    """

    def __init__(
        self,
        outbox: EventOutbox,
        log: EventLog,
        publishers: Mapping[str, EventPublisher],
        now: Clock,
    ) -> None:
        """Take the publishers by name. What waits for another goes on waiting."""
        self._outbox = outbox
        self._log = log
        self._now = now
        self.lanes = [
            PublisherLane(name, publisher, outbox, now)
            for name, publisher in sorted(publishers.items())
        ]

    async def __call__(self, *, limit: int) -> Relayed:
        """Relay the new events of at most `limit` orders.

        Whatever dies in here, the events are claimed again after the lease: each is logged
        once, and published at least once, in order per order. An order whose event a publisher
        does not take holds up no other.
        """
        claimed = await self._outbox.claim(now=self._now(), lease=LEASE, limit=limit)
        ready = [each for each in claimed if each.events]
        published: Mapping[str, int] = {}
        if ready:
            await self._log.append([event for each in ready for event in each.events])
            published = await self._publish(ready)
        return Relayed(
            events=sum(len(each.events) for each in ready),
            published=published,
            unreadable=tuple(each.unreadable for each in claimed if each.unreadable),
        )

    async def _publish(self, ready: Sequence[WaitingEvents]) -> Mapping[str, int]:
        offered = {
            lane.name: those
            for lane in self.lanes
            if lane.keeps_up and (those := [e for e in ready if lane.name not in e.behind])
        }
        tasks = {
            lane.name: asyncio.create_task(lane.offer(offered[lane.name]))
            for lane in self.lanes
            if lane.name in offered
        }
        try:
            await _patiently(tasks.values())
            outcome = {name: task.result() for name, task in tasks.items() if task.done()}
            late = tasks.keys() - outcome.keys()
            await self._end(ready, outcome, late)
        except BaseException:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        for lane in self.lanes:
            if lane.name in late:
                lane.take_over(offered[lane.name], tasks[lane.name])
        return {name: confirmed_of(offered[name], each) for name, each in outcome.items()}

    async def _end(
        self,
        ready: Sequence[WaitingEvents],
        outcome: Mapping[str, Published],
        late: Collection[str],
    ) -> None:
        now = self._now()
        done: dict[OrderId, int] = {}
        kept: list[KeptEvents] = []
        for each in ready:
            lags = self._lags(each, outcome, late, now)
            if lags or each.behind:
                kept.append(
                    KeptEvents(
                        order_id=each.order_id,
                        first=each.first,
                        last=each.last,
                        lags=lags,
                        behind=each.behind,
                    )
                )
            else:
                done[each.order_id] = each.last
        if done:
            await self._outbox.remove(done)
        if kept:
            await self._outbox.keep(kept)

    def _lags(
        self,
        waiting: WaitingEvents,
        outcome: Mapping[str, Published],
        late: Collection[str],
        now: datetime,
    ) -> Mapping[str, Lag]:
        lags: dict[str, Lag] = {}
        for lane in self.lanes:
            if lane.name in waiting.behind:
                continue
            if lane.name in late:
                # Claimed already, by this relay's own lane.
                lags[lane.name] = Lag(confirmed=waiting.first - 1, again_at=now + LEASE)
            elif lag := lane.lag_of(waiting, outcome.get(lane.name), now=now):
                lags[lane.name] = lag
        return lags


async def _patiently(tasks: Collection[asyncio.Task[Published]]) -> None:
    """Wait for the first, and a little for the others."""
    if not tasks:
        return
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if others:
        await asyncio.wait(others, timeout=SLOWER_PUBLISHERS_WAIT.total_seconds())
