"""`OrderRepository` on MongoDB: one order, one document, one write."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from orders.adapters.mongo.claims import claim
from orders.adapters.mongo.connection import Database, answered
from orders.adapters.mongo.documents import (
    Document,
    changes_of,
    document_of,
    state_from,
)
from orders.adapters.mongo.failures import DUPLICATE_KEY, first_refused
from orders.adapters.mongo.listing import matching, page_of
from orders.adapters.mongo.majority import MAJORITY, awaited
from orders.adapters.mongo.round_trips import find_first
from orders.adapters.mongo.schema import ORDERS
from orders.application.errors import ConcurrentUpdate, DuplicateOrder, OrderNotFound
from orders.application.ports import (
    UNTRACED,
    OrderFilter,
    OrderPage,
    Position,
    TraceContext,
)
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, restore, write_token
from orders.domain.state import OrderState

_WITHOUT_EVENTS: Document = {"outbox": 0}
_TO_LOOK_AT: Document = _WITHOUT_EVENTS | {"requests": 0}
_NO_ORDER: Final = UUID(int=0)


@answered
async def probe(database: Database) -> None:
    """Return once the database has answered a question about orders.

    Raises:
        StoreUnavailable: If it did not in time, or refuses to.
    """
    await find_first(database[ORDERS], {"_id": _NO_ORDER}, {"_id": 1})


class MongoOrders:
    """Orders in MongoDB. Whatever is about one order is one round trip.

    Every write leaves a mark of its own. The driver sends a write again when its answer was
    lost, and a server that no longer knows the first try refuses the second: the mark tells
    then that it was ours, once a majority has it. A mark is never used twice, so success is
    never claimed for a write of somebody else's.
    """

    def __init__(self, database: Database, *, trace_context: TraceContext = UNTRACED) -> None:
        """Take the database, and what names the cause of the events that are stored."""
        self._orders = database[ORDERS]
        self._durable = database.get_collection(ORDERS, read_concern=MAJORITY)
        self._trace_context = trace_context

    @answered
    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing.

        Raises:
            DuplicateOrder: If an order with this id is stored. It is left as it is.
            ConcurrentUpdate: If another order has its number. Take a new one.
        """
        document = document_of(order, traceparent=self._trace_context.current())
        document["write"] = mark = ObjectId()
        try:
            await self._orders.insert_many([document])
        except BulkWriteError as error:
            if first_refused(error)["code"] not in DUPLICATE_KEY:
                raise
            await self._require_ours(order.id, mark)
        mark_stored(order, 1, write_token=mark)

    @answered
    async def get(self, order_id: OrderId) -> Order:
        """The order as last stored.

        Raises:
            OrderNotFound: If there is none.
        """
        document = await find_first(self._orders, {"_id": order_id}, _WITHOUT_EVENTS)
        if document is None:
            raise OrderNotFound(order_id)
        return _order_from(document)

    @answered
    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """The order at this version or a later one, as no failure can take it back.

        One round trip, unless a majority does not have it yet.

        Raises:
            OrderNotFound: If there is none.
            StoreUnavailable: If no majority has that version in a moment.
        """
        query: Document = {"_id": order_id, "version": {"$gte": at_least}}
        document = await find_first(self._durable, query, _WITHOUT_EVENTS)
        if document is None:
            if await find_first(self._orders, {"_id": order_id}, {"_id": 1}) is None:
                raise OrderNotFound(order_id)
            document = await awaited(self._orders, query, _WITHOUT_EVENTS)
        return _order_from(document)

    @answered
    async def get_state(self, order_id: OrderId) -> OrderState:
        """The order as last stored, to look at.

        Raises:
            OrderNotFound: If there is none.
        """
        return await self._one({"_id": order_id}, _TO_LOOK_AT, wanted=order_id)

    @answered
    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing.

        Raises:
            ConcurrentUpdate: If the stored order has another version than this one had, or the
                same from another write, where the first was undone.
        """
        update = changes_of(order, traceparent=self._trace_context.current())
        update["$set"]["write"] = mark = ObjectId()
        expected = {"_id": order.id, "version": order.version, "write": write_token(order)}
        result = await self._orders.update_one(expected, update)
        if not result.matched_count:
            ours: Document = {"_id": order.id, "write": mark}
            if await find_first(self._orders, ours, {"_id": 1}) is None:
                raise ConcurrentUpdate
            await awaited(self._orders, ours, {"_id": 1})
        mark_stored(order, order.version + 1, write_token=mark)

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
    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> builtins.list[OrderId]:
        """Orders whose `due_at` has come, at most `limit`; each is claimed for `lease`."""
        claimed = await claim(self._orders, "wake", {"_id": 1}, now=now, lease=lease, limit=limit)
        return [OrderId(document["_id"]) for document in claimed]

    async def _require_ours(self, order_id: OrderId, mark: ObjectId) -> None:
        """Return if an insert that was refused had happened before, with this mark."""
        stored = await find_first(self._orders, {"_id": order_id}, {"write": 1})
        if stored is None:
            raise ConcurrentUpdate
        if stored["write"] != mark:
            raise DuplicateOrder
        await awaited(self._orders, {"_id": order_id, "write": mark}, {"_id": 1})

    async def _one(self, query: Document, without: Document, *, wanted: object) -> OrderState:
        document = await find_first(self._orders, query, without)
        if document is None:
            raise OrderNotFound(wanted)
        return state_from(document)


def _order_from(document: Document) -> Order:
    return restore(state_from(document), write_token=document["write"])
