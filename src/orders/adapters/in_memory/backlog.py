"""`WorkBacklog` in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from orders.adapters.in_memory.outbox import InMemoryOutbox
from orders.application.ports import Backlog, LoggedEvent, QueueBacklog


class InMemoryBacklog:
    """Measures what waits in an outbox in memory, and which of its orders are overdue."""

    def __init__(
        self, stored: InMemoryOutbox, *, publishers: Sequence[str] = ("rabbitmq", "kafka")
    ) -> None:
        self._stored = stored
        self._publishers = publishers

    async def measure(self, *, now: datetime) -> Backlog:
        """What waits now."""
        kept = [*self._stored.kept()]
        due = [each.work_at for each in kept if each.work_at is not None]
        new = [events for each in kept if (events := each.events(each.offered))]
        return Backlog(
            new=_queue(new, now),
            behind={name: self._behind(name, now) for name in self._publishers},
            due_lag_seconds=_age(min(due, default=now), now),
        )

    def _behind(self, publisher: str, now: datetime) -> QueueBacklog:
        behind = [
            (each, each.behind[publisher])
            for each in self._stored.kept()
            if publisher in each.behind
        ]
        waiting = [
            each.events(lag.confirmed, each.offered) for each, lag in behind if not lag.parked
        ]
        return _queue(waiting, now, parked=len(behind) - len(waiting))


def _queue(
    waiting: Sequence[Sequence[LoggedEvent]], now: datetime, *, parked: int = 0
) -> QueueBacklog:
    return QueueBacklog(
        waiting_orders=len(waiting),
        oldest_event_seconds=_age(_first(waiting, now), now),
        parked_orders=parked,
    )


def _first(waiting: Iterable[Sequence[LoggedEvent]], now: datetime) -> datetime:
    return min((events[0].recorded.occurred_at for events in waiting), default=now)


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
