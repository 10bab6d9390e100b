"""`OrderRepository` on MongoDB: one order, one document, one write."""

from __future__ import annotations

import builtins
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.documents import (
    ORDERS,
    Document,
    to_document,
    to_state,
    to_update,
)
from orders.adapters.mongo.driver_errors import (
    DUPLICATE_KEY,
    first_write_error,
    is_refusal,
    translate_driver_errors,
)
from orders.adapters.mongo.leases import claim
from orders.adapters.mongo.listing import (
    changed_position_of,
    changed_queries,
    list_query,
    to_page,
)
from orders.adapters.mongo.majority import MAJORITY, wait_for_majority
from orders.adapters.mongo.stored_forms import StoredForm, orders_in
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
_STATE_ONLY: Document = _WITHOUT_EVENTS | {"requests": 0}
_BY_CHANGE: Final = [("updated_at", ASCENDING), ("_id", ASCENDING)]
_NO_ORDER: Final = UUID(int=0)


@translate_driver_errors
async def probe(database: Database) -> None:
    """Return once the database has answered a query on orders.

    Raises:
        StoreUnavailable: If it does not answer in time, or answers with an error.
    """
    await database[ORDERS].find_one({"_id": _NO_ORDER}, {"_id": 1})


class MongoOrders:
    """Orders in MongoDB. A call about one order is one round trip.

    Every write stores a new `write_token`. The driver sends a write again when the response was
    lost, and a server that has forgotten the first attempt refuses the second. A stored token
    then shows that the first attempt was ours. A token is used once, so this class never reports
    success for another process's write.
    """

    def __init__(
        self,
        database: Database,
        *,
        trace_context: TraceContext = UNTRACED,
        stored_form: StoredForm = StoredForm.TWO,
    ) -> None:
        """Keep the database, and the port that names the trace of the current request."""
        self._orders = orders_in(database, stored_form)
        self._durable = self._orders.with_options(read_concern=MAJORITY)
        self._trace_context = trace_context

    @translate_driver_errors
    async def add(self, order: Order) -> None:
        """Store a new order with its events at version 1, or store nothing.

        Raises:
            DuplicateOrder: If an order with this id is stored. It stays as it is.
            ConcurrentUpdate: If another order has this number. Retry with a new one.
        """
        document = to_document(order, traceparent=self._trace_context.current())
        document["write_token"] = token = ObjectId()
        try:
            await self._orders.insert_many([document])
        except BulkWriteError as error:
            await self._require_ours(order.id, token, error)
        mark_stored(order, 1, write_token=token)

    @translate_driver_errors
    async def get(self, order_id: OrderId) -> Order:
        """Return the order as last stored.

        Raises:
            OrderNotFound: If there is none.
        """
        document = await self._orders.find_one({"_id": order_id}, _WITHOUT_EVENTS)
        if document is None:
            raise OrderNotFound(order_id)
        return _order_from(document)

    @translate_driver_errors
    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """Return the order at this version or a later one, from a majority of the servers.

        It takes one round trip, or more while the majority does not have that version yet.

        Raises:
            OrderNotFound: If there is none.
            StoreUnavailable: If no majority has that version within 0.5 s.
        """
        query: Document = {"_id": order_id, "version": {"$gte": at_least}}
        document = await self._durable.find_one(query, _WITHOUT_EVENTS)
        if document is None:
            if await self._orders.find_one({"_id": order_id}, {"_id": 1}) is None:
                raise OrderNotFound(order_id)
            document = await wait_for_majority(self._orders, query, _WITHOUT_EVENTS)
        return _order_from(document)

    @translate_driver_errors
    async def get_state(self, order_id: OrderId) -> OrderState:
        """Return the state of the order as last stored.

        Raises:
            OrderNotFound: If there is none.
        """
        return await self._one({"_id": order_id}, _STATE_ONLY, wanted=order_id)

    @translate_driver_errors
    async def save(self, order: Order) -> None:
        """Store a changed order with its new events at the next version, or store nothing.

        Raises:
            ConcurrentUpdate: If the stored order is no longer the one that this order was read
                from: it has another version, or the same version from another write.
        """
        update = to_update(order, traceparent=self._trace_context.current())
        update["$set"]["write_token"] = token = ObjectId()
        expected = {
            "_id": order.id,
            "version": order.version,
            "write_token": write_token(order),
        }
        result = await self._orders.update_one(expected, update)
        if not result.matched_count:
            ours: Document = {"_id": order.id, "write_token": token}
            if await self._orders.find_one(ours, {"_id": 1}) is None:
                raise ConcurrentUpdate
            await wait_for_majority(self._orders, ours, {"_id": 1})
        mark_stored(order, order.version + 1, write_token=token)

    @translate_driver_errors
    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """Return the state of the order with this number.

        Raises:
            OrderNotFound: If the tenant has none.
        """
        query = {"tenant": tenant, "number": number}
        return await self._one(query, _STATE_ONLY, wanted=number)

    @translate_driver_errors
    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """Return at most `limit` orders after a position, by time of creation and id."""
        query = list_query(where, newest_first=newest_first, after=after)
        direction = DESCENDING if newest_first else ASCENDING
        # One more than asked for shows whether there is a next page.
        found = self._orders.find(
            query, _STATE_ONLY, sort=[("sort_key", direction)], limit=limit + 1
        )
        return to_page(await found.to_list(), limit=limit)

    @translate_driver_errors
    async def list_changed(
        self,
        where: OrderFilter,
        *,
        updated_from: datetime | None,
        after: Position | None,
        limit: int,
    ) -> OrderPage:
        """Return at most `limit` orders after a position, by time of the last change and id."""
        found: builtins.list[Document] = []
        for query in changed_queries(where, updated_from=updated_from, after=after):
            more = self._orders.find(
                query, _STATE_ONLY, sort=_BY_CHANGE, limit=limit + 1 - len(found)
            )
            found += await more.to_list()
            if len(found) > limit:
                break
        return to_page(found, limit=limit, place=changed_position_of)

    @translate_driver_errors
    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> builtins.list[OrderId]:
        """Claim at most `limit` orders whose `next_action_at` has come, for the time of `lease`."""
        claimed = await claim(
            self._orders, "work_claim", {"_id": 1}, now=now, lease=lease, limit=limit
        )
        return [OrderId(document["_id"]) for document in claimed]

    async def _require_ours(
        self, order_id: OrderId, token: ObjectId, error: BulkWriteError
    ) -> None:
        """Return if the insert that failed was stored by our first attempt, with this token.

        Engines report a collision differently, some as a deadlock. So ask what is stored.
        """
        is_duplicate = first_write_error(error)["code"] in DUPLICATE_KEY
        if is_refusal(error) and not is_duplicate:
            raise error
        stored = await self._orders.find_one({"_id": order_id}, {"write_token": 1})
        if stored is None:
            raise ConcurrentUpdate if is_duplicate else error
        if stored["write_token"] != token:
            raise DuplicateOrder
        await wait_for_majority(self._orders, {"_id": order_id, "write_token": token}, {"_id": 1})

    async def _one(self, query: Document, without: Document, *, wanted: object) -> OrderState:
        document = await self._orders.find_one(query, without)
        if document is None:
            raise OrderNotFound(wanted)
        return to_state(document)


def _order_from(document: Document) -> Order:
    return restore(to_state(document), write_token=document["write_token"])
