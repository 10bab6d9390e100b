"""What waits in the work queues: how much, and since when. For those who watch over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import ASCENDING

from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import AT_ONCE, NEVER, Document
from orders.adapters.mongo.schema import ORDERS

COUNTED_AT_MOST: Final = 10_000
LOOKED_AT: Final = 100
"""Orders at either end of the queue among which the oldest event is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waited at one moment; ages are in seconds, 0 where nothing waits."""

    waiting_orders: int
    """With events that are not relayed and not parked."""
    oldest_event_seconds: float
    parked_orders: int
    due_lag_seconds: float
    """How overdue the first order is that no worker has claimed."""


class MongoBacklog:
    """Looks at the queues. Every question is one range of one index, and bounded."""

    def __init__(self, database: Database) -> None:
        self._orders = database[ORDERS]

    @answered
    async def look(self, *, now: datetime) -> Backlog:
        """What waits now.

        Raises:
            StoreUnavailable: If the database did not answer.
        """
        waiting = {"relay.at": {"$lt": NEVER}}
        since = [
            *await self._since({"relay.at": {"$lte": AT_ONCE}}),
            # Those that were tried: the broker's outage began with the first of them.
            *await self._since({"relay.at": {"$gt": AT_ONCE, "$lt": NEVER}}),
        ]
        due = await self._orders.find_one(
            {"wake.at": {"$lte": now}}, {"wake.at": 1}, sort=[("wake.at", ASCENDING)]
        )
        return Backlog(
            waiting_orders=await self._count(waiting),
            oldest_event_seconds=_age(min(since, default=now), now),
            parked_orders=await self._count({"parked.at": {"$gte": AT_ONCE}}),
            due_lag_seconds=_age(due["wake"]["at"] if due else now, now),
        )

    async def _since(self, query: Mapping[str, object]) -> list[datetime]:
        """When the first waiting event of each of the first orders happened."""
        wanted: Document = {"outbox.occurred_at": 1}
        found = self._orders.find(query, wanted).sort("relay.at", ASCENDING).limit(LOOKED_AT)
        return [each["outbox"][0]["occurred_at"] async for each in found if each["outbox"]]

    async def _count(self, query: Mapping[str, object]) -> int:
        return await self._orders.count_documents(query, limit=COUNTED_AT_MOST)


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
