"""What waits in the work queues: how much, and since when. For those who watch over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pymongo import ASCENDING

from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import AT_ONCE, NEVER, PUBLISHERS, Document
from orders.adapters.mongo.schema import ORDERS

COUNTED_AT_MOST: Final = 10_000
LOOKED_AT: Final = 100
"""Orders at either end of the queue among which the oldest event is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Events that waited for somebody at one moment. An age is in seconds, 0 of nothing."""

    waiting_orders: int
    """With events that are not parked."""
    oldest_event_seconds: float
    parked_orders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waited at one moment."""

    new: Queue
    """Events that no relay has seen to yet: they wait for the log, and for all publishers."""
    behind: Mapping[str, Queue]
    """By publisher, those that wait for it alone."""
    due_lag_seconds: float
    """How overdue the first order is that no worker has claimed; 0 if none is."""


class MongoBacklog:
    """Looks at the queues. Every question is one range of one index, and bounded."""

    def __init__(self, database: Database, *, publishers: Sequence[str] = PUBLISHERS) -> None:
        self._orders = database[ORDERS]
        self._publishers = publishers

    @answered
    async def look(self, *, now: datetime) -> Backlog:
        """What waits now.

        Raises:
            StoreUnavailable: If the database did not answer.
        """
        due = await self._orders.find_one(
            {"wake.at": {"$lte": now}}, {"wake.at": 1}, sort=[("wake.at", ASCENDING)]
        )
        return Backlog(
            new=await self._queue("relay", now, lambda order: order.get("offered", 0)),
            behind={each: await self._lags(each, now) for each in self._publishers},
            due_lag_seconds=_age(due["wake"]["at"] if due else now, now),
        )

    async def _lags(self, publisher: str, now: datetime) -> Queue:
        def confirmed(order: Document) -> int:
            up_to: int = order["behind"][publisher]["confirmed"]
            return up_to

        queue = f"behind.{publisher}"
        parked = await self._count({f"{queue}.at": {"$gte": NEVER}})
        return replace(await self._queue(queue, now, confirmed), parked_orders=parked)

    async def _queue(self, queue: str, now: datetime, after: Callable[[Document], int]) -> Queue:
        at = f"{queue}.at"
        since = [
            *await self._since(queue, {"$lte": AT_ONCE}, after),
            # Those that were tried: an outage began with the first of them.
            *await self._since(queue, {"$gt": AT_ONCE, "$lt": NEVER}, after),
        ]
        return Queue(
            waiting_orders=await self._count({at: {"$lt": NEVER}}),
            oldest_event_seconds=_age(min(since, default=now), now),
        )

    async def _since(
        self, queue: str, turn: Document, after: Callable[[Document], int]
    ) -> list[datetime]:
        """When the first waiting event of each of the first orders happened."""
        wanted: Document = {
            "outbox.occurred_at": 1, "outbox.sequence": 1, "offered": 1, f"{queue}.confirmed": 1,
        }  # fmt: skip
        query = {f"{queue}.at": turn}
        found = self._orders.find(query, wanted).sort(f"{queue}.at", ASCENDING).limit(LOOKED_AT)
        waiting = [
            [e["occurred_at"] for e in order["outbox"] if e["sequence"] > after(order)]
            async for order in found
        ]
        return [each[0] for each in waiting if each]

    async def _count(self, query: Mapping[str, object]) -> int:
        return await self._orders.count_documents(query, limit=COUNTED_AT_MOST)


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
