"""The queries of lists, and their pages. Each filter is the prefix of an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from orders.adapters.mongo.documents import (
    IMMEDIATELY,
    Document,
    position_of,
    sort_key,
    to_state,
    whole_millisecond,
)
from orders.application.errors import UnreadableOrder
from orders.application.ports import OrderFilter, OrderPage, Position
from orders.domain.identifiers import OrderId
from orders.domain.state import OrderState


def list_query(where: OrderFilter, *, newest_first: bool, after: Position | None) -> Document:
    """Return the query for orders that match a filter and come after a position."""
    exact = {
        "owner": where.owner,
        "customer_id": where.customer_id,
        "number": where.number,
        "external_reference": where.external_reference,
        "has_outstanding": where.outstanding,
        "placed_by": where.placed_by,
        "ready_to_ship": where.ready_to_ship,
    }
    any_of: Mapping[str, Sequence[str]] = {
        "status": where.status,
        "payment_status": where.payment_status,
        "fulfillment_status": where.fulfillment_status,
        "return_status": where.return_status,
        "dispute_status": where.dispute_status,
    }
    query: Document = {"tenant": where.tenant}
    query |= {name: value for name, value in exact.items() if value is not None}
    query |= {name: _one_of(values) for name, values in any_of.items() if values}
    # Without `$gt`, some engines would not use the indexes that lack null.
    if len(where.dispute_status) > 1:
        query["dispute_status"] |= {"$gt": ""}
    if where.overdue is not None:
        as_of = {"$lt": where.as_of} if where.overdue else {"$gte": where.as_of}
        query["overdue_from"] = {"$gt": IMMEDIATELY, **as_of}
    if bounds := _bounds(where, newest_first=newest_first, after=after):
        query["sort_key"] = bounds
    return query


def changed_queries(
    where: OrderFilter, *, updated_from: datetime | None, after: Position | None
) -> Sequence[Document]:
    """Return the queries for orders that match a filter and changed after a position and a time.

    The results of the first come first. One query for all would need `$or`, and for that some
    engines scan all orders.
    """
    query = list_query(where, newest_first=False, after=None)
    earliest = None if updated_from is None else whole_millisecond(updated_from)
    if after is None:
        return [query if earliest is None else query | {"updated_at": {"$gte": earliest}}]
    if earliest is not None and earliest > after.at:
        return [query | {"updated_at": {"$gte": earliest}}]
    return [
        query | {"updated_at": after.at, "_id": {"$gt": after.order_id}},
        query | {"updated_at": {"$gt": after.at}},
    ]


def changed_position_of(document: Document) -> Position:
    """Return the position of a document in a list by `updated_at`."""
    return Position(at=document["updated_at"], order_id=document["_id"])


def to_page(
    documents: Sequence[Document],
    *,
    limit: int,
    place: Callable[[Document], Position] = position_of,
) -> OrderPage:
    """Return the first `limit` documents, and the position of the last if there are more."""
    page, orders, unreadable = documents[:limit], list[OrderState](), list[OrderId]()
    end = place(page[-1]) if len(documents) > limit else None
    for document in page:
        order_id = document["_id"]
        try:
            orders.append(to_state(document))
        except UnreadableOrder:
            unreadable.append(order_id)
    return OrderPage(orders=orders, unreadable=unreadable, next=end)


def _one_of(values: Sequence[str]) -> object:
    plain = [str(value) for value in values]
    return plain[0] if len(plain) == 1 else {"$in": plain}


def _bounds(where: OrderFilter, *, newest_first: bool, after: Position | None) -> Document:
    bounds: Document = {}
    if where.created_from is not None:
        bounds["$gte"] = sort_key(where.created_from)
    if where.created_before is not None:
        bounds["$lt"] = sort_key(where.created_before)
    if after is not None:
        position = sort_key(after.at, after.order_id)
        if newest_first:
            bounds["$lt"] = min(position, bounds.get("$lt", position))
        else:
            bounds["$gt"] = position
    return bounds
