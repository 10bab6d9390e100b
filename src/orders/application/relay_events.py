"""Move events from the orders that they are stored with to the log and to the publishers."""

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
from orders.application.publisher_queue import (
    RELAY_LEASE,
    PublisherQueue,
    Relayed,
    count_confirmed,
)
from orders.domain.identifiers import OrderId

SLOWER_PUBLISHER_GRACE = timedelta(milliseconds=500)
"""How much longer than the first publisher another may take before the relay goes on without it."""


class RelayEvents:
    """Claims new events, logs and publishes them, and then removes them from the outbox.

    Any number of relays may run. New events are sent to all publishers at once. One that does not
    confirm them falls behind: `PublisherQueue.send_waiting` sends them, and no other publisher
    waits for it.
    """

    def __init__(
        self,
        outbox: EventOutbox,
        log: EventLog,
        publishers: Mapping[str, EventPublisher],
        now: Clock,
    ) -> None:
        """Take the publishers by name. Events that wait for another name go on waiting."""
        self._outbox = outbox
        self._log = log
        self._now = now
        self.queues = [
            PublisherQueue(name, publisher, outbox, now)
            for name, publisher in sorted(publishers.items())
        ]

    async def __call__(self, *, limit: int) -> Relayed:
        """Relay the new events of at most `limit` orders.

        If this process dies at any point, the events are claimed again after `RELAY_LEASE`. Each is
        logged once and published at least once, each order's in sequence. An order whose event a
        publisher refuses delays no other order.
        """
        claimed = await self._outbox.claim(now=self._now(), lease=RELAY_LEASE, limit=limit)
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
        sent = {
            queue.name: those
            for queue in self.queues
            if queue.takes_new_events and (those := _without_older(ready, queue.name))
        }
        tasks = {
            queue.name: asyncio.create_task(queue.publish(sent[queue.name]))
            for queue in self.queues
            if queue.name in sent
        }
        try:
            await _wait_for_first_and_grace(tasks.values())
            outcome = {name: task.result() for name, task in tasks.items() if task.done()}
            late = tasks.keys() - outcome.keys()
            await self._end_claims(ready, outcome, late)
        except BaseException:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        for queue in self.queues:
            if queue.name in late:
                queue.finish_later(sent[queue.name], tasks[queue.name])
        return {name: count_confirmed(sent[name], each) for name, each in outcome.items()}

    async def _end_claims(
        self,
        ready: Sequence[WaitingEvents],
        outcome: Mapping[str, Published],
        late: Collection[str],
    ) -> None:
        """Remove what every publisher confirmed; keep the rest for the publishers that lack it."""
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
        for queue in self.queues:
            if queue.name in waiting.behind:
                continue
            if queue.name in late:
                # This relay is still sending them: no other may claim them meanwhile.
                lags[queue.name] = Lag(confirmed=waiting.first - 1, again_at=now + RELAY_LEASE)
            elif lag := queue.lag_of(waiting, outcome.get(queue.name), now=now):
                lags[queue.name] = lag
        return lags


def _without_older(ready: Sequence[WaitingEvents], publisher: str) -> Sequence[WaitingEvents]:
    """New events of orders of which the publisher has all older events."""
    return [each for each in ready if publisher not in each.behind]


async def _wait_for_first_and_grace(tasks: Collection[asyncio.Task[Published]]) -> None:
    if not tasks:
        return
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if others:
        await asyncio.wait(others, timeout=SLOWER_PUBLISHER_GRACE.total_seconds())
