"""`EventLog` on MongoDB: an append-only collection with one gap-free order over all events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import (
    ORDER_EVENTS,
    Document,
    split_unreadable,
    to_event,
    to_event_document,
)
from orders.adapters.mongo.driver_errors import (
    DUPLICATE_KEY,
    first_write_error,
    is_refusal,
    translate_driver_errors,
)
from orders.adapters.mongo.majority import MAJORITY
from orders.application.errors import StoreUnavailable
from orders.application.ports import FoundEvents, LoggedEvent, Unreadable
from orders.domain.identifiers import OrderId

_MAX_ATTEMPTS: Final = 200


class MongoEventLog:
    """The log of all events. Any number of processes may append to it.

    A position is written only after the one before it, and only what a majority of the servers
    has is read. So a consumer that has seen a position has seen all before it, whatever data the
    database loses later.
    """

    def __init__(self, database: Database) -> None:
        self._events = database.get_collection(ORDER_EVENTS, read_concern=MAJORITY)
        # The last position known to be taken. The search for the end of the feed starts there.
        self._known_end = 0

    @translate_driver_errors
    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Append events to the feed, except those that it has already."""
        left = [_document(event) for event in events]
        for _ in range(_MAX_ATTEMPTS):
            for position, document in enumerate(left, start=self._known_end + 1):
                document["position"] = position
            left = await self._insert(left)
            if not left:
                return
        raise StoreUnavailable("other processes keep taking the next positions of the event log")

    @translate_driver_errors
    async def timeline(self, order_id: OrderId) -> FoundEvents:
        """Return an order's logged events, in sequence."""
        found = self._events.find({"order_id": order_id}).sort("sequence", ASCENDING)
        return split_unreadable([_logged(document) async for document in found])

    @translate_driver_errors
    async def after(self, position: int, *, tenant: str, limit: int) -> FoundEvents:
        """Return at most `limit` events of a tenant after a position of the feed."""
        later = {"tenant": tenant, "position": {"$gt": position}}
        found = await self._events.find(later).sort("position", ASCENDING).limit(limit).to_list()
        end = found[-1]["position"] if found else None
        return replace(split_unreadable(map(_logged, found)), end=end)

    @translate_driver_errors
    async def between(
        self, start: datetime, end: datetime, *, position: int, limit: int
    ) -> FoundEvents:
        """Return the events of a span of time, among the next `limit` positions."""
        # Time has no index: every event would pay for what operators ask rarely.
        window = {"position": {"$gt": position, "$lte": position + limit}}
        last = await self._events.find_one(window, {"position": 1}, sort=[("position", DESCENDING)])
        in_span = window | {"occurred_at": {"$gte": start, "$lt": end}}
        found = await self._events.find(in_span).sort("position", ASCENDING).to_list()
        reached = None if last is None else last["position"]
        return replace(split_unreadable(map(_logged, found)), end=reached)

    @translate_driver_errors
    async def cause_of(self, order_id: OrderId) -> str | None:
        """Return the trace context of the request that placed an order; None if it is unknown."""
        first = {"order_id": order_id, "sequence": 1}
        found = await self._events.find_one(first, {"traceparent": 1})
        return None if found is None else found["traceparent"]

    async def _insert(self, documents: list[Document]) -> list[Document]:
        """Insert documents in order up to the first that fails; return those not in the log."""
        if not documents:
            return []
        try:
            await self._events.insert_many(documents, ordered=True)
        except BulkWriteError as error:
            if first_write_error(error)["code"] not in DUPLICATE_KEY and is_refusal(error):
                raise
            # The event was logged before, another process has taken the position, or two writes
            # conflicted. Engines report these differently, so ask what is stored.
            left = await self._not_logged(documents)
            if left:
                await self._find_end()
            return left
        self._reached(documents)
        return []

    async def _not_logged(self, documents: list[Document]) -> list[Document]:
        ids = [each["_id"] for each in documents]
        found = await self._events.find({"_id": {"$in": ids}}, {"_id": 1}).to_list()
        logged = {each["_id"] for each in found}
        return [each for each in documents if each["_id"] not in logged]

    def _reached(self, written: Sequence[Document]) -> None:
        # Calls may overlap, so compare positions instead of counting documents.
        self._known_end = max([self._known_end, *(each["position"] for each in written)])

    async def _find_end(self) -> None:
        """Move the known end to the last position that is taken.

        It asks for single positions in steps that double. There are no gaps, so this takes few
        queries, where a sort might read the whole feed.
        """
        start = end = self._known_end
        step = 1
        while step:
            if await self._events.find_one({"position": end + step}, {"_id": 1}):
                end += step
                step *= 2
            else:
                step //= 2
        self._known_end = max(self._known_end, end)
        if self._known_end == start:
            # Another process has written the next position, and no majority has it yet.
            await asyncio.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - jitter


def _document(event: LoggedEvent) -> Document:
    return {
        **to_event_document(event.recorded, event.traceparent),
        "_id": event.id,
        "order_id": event.order_id,
        "tenant": event.tenant,
    }


def _logged(document: Document) -> LoggedEvent | Unreadable:
    return to_event(
        document,
        tenant=document["tenant"],
        order_id=OrderId(document["order_id"]),
        position=document["position"],
    )
