"""What is searched and by which index: the declared schema of the collections.

Beanie keeps it: `migrate` has it make the indexes. The rest of a document is `OrderState` and
`RecordedEvent`; see `documents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from beanie import Document, init_beanie
from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel

from orders.adapters.mongo.connection import open_mongo
from orders.adapters.mongo.documents import PUBLISHERS

ORDERS: Final = "orders"
ORDER_EVENTS: Final = "order_events"
_INDEX_SECONDS: Final = 3_600.0


def _index(name: str, *fields: str, **options: Any) -> IndexModel:
    return IndexModel([(field, ASCENDING) for field in fields], name=name, **options)


def _listed_by(*fields: str, **options: Any) -> IndexModel:
    """An index for lists: equal fields first, then the order that lists are in."""
    return _index("listed_by_" + "_".join(fields), "tenant", *fields, "listed", **options)


def _given(field: str) -> dict[str, Any]:
    """Only documents where a field that may be null is text."""
    return {field: {"$gt": ""}}


class Turn(BaseModel):
    """A place in a work queue: when a document's turn comes, and who has claimed it until then."""

    at: datetime


class SearchedOrder(BaseModel):
    """What is searched of an order."""

    id: UUID
    tenant: str
    number: str
    customer_id: str | None
    owner: str
    """The customer, or who placed it for a guest."""
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    external_reference: str | None
    owes: bool
    """Whether anything is outstanding."""
    placed_by: str
    ready_to_ship: bool | None
    """Whether what is left to send may be sent; null where nothing is."""
    listed: str
    relay: Turn | None = None
    """Since when new events wait to be relayed; absent while none does."""
    behind: dict[str, Turn] = {}
    """By publisher: when it is to get the events that it lacks; absent while none lacks any."""
    wake: Turn | None = None
    """When time asks for something; absent while it does not."""
    version: int


_ORDER_INDEXES: Final = (
    _index("listed", "tenant", "listed"),
    _listed_by("owner"),
    _listed_by("status"),
    _listed_by("payment_status"),
    _listed_by("fulfillment_status"),
    # Of orders with returns, not of the many without: "none" sorts before the others.
    _listed_by("return_status", partialFilterExpression={"return_status": {"$gt": "none"}}),
    _listed_by("owes"),
    _listed_by("ready_to_ship", partialFilterExpression={"ready_to_ship": {"$gte": False}}),
    _listed_by("customer_id", partialFilterExpression=_given("customer_id")),
    _listed_by("external_reference", partialFilterExpression=_given("external_reference")),
    _index("relay", "relay.at", sparse=True),
    *(_index(f"behind_{name}", f"behind.{name}.at", sparse=True) for name in PUBLISHERS),
    _index("wake", "wake.at", sparse=True),
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
    """An order on a cluster that is sharded by id. A unique index would have to begin with the
    shard key there: a number is unique by its 60 random bits alone.
    """

    class Settings:
        name = ORDERS
        indexes: ClassVar[list[IndexModel]] = [
            _index("number", "tenant", "number"),
            *_ORDER_INDEXES,
        ]


class EventDocument(Document):
    """What is searched of a logged event. Its id is the event's own, so it is logged once."""

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


async def migrate(uri: str, *, database: str) -> None:
    """Make every index that is missing. May be repeated, and by several at once.

    Indexes are never dropped, and one is never changed under its name: a new one is added, and
    the old one dropped by hand once no running version uses it.

    Raises:
        PyMongoError: If the database cannot be reached, or an index cannot be made.
    """
    async with open_mongo(uri, database=database, timeout_seconds=_INDEX_SECONDS) as opened:
        models = models_for(await opened.command("hello"))
        await init_beanie(database=opened, document_models=models)


def models_for(hello: Mapping[str, Any]) -> list[type[Document]]:
    """What is declared where a server says this of itself; `mongos` stands before a cluster."""
    is_cluster = hello.get("msg") == "isdbgrid"
    return [ShardedOrderDocument if is_cluster else OrderDocument, EventDocument]
