"""`EventOutbox` on MongoDB: the events that were stored in one write with their order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from pymongo import ASCENDING

from orders.adapters.mongo.claims import claim
from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import AT_ONCE, NEVER, Document, waiting_in
from orders.adapters.mongo.schema import ORDERS
from orders.application.ports import LoggedEvent, ParkedEvents, WaitingEvents
from orders.domain.identifiers import OrderId

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

_EVENTS: Document = {"tenant": 1, "outbox": 1}
_AT_ONCE: Document = {"$set": {"relay": {"at": AT_ONCE}}, "$unset": {"parked": ""}}


class MongoOutbox:
    """The outboxes of all orders. It never touches an order's version."""

    def __init__(self, database: Database) -> None:
        self._orders = database[ORDERS]

    @answered
    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[WaitingEvents]:
        """The waiting events of at most `limit` orders, the longest waiting first."""
        wanted = _EVENTS | {"relay": 1}
        claimed = await claim(self._orders, "relay", wanted, now=now, lease=lease, limit=limit)
        return [
            WaitingEvents(events=events, refusals=document["relay"].get("refusals", 0))
            for document in claimed
            if (events := waiting_in(document))
        ]

    @answered
    async def remove(self, up_to: Mapping[OrderId, int]) -> None:
        """Take out the orders' events, of each up to a sequence number, and end their claims.

        A round trip for each number that there is, however many orders: orders have few events.
        """
        for last, ids in _grouped(up_to.items(), by=lambda each: each[1]):
            await self._remove([order_id for order_id, _ in ids], last)

    async def _remove(self, ids: Sequence[OrderId], up_to: int) -> None:
        pulled: Document = {"$pull": {"outbox": {"sequence": {"$lte": up_to}}}}
        # `sequence` is that of the newest event, so it tells whether any is left.
        result = await self._orders.update_many(
            {"_id": {"$in": ids}, "sequence": {"$lte": up_to}},
            {**pulled, "$unset": {"relay": "", "parked": ""}},
        )
        if result.matched_count < len(ids):
            await self._orders.update_many(
                {"_id": {"$in": ids}, "outbox.0.sequence": {"$lte": up_to}}, pulled | _AT_ONCE
            )

    @answered
    async def defer(self, waiting: Sequence[WaitingEvents], *, until: datetime) -> None:
        """Give the orders' events to nobody until then, and remember the `refusals` of each."""
        for (first, refusals), those in _grouped(waiting, by=lambda e: (e.first, e.refusals)):
            query = {**_while_first(first, *(each.order_id for each in those)), "parked": None}
            turn: Document = {"at": until, "refusals": refusals}
            await self._orders.update_many(query, {"$set": {"relay": turn}})

    @answered
    async def park(self, waiting: WaitingEvents, *, reason: str, now: datetime) -> None:
        """Give an order's events to nobody until `resend`, nor those that come."""
        marks: Document = {"relay": {"at": NEVER}, "parked": {"at": now, "reason": reason}}
        query = _while_first(waiting.first, waiting.order_id)
        await self._orders.update_one(query, {"$set": marks})

    @answered
    async def parked(self, *, limit: int) -> Sequence[ParkedEvents]:
        """What is parked, of at most `limit` orders, the longest parked first."""
        wanted: Document = {"tenant": 1, "parked": 1, "outbox.sequence": 1}
        query = {"parked.at": {"$gte": AT_ONCE}}
        found = self._orders.find(query, wanted).sort("parked.at", ASCENDING).limit(limit)
        return [_parked_in(document) async for document in found]

    @answered
    async def resend(self, order_id: OrderId) -> bool:
        """Let an order's parked events be claimed at once; False if none are parked."""
        query = {"_id": order_id, "parked": {"$exists": True}}
        return (await self._orders.update_one(query, _AT_ONCE)).matched_count == 1

    @answered
    async def waiting_of(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's events that have not been relayed, in sequence."""
        document = await self._orders.find_one({"_id": order_id}, _EVENTS)
        return [] if document is None else waiting_in(document)


def _while_first(first: int, *order_ids: OrderId) -> Document:
    """The orders, as long as the first of the events has not been removed.

    It fences off a relay whose lease is over: another may have sent them since.
    """
    return {"_id": {"$in": [*order_ids]}, "outbox.0.sequence": first}


def _grouped(each: Iterable[T], *, by: Callable[[T], K]) -> Iterable[tuple[K, list[T]]]:
    groups: dict[K, list[T]] = {}
    for one in each:
        groups.setdefault(by(one), []).append(one)
    return groups.items()


def _parked_in(document: Document) -> ParkedEvents:
    return ParkedEvents(
        tenant=document["tenant"],
        order_id=document["_id"],
        first=document["outbox"][0]["sequence"],
        waiting=len(document["outbox"]),
        reason=document["parked"]["reason"],
        parked_at=document["parked"]["at"],
    )
