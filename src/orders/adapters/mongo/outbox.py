"""`EventOutbox` on MongoDB: the events that were stored in one write with their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from orders.adapters.mongo.claims import claim
from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import AT_ONCE, Document, waiting_in
from orders.adapters.mongo.schema import ORDERS
from orders.application.ports import LoggedEvent
from orders.domain.identifiers import OrderId

_EVENTS: Document = {"tenant": 1, "outbox": 1}


class MongoOutbox:
    """The outboxes of all orders. It never touches an order's version."""

    def __init__(self, database: Database) -> None:
        self._orders = database[ORDERS]

    @answered
    async def claim(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[Sequence[LoggedEvent]]:
        """The waiting events of at most `limit` orders, each order's in sequence."""
        claimed = await claim(self._orders, "relay", _EVENTS, now=now, lease=lease, limit=limit)
        return [waiting_in(document) for document in claimed]

    @answered
    async def remove(self, order_id: OrderId, *, up_to: int) -> None:
        """Take out an order's events up to a sequence number, and end its claim."""
        pulled: Document = {"$pull": {"outbox": {"sequence": {"$lte": up_to}}}}
        # `sequence` is that of the newest event, so it tells whether any is left.
        result = await self._orders.update_one(
            {"_id": order_id, "sequence": {"$lte": up_to}}, {**pulled, "$unset": {"relay": ""}}
        )
        if not result.matched_count:
            await self._orders.update_one(
                {"_id": order_id, "outbox.sequence": {"$gt": up_to}},
                {**pulled, "$set": {"relay": {"at": AT_ONCE}}},
            )

    @answered
    async def waiting_of(self, order_id: OrderId) -> Sequence[LoggedEvent]:
        """An order's events that have not been relayed, in sequence."""
        document = await self._orders.find_one({"_id": order_id}, _EVENTS)
        return [] if document is None else waiting_in(document)
