"""`WorkBacklog` on MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pymongo import ASCENDING

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import (
    IMMEDIATELY,
    PUBLISHERS,
    Document,
    lag_field,
)
from orders.adapters.mongo.driver_errors import translate_driver_errors
from orders.adapters.mongo.leases import PARKED_FROM
from orders.adapters.mongo.stored_forms import StoredForm, orders_in
from orders.application.ports import Backlog, QueueBacklog

MAX_COUNT: Final = 10_000
MAX_SCANNED: Final = 100
"""Orders at the front of a queue among which the oldest event is searched."""


class MongoBacklog:
    """Measures the queues. Every query reads a bounded range of one index."""

    def __init__(
        self,
        database: Database,
        *,
        publishers: Sequence[str] = PUBLISHERS,
        stored_form: StoredForm = StoredForm.TWO,
    ) -> None:
        self._orders = orders_in(database, stored_form)
        self._publishers = publishers

    @translate_driver_errors
    async def measure(self, *, now: datetime) -> Backlog:
        """Return what waits now.

        Raises:
            StoreUnavailable: If the database does not answer.
        """
        at = "work_claim.at"
        due = await self._orders.find_one({at: {"$lte": now}}, {at: 1}, sort=[(at, ASCENDING)])
        return Backlog(
            new=await self._queue(
                "outbox_claim", now, lambda order: order.get("offered_sequence", 0)
            ),
            behind={each: await self._lags(each, now) for each in self._publishers},
            due_lag_seconds=_age(due["work_claim"]["at"] if due else now, now),
        )

    async def _lags(self, publisher: str, now: datetime) -> QueueBacklog:
        def confirmed(order: Document) -> int:
            up_to: int = order["publisher_lags"][publisher]["confirmed"]
            return up_to

        queue = lag_field(publisher)
        parked = await self._count({f"{queue}.at": {"$gte": PARKED_FROM}})
        return replace(await self._queue(queue, now, confirmed), parked_orders=parked)

    async def _queue(
        self, queue: str, now: datetime, after: Callable[[Document], int]
    ) -> QueueBacklog:
        at = f"{queue}.at"
        since = [
            *await self._since(queue, {"$lte": IMMEDIATELY}, after),
            # Entries that were tried before: an outage began with the first of them.
            *await self._since(queue, {"$gt": IMMEDIATELY, "$lt": PARKED_FROM}, after),
        ]
        return QueueBacklog(
            waiting_orders=await self._count({at: {"$lt": PARKED_FROM}}),
            oldest_event_seconds=_age(min(since, default=now), now),
        )

    async def _since(
        self, queue: str, at: Document, after: Callable[[Document], int]
    ) -> list[datetime]:
        """The time of the first waiting event of each order at the front of the queue."""
        wanted: Document = {
            "outbox.occurred_at": 1,
            "outbox.sequence": 1,
            "offered_sequence": 1,
            f"{queue}.confirmed": 1,
        }
        found = self._orders.find(
            {f"{queue}.at": at}, wanted, sort=[(f"{queue}.at", ASCENDING)], limit=MAX_SCANNED
        )
        times = [
            [e["occurred_at"] for e in order["outbox"] if e["sequence"] > after(order)]
            async for order in found
        ]
        return [each[0] for each in times if each]

    async def _count(self, query: Mapping[str, object]) -> int:
        return await self._orders.count_documents(query, limit=MAX_COUNT)


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
