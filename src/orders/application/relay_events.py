"""Relay events from the orders they were stored with to the log and the broker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from orders.application.ports import Clock, EventLog, EventOutbox, EventPublisher, LoggedEvent

LEASE = timedelta(seconds=30)
"""How long claimed events are one relay's."""


class RelayEvents:
    """One relay's turn: log, publish, and only then forget. Any number of relays may run."""

    def __init__(
        self, outbox: EventOutbox, log: EventLog, publisher: EventPublisher | None, now: Clock
    ) -> None:
        self._outbox = outbox
        self._log = log
        self._publisher = publisher
        self._now = now

    async def __call__(self, *, limit: int) -> int:
        """Relay the waiting events of at most `limit` orders; returns how many events.

        Whatever dies in here, the events are claimed again after the lease: each is logged
        once, and published at least once, in order per order.

        Raises:
            PublisherUnavailable: If the broker did not confirm. Nothing was forgotten.
        """
        batches = await self._outbox.claim(now=self._now(), lease=LEASE, limit=limit)
        events = [event for batch in batches for event in batch]
        if not events:
            return 0
        await self._log.append(events)
        if self._publisher is not None:
            await self._publisher.publish(events)
        for batch in batches:
            await self._forget(batch)
        return len(events)

    async def _forget(self, batch: Sequence[LoggedEvent]) -> None:
        last = batch[-1]
        await self._outbox.remove(last.order_id, up_to=last.recorded.sequence)
