"""`EventLog` on MongoDB: an append-only collection with one gap-free order over all events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pymongo import ASCENDING
from pymongo.errors import BulkWriteError

from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import Document, event_document, event_from, sorted_out
from orders.adapters.mongo.failures import DUPLICATE_KEY, first_refused, is_refusal
from orders.adapters.mongo.majority import MAJORITY
from orders.adapters.mongo.schema import ORDER_EVENTS
from orders.application.errors import StoreUnavailable
from orders.application.ports import FoundEvents, LoggedEvent, Unreadable
from orders.domain.identifiers import OrderId

_TRIES: Final = 200


class MongoEventLog:
    """The log of all events. Any number of processes may append to it.

    A position is only ever written after the one before it, and only what a majority has is
    read: whoever has seen a position has all before it, whatever the database loses.
    """

    def __init__(self, database: Database) -> None:
        self._events = database.get_collection(ORDER_EVENTS, read_concern=MAJORITY)
        # A position that is surely taken. The end of the feed is looked for from there.
        self._known_end = 0

    @answered
    async def append(self, events: Sequence[LoggedEvent]) -> None:
        """Log events at the end of the feed. One that is logged already is left as it is."""
        left = [_document(event) for event in events]
        for _ in range(_TRIES):
            for position, document in enumerate(left, start=self._known_end + 1):
                document["position"] = position
            left = await self._insert(left)
            if not left:
                return
        raise StoreUnavailable("others keep writing to the event log")

    @answered
    async def timeline(self, order_id: OrderId) -> FoundEvents:
        """An order's logged events, in sequence."""
        found = self._events.find({"order_id": order_id}).sort("sequence", ASCENDING)
        return sorted_out([_logged(document) async for document in found])

    @answered
    async def after(self, position: int, *, tenant: str, limit: int) -> FoundEvents:
        """A tenant's events after a position of the feed, at most `limit`."""
        later = {"tenant": tenant, "position": {"$gt": position}}
        found = await self._events.find(later).sort("position", ASCENDING).limit(limit).to_list()
        end = found[-1]["position"] if found else None
        return replace(sorted_out(map(_logged, found)), end=end)

    @answered
    async def cause_of(self, order_id: OrderId) -> str | None:
        """The traceparent of an order's first event; None if it has none, or is not logged yet."""
        first = {"order_id": order_id, "sequence": 1}
        found = await self._events.find_one(first, {"traceparent": 1})
        return None if found is None else found["traceparent"]

    async def _insert(self, documents: list[Document]) -> list[Document]:
        """Write documents in order up to the first that cannot be; returns what is not logged."""
        if not documents:
            return []
        try:
            await self._events.insert_many(documents, ordered=True)
        except BulkWriteError as error:
            if first_refused(error)["code"] not in DUPLICATE_KEY and is_refusal(error):
                raise
            # An event that was logged before, a position that somebody else has taken, or two
            # writers in each other's way: what is stored tells, for errors differ by engine.
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
        # Several calls may be under way here: positions are compared, never counted.
        self._known_end = max([self._known_end, *(each["position"] for each in written)])

    async def _find_end(self) -> None:
        """Move the known end to the last position there is.

        It asks for single positions, in steps that double: there are no gaps, so the end is a
        few questions away, where a sort may read the whole feed.
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
            # Another's event is written and not yet at a majority: it will be in a moment.
            await asyncio.sleep(random.uniform(0.001, 0.01))  # noqa: S311 - to get out of step


def _document(event: LoggedEvent) -> Document:
    return {
        **event_document(event.recorded, event.traceparent),
        "_id": event.id,
        "order_id": event.order_id,
        "tenant": event.tenant,
    }


def _logged(document: Document) -> LoggedEvent | Unreadable:
    return event_from(
        document,
        tenant=document["tenant"],
        order_id=OrderId(document["order_id"]),
        position=document["position"],
    )
