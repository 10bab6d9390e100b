"""The gauges of waiting work, as a worker publishes them."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from orders.application.errors import StoreUnavailable
from orders.application.ports import Backlog, Clock, WorkBacklog
from orders.entrypoints.observability import metrics


class BacklogGauges:
    """Measures the work that waits, and publishes it."""

    def __init__(self, backlog: WorkBacklog, publishers: Sequence[str], now: Clock) -> None:
        self._backlog = backlog
        self._publishers = publishers
        self._now = now

    async def publish(self) -> None:
        """Set the gauges. They are not-a-number while the store gives no answer."""
        try:
            found = await self._backlog.measure(now=self._now())
        except StoreUnavailable:
            self._set_unknown()
        else:
            self._set(found)

    def _set(self, found: Backlog) -> None:
        queues = [found.new, *found.behind.values()]
        metrics.OUTBOX_WAITING.set(sum(each.waiting_orders for each in queues))
        metrics.OUTBOX_OLDEST.set(max(each.oldest_event_seconds for each in queues))
        metrics.OUTBOX_PARKED.set(sum(each.parked_orders for each in queues))
        metrics.DUE_WORK_LAG.set(found.due_lag_seconds)
        for name in self._publishers:
            metrics.PUBLISHER_WAITING.labels(name).set(found.behind[name].waiting_orders)

    def _set_unknown(self) -> None:
        for gauge in (
            metrics.OUTBOX_WAITING,
            metrics.OUTBOX_OLDEST,
            metrics.OUTBOX_PARKED,
            metrics.DUE_WORK_LAG,
            *(metrics.PUBLISHER_WAITING.labels(name) for name in self._publishers),
        ):
            gauge.set(nan)
