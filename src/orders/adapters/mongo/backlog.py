"""`WorkBacklog` on MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pymongo import ASCENDING

from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import AT_ONCE, NEVER, PUBLISHERS, Document
from orders.adapters.mongo.schema import ORDERS
from orders.application.ports import Backlog, QueueBacklog

COUNTED_AT_MOST: Final = 10_000
LOOKED_AT: Final = 100
"""Orders at either end of the queue among which the oldest event is looked for."""


class MongoBacklog:
    """Measures the queues. Every query is one range of one index, with a limit."""

    def __init__(self, database: Database, *, publishers: Sequence[str] = PUBLISHERS) -> None:
        self._orders = database[ORDERS]
        self._publishers = publishers

    @answered
    async def measure(self, *, now: datetime) -> Backlog:
        """What waits now."""
        due = await self._orders.find_one(
            {"wake.at": {"$lte": now}}, {"wake.at": 1}, sort=[("wake.at", ASCENDING)]
        )
        return Backlog(
            new=await self._queue("relay", now, lambda order: order.get("offered", 0)),
            behind={each: await self._lags(each, now) for each in self._publishers},
            due_lag_seconds=_age(due["wake"]["at"] if due else now, now),
        )

    async def _lags(self, publisher: str, now: datetime) -> QueueBacklog:
        def confirmed(order: Document) -> int:
            up_to: int = order["behind"][publisher]["confirmed"]
            return up_to

        queue = f"behind.{publisher}"
        parked = await self._count({f"{queue}.at": {"$gte": NEVER}})
        return replace(await self._queue(queue, now, confirmed), parked_orders=parked)

    async def _queue(
        self, queue: str, now: datetime, after: Callable[[Document], int]
    ) -> QueueBacklog:
        at = f"{queue}.at"
        since = [
            *await self._since(queue, {"$lte": AT_ONCE}, after),
            # Those that were tried: an outage began with the first of them.
            *await self._since(queue, {"$gt": AT_ONCE, "$lt": NEVER}, after),
        ]
        return QueueBacklog(
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
