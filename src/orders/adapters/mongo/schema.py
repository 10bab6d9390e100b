"""The searched fields of the collections and their indexes, declared for Beanie.

`documents` has the rest of a document.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from beanie import Document
from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel

from orders.adapters.mongo.documents import IMMEDIATELY, ORDER_EVENTS, ORDERS, PUBLISHERS


def _index(name: str, *fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], name=name, **options)


def _list_by(field: str, **options: Any) -> IndexModel:
    """An index for lists: the fields that must be equal, then the one that lists are sorted by."""
    return _index(f"list_by_{field}", "tenant", field, "sort_key", **options)


def _where_text(field: str) -> dict[str, Any]:
    """Index only documents where this nullable field is text."""
    return {"partialFilterExpression": {field: {"$gt": ""}}}


class QueueEntry(BaseModel):
    """An entry of a work queue. `at` is when it may be claimed; see `leases`."""

    at: datetime


class SearchedOrder(BaseModel):
    """The searched fields of an order."""

    id: UUID
    tenant: str
    number: str
    customer_id: str | None
    owner: str
    """The customer; for a guest, the user who placed the order."""
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    dispute_status: str | None = None
    """Present if there are disputes."""
    external_reference: str | None
    has_outstanding: bool
    """Whether the customer has to pay more."""
    placed_by: str
    ready_to_ship: bool | None
    """Whether what is left to ship may be shipped; null if nothing is left."""
    overdue_from: datetime | None = None
    """When the order becomes overdue; absent or null if nothing is to be paid by a set time."""
    sort_key: str
    updated_at: datetime
    outbox_claim: QueueEntry | None = None
    """Present while new events wait for the relay."""
    publisher_lags: dict[str, QueueEntry] = {}
    """By publisher, present while it lacks events that were offered to it."""
    work_claim: QueueEntry | None = None
    """Present while the order has a scheduled action."""
    version: int


_ORDER_INDEXES: Final = (
    _index("sort_key", "tenant", "sort_key"),
    _index("list_by_update", "tenant", "updated_at", "_id"),
    _list_by("owner"),
    _list_by("status"),
    _list_by("payment_status"),
    _list_by("fulfillment_status"),
    # Only orders with returns: "none" sorts before the other values.
    _list_by("return_status", partialFilterExpression={"return_status": {"$gt": "none"}}),
    _list_by("dispute_status", **_where_text("dispute_status")),
    _list_by("has_outstanding"),
    _list_by("ready_to_ship", partialFilterExpression={"ready_to_ship": {"$gte": False}}),
    # Its range is not in the order of lists: the few orders that it finds are sorted in memory.
    _list_by("overdue_from", partialFilterExpression={"overdue_from": {"$gt": IMMEDIATELY}}),
    _list_by("customer_id", **_where_text("customer_id")),
    _list_by("external_reference", **_where_text("external_reference")),
    _index("outbox_claim", "outbox_claim.at", sparse=True),
    *(
        _index(f"publisher_lag_{name}", f"publisher_lags.{name}.at", sparse=True)
        for name in PUBLISHERS
    ),
    _index("work_claim", "work_claim.at", sparse=True),
)


class OrderDocument(SearchedOrder, Document):  # type: ignore[misc]
    """An order in a database of one shard."""

    class Settings:
        name = ORDERS
        indexes: ClassVar[list[IndexModel]] = [
            _index("number", "tenant", "number", unique=True),
            *_ORDER_INDEXES,
        ]


class ShardedOrderDocument(SearchedOrder, Document):  # type: ignore[misc]
    """An order on a cluster that is sharded by id. MongoDB allows no unique index there that does
    not begin with the shard key, so only the 60 random bits of a number make it unique.
    """

    class Settings:
        name = ORDERS
        indexes: ClassVar[list[IndexModel]] = [
            _index("number", "tenant", "number"),
            *_ORDER_INDEXES,
        ]


class EventDocument(Document):
    """The searched fields of a logged event. It has the event's id, so it is logged once."""

    id: str  # type: ignore[assignment]
    tenant: str
    order_id: UUID
    sequence: int
    position: int

    class Settings:
        name = ORDER_EVENTS
        indexes: ClassVar[list[IndexModel]] = [
            _index("position", "position", unique=True),
            _index("feed", "tenant", "position"),
            _index("timeline", "order_id", "sequence", unique=True),
        ]


def models_for(*, is_sharded: bool) -> list[type[Document]]:
    """Return the declared documents of a database whose orders are sharded, or not."""
    return [ShardedOrderDocument if is_sharded else OrderDocument, EventDocument]
