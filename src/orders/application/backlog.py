"""The port that measures waiting work, for those who watch the service; `ports` has them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBacklog:
    """The events that waited in one queue at one moment."""

    waiting_orders: int
    """Orders with events that are not parked. A store may stop counting at 10,000."""
    oldest_event_seconds: float
    """The age of the oldest of those events; 0 if there is none. A store may look at the 100 orders
    whose turn comes first, of those never tried and of those tried, and at no others.
    """
    parked_orders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """All work that waited at one moment."""

    new: QueueBacklog
    """Events that no relay has claimed yet. They wait for the log and for all publishers."""
    behind: Mapping[str, QueueBacklog]
    """By publisher: events that wait for that publisher alone. Has every publisher of the store."""
    due_lag_seconds: float
    """By how many seconds the first order is overdue that no worker has claimed; 0 if none is."""


class WorkBacklog(Protocol):
    """Measures the work that waits. A measurement costs a bounded time, however much waits."""

    async def measure(self, *, now: datetime) -> Backlog:
        """What waits now. Claimed work waits until its lease is over. May be repeated.

        Raises:
            StoreUnavailable: If the store gives no answer in time.
        """
        ...
