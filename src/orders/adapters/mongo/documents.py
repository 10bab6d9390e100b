"""An order as a document, and back; both directions, in one place.

The stored form follows the domain's own names. It is a promise to every version of this service
that runs at the same time, and a golden document in the tests keeps it. Money that is added up
nowhere is stored nowhere: beside the state there is only what the database must search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

from orders.application.ports import LoggedEvent
from orders.domain.events import OrderEvent, RecordedEvent, Standing
from orders.domain.guards import ready_to_ship
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order import Order
from orders.domain.state import OrderState

Document = dict[str, Any]
Traceparent = Callable[[], str | None]
"""The W3C trace context of the request being served, if there is one."""

SCHEMA: Final = 1
"""Raised when a document of the form before can no longer be read as it is."""
CODEC: Final[CodecOptions[Document]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, uuid_representation=UuidRepresentation.STANDARD
)
AT_ONCE: Final = datetime.fromtimestamp(0, UTC)
"""The turn of what waits for nobody: before any clock's now."""
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The turn of what waits for a person."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_BSON_KNOWS = (datetime, UUID)
_FIELDS = tuple(each.name for each in fields(OrderState) if each.name not in {"id", "version"})
_EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(OrderEvent)}


class UnreadableDocument(Exception):
    """A stored document of a form that this version of the service does not know."""


def document_of(order: Order, *, traceparent: str | None) -> Document:
    """A new order as it is stored first, at version 1."""
    state = order.state
    document: Document = _plain(state)
    document |= {
        "_id": document.pop("id"),
        "schema": SCHEMA,
        "version": 1,
        "owner": state.customer_id if state.customer_id is not None else state.placed_by,
        "listed": listed_at(state.created_at, state.id),
        "owes": state.totals.outstanding > 0,
        "ready_to_ship": ready_to_ship(state),
        "outbox": _outbox_of(order, traceparent),
    }
    if order.new_events:
        document["relay"] = {"at": AT_ONCE}
    if state.due_at is not None:
        document["wake"] = {"at": state.due_at}
    return document


def changes_of(order: Order, *, traceparent: str | None) -> Document:
    """The update that takes the stored order to the state of this one, at the next version.

    Only what differs is set, so a part that another version of the service added stays. The
    outbox is only ever added to; what the relay has claimed stays claimed.
    """
    state, stored = order.state, order.stored
    changed = {
        name: _plain(value)
        for name in _FIELDS
        if (value := getattr(state, name)) is not getattr(stored, name)
    }
    if "totals" in changed:
        changed["owes"] = state.totals.outstanding > 0
    if (ready := ready_to_ship(state)) is not ready_to_ship(stored):
        changed["ready_to_ship"] = ready
    changed["version"] = order.version + 1
    update: Document = {"$set": changed}
    if state.due_at is None:
        update["$unset"] = {"wake": ""}
    else:
        changed["wake"] = {"at": state.due_at}
    if order.new_events:
        update["$push"] = {"outbox": {"$each": _outbox_of(order, traceparent)}}
        update["$max"] = {"relay.at": AT_ONCE}
    return update


def state_from(document: Document) -> OrderState:
    """All that a document says of its order. The document is used up.

    Raises:
        UnreadableDocument: If it has a form of another version.
    """
    if document["schema"] != SCHEMA:
        raise UnreadableDocument(f"order {document['_id']} has schema {document['schema']}")
    document["id"] = document.pop("_id")
    return msgspec.convert(document, OrderState, builtin_types=_BSON_KNOWS)


def listed_at(at: datetime, order_id: OrderId | None = None) -> str:
    """The key that lists are sorted by: the time, and the id where times are equal.

    Without an id it is before every order of that time, rounded up to the millisecond. One
    string, because a place in a list is then one bound of one index. A time outside of what 13
    digits hold, 1970 to 2286, is the first or the last of them: no order is from then.
    """
    milliseconds = min(max(0, -((AT_ONCE - at) // _MILLISECOND)), 10**13 - 1)
    return f"{milliseconds:013d}" + (order_id.hex if order_id is not None else "")


def waiting_in(document: Document) -> list[LoggedEvent]:
    """The events in a document's outbox, in sequence. Needs `tenant` and `outbox` of it."""
    return [
        event_from(event, tenant=document["tenant"], order_id=document["_id"])
        for event in document["outbox"]
    ]


def event_document(recorded: RecordedEvent, traceparent: str | None) -> Document:
    """An event as the outbox and the log store it; `type` tells which event it is."""
    document: Document = _plain(recorded)
    document["event"]["type"] = type(recorded.event).__name__
    document["traceparent"] = traceparent
    return document


def event_from(
    document: Document, *, tenant: str, order_id: OrderId, position: int | None = None
) -> LoggedEvent:
    """The event that a document holds.

    Raises:
        UnreadableDocument: If it is an event that this version does not know.
    """
    name = document["event"]["type"]
    if name not in _EVENTS:
        raise UnreadableDocument(f"order {order_id} has an event {name}")
    recorded = RecordedEvent(
        sequence=document["sequence"],
        version=document["version"],
        occurred_at=document["occurred_at"],
        actor=msgspec.convert(document["actor"], Actor),
        event=msgspec.convert(document["event"], _EVENTS[name]),
        after=msgspec.convert(document["after"], Standing),
    )
    return LoggedEvent(
        tenant=tenant,
        order_id=order_id,
        recorded=recorded,
        traceparent=document["traceparent"],
        position=position,
    )


def _outbox_of(order: Order, traceparent: str | None) -> list[Document]:
    return [event_document(recorded, traceparent) for recorded in order.new_events]


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, builtin_types=_BSON_KNOWS)
