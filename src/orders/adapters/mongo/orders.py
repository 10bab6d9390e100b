"""`OrderRepository` on MongoDB: one order, one document, one write."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from orders.adapters.mongo.claims import claim
from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import (
    Document,
    Traceparent,
    changes_of,
    document_of,
    state_from,
)
from orders.adapters.mongo.listing import matching, page_of
from orders.adapters.mongo.round_trips import find_first
from orders.adapters.mongo.schema import ORDERS
from orders.application.errors import ConcurrentUpdate, DuplicateOrder, OrderNotFound
from orders.application.ports import OrderFilter, OrderPage, Position
from orders.domain.identifiers import OrderId
from orders.domain.order import Order
from orders.domain.state import OrderState

_WITHOUT_EVENTS: Document = {"outbox": 0}
_TO_LOOK_AT: Document = _WITHOUT_EVENTS | {"requests": 0}


def untraced() -> str | None:
    """No trace context: where nothing is traced."""
    return None


class MongoOrders:
    """Orders in MongoDB. Whatever is about one order is one round trip.

    Every write leaves a mark of its own. The driver sends a write again when its answer was
    lost, and a server that no longer knows the first try refuses the second: the mark tells
    then that it was ours. A mark is never used twice, so success is never claimed for a write
    of somebody else's.
    """

    def __init__(self, database: Database, *, traceparent: Traceparent = untraced) -> None:
        """Take the database, and where the trace of the current request is found."""
        self._orders = database[ORDERS]
        self._traceparent = traceparent

    @answered
    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing.

        Raises:
            DuplicateOrder: If an order with this id is stored. It is left as it is.
            ConcurrentUpdate: If another order has its number. Take a new one.
        """
        document = document_of(order, traceparent=self._traceparent())
        document["write"] = mark = ObjectId()
        try:
            await self._orders.insert_one(document)
        except DuplicateKeyError:
            stored = await self._orders.find_one({"_id": order.id}, {"write": 1})
            if stored is None:
                raise ConcurrentUpdate from None
            if stored["write"] != mark:
                raise DuplicateOrder from None
        order.mark_stored(1)

    @answered
    async def get(self, order_id: OrderId) -> Order:
        """The order as last stored.

        Raises:
            OrderNotFound: If there is none.
        """
        return Order(await self._one({"_id": order_id}, _WITHOUT_EVENTS, wanted=order_id))

    @answered
    async def look_at(self, order_id: OrderId) -> OrderState:
        """The order as last stored, to look at.

        Raises:
            OrderNotFound: If there is none.
        """
        return await self._one({"_id": order_id}, _TO_LOOK_AT, wanted=order_id)

    @answered
    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing.

        Raises:
            ConcurrentUpdate: If the stored order has another version than this one had.
        """
        update = changes_of(order, traceparent=self._traceparent())
        update["$set"]["write"] = mark = ObjectId()
        expected = {"_id": order.id, "version": order.version}
        result = await self._orders.update_one(expected, update)
        if not result.matched_count:
            ours = await self._orders.find_one({"_id": order.id, "write": mark}, {"_id": 1})
            if ours is None:
                raise ConcurrentUpdate
        order.mark_stored(order.version + 1)

    @answered
    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """The order with this number, to look at.

        Raises:
            OrderNotFound: If the tenant has none.
        """
        query = {"tenant": tenant, "number": number}
        return await self._one(query, _TO_LOOK_AT, wanted=number)

    @answered
    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """At most `limit` orders by time of creation and id, after a position, to look at."""
        query = matching(where, newest_first=newest_first, after=after)
        direction = DESCENDING if newest_first else ASCENDING
        # One more than asked for tells whether there is a next page.
        found = self._orders.find(query, _TO_LOOK_AT).sort("listed", direction).limit(limit + 1)
        return page_of(await found.to_list(), limit=limit)

    @answered
    async def claim_due(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> builtins.list[OrderId]:
        """Orders whose `due_at` has come, at most `limit`; each is claimed for `lease`."""
        claimed = await claim(self._orders, "wake", {"_id": 1}, now=now, lease=lease, limit=limit)
        return [OrderId(document["_id"]) for document in claimed]

    async def _one(self, query: Document, without: Document, *, wanted: object) -> OrderState:
        document = await find_first(self._orders, query, without)
        if document is None:
            raise OrderNotFound(wanted)
        return state_from(document)
