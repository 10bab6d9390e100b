"""An order as a document, and back; both directions, in one place.

The stored form follows the domain's own names. It is a promise to every version of this service
that runs at the same time, and a golden document in the tests keeps it. Money that is added up
nowhere is stored nowhere: beside the state there is only what the database must search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions

from orders.application.errors import UnreadableOrder
from orders.application.ports import FoundEvents, LoggedEvent, Position, Unreadable, WaitingEvents
from orders.domain.errors import OrderError
from orders.domain.events import OrderEvent, OrderSnapshot, RecordedEvent
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import stored_state
from orders.domain.rules import ready_to_ship
from orders.domain.state import OrderState

Document = dict[str, Any]

SCHEMA: Final = 1
"""Raised when a document of the form before can no longer be read as it is."""
CODEC: Final[CodecOptions[Document]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, uuid_representation=UuidRepresentation.STANDARD
)
AT_ONCE: Final = datetime.fromtimestamp(0, UTC)
"""The turn of what waits for nobody: before any clock's now."""
NEVER: Final = datetime(5000, 1, 1, tzinfo=UTC)
"""From here on are the turns of what waits for a person."""
PUBLISHERS: Final = ("rabbitmq", "kafka")
"""Who may be behind: each has a queue of its own, and an index for it."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_BSON_KNOWS = (datetime, UUID)
_FIELDS = tuple(each.name for each in fields(OrderState) if each.name not in {"id", "version"})
_EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(OrderEvent)}
_FOUR_THOUSAND_YEARS: Final = timedelta(days=10 * 146_097)
_NO_SUCH_FORM: Final = (KeyError, TypeError, ValueError, msgspec.MsgspecError, OrderError)
"""What comes of a document that another version, or nobody, has written so."""


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
    if state.next_action_at is not None:
        document["wake"] = {"at": state.next_action_at}
    return document


def changes_of(order: Order, *, traceparent: str | None) -> Document:
    """The update that takes the stored order to the state of this one, at the next version.

    Only what differs is set, so a part that another version of the service added stays. The
    outbox is only ever added to; what the relay has claimed stays claimed.
    """
    state, stored = order.state, stored_state(order)
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
    if state.next_action_at is None:
        update["$unset"] = {"wake": ""}
    else:
        changed["wake"] = {"at": state.next_action_at}
    if order.new_events:
        update["$push"] = {"outbox": {"$each": _outbox_of(order, traceparent)}}
        update["$max"] = {"relay.at": AT_ONCE}
    return update


def state_from(document: Document) -> OrderState:
    """All that a document says of its order. The document is used up.

    Raises:
        UnreadableOrder: If it has a form of another version.
    """
    order_id = document.pop("_id")
    if document.get("schema") != SCHEMA:
        raise UnreadableOrder(order_id, f"schema {document.get('schema')}")
    document["id"] = order_id
    try:
        return msgspec.convert(document, OrderState, builtin_types=_BSON_KNOWS)
    except _NO_SUCH_FORM as error:
        raise UnreadableOrder(order_id, str(error)) from error


def listed_at(at: datetime, order_id: OrderId | None = None) -> str:
    """The key that lists are sorted by: the time, and the id where times are equal.

    Without an id it is before every order of that time, rounded up to the millisecond. One
    string, because a place in a list is then one bound of one index. A time outside of what 13
    digits hold, 1970 to 2286, is the first or the last of them: no order is from then.
    """
    milliseconds = min(max(0, -((AT_ONCE - at) // _MILLISECOND)), 10**13 - 1)
    return f"{milliseconds:013d}" + (order_id.hex if order_id is not None else "")


def place_of(document: Document) -> Position:
    """Where a document stands in a list, whatever else it says."""
    at, order_id = document["listed"][:13], document["_id"]
    return Position(at=AT_ONCE + int(at) * _MILLISECOND, order_id=order_id)


def parked_turn(at: datetime) -> datetime:
    """The turn of what was parked then: after `NEVER`, the longest parked first."""
    return at + _FOUR_THOUSAND_YEARS


def new_in(document: Document) -> WaitingEvents | None:
    """The events that were offered to no publisher yet; None if there are none.

    Needs `tenant`, `schema`, `outbox`, `offered` and `behind` of the document.
    """
    after = document.get("offered", 0)
    waiting = _waiting(document, [e for e in document["outbox"] if e["sequence"] > after])
    behind = frozenset(document.get("behind", ()))
    return replace(waiting, behind=behind) if waiting.events or waiting.unreadable else None


def lacking_in(document: Document, publisher: str) -> WaitingEvents:
    """The events that were offered and that a publisher has not confirmed. Needs its `behind`."""
    lag = document["behind"][publisher]
    lacking = [e for e in document["outbox"] if lag["confirmed"] < e["sequence"]]
    offered = [e for e in lacking if e["sequence"] <= document["offered"]]
    return replace(_waiting(document, offered), refusals=lag.get("refusals", 0))


def found_in(document: Document) -> FoundEvents:
    """All events in a document's outbox, in sequence. Needs `tenant`, `schema` and `outbox`."""
    return sorted_out(_in_outbox(document, event) for event in document["outbox"])


def sorted_out(read: Iterable[LoggedEvent | Unreadable]) -> FoundEvents:
    """Those that could be read, and those that could not."""
    events: list[LoggedEvent] = []
    unreadable: list[Unreadable] = []
    for each in read:
        if isinstance(each, Unreadable):
            unreadable.append(each)
        else:
            events.append(each)
    return FoundEvents(events=events, unreadable=unreadable)


def _waiting(document: Document, events: Iterable[Document]) -> WaitingEvents:
    """The readable ones, up to the first that is not."""
    readable: list[LoggedEvent] = []
    for event in events:
        read = _in_outbox(document, event)
        if isinstance(read, Unreadable):
            return WaitingEvents(order_id=document["_id"], events=readable, unreadable=read)
        readable.append(read)
    return WaitingEvents(order_id=document["_id"], events=readable)


def _in_outbox(document: Document, event: Document) -> LoggedEvent | Unreadable:
    if document["schema"] != SCHEMA:
        reason = f"the order has schema {document['schema']}"
        return Unreadable(order_id=document["_id"], sequence=event["sequence"], reason=reason)
    return event_from(event, tenant=document["tenant"], order_id=document["_id"])


def event_document(recorded: RecordedEvent, traceparent: str | None) -> Document:
    """An event as the outbox and the log store it; `type` tells which event it is."""
    document: Document = _plain(recorded)
    document["event"]["type"] = type(recorded.event).__name__
    document["traceparent"] = traceparent
    return document


def event_from(
    document: Document, *, tenant: str, order_id: OrderId, position: int | None = None
) -> LoggedEvent | Unreadable:
    """The event that a document holds, if this version knows its form."""
    try:
        return LoggedEvent(
            tenant=tenant,
            order_id=order_id,
            recorded=_recorded(document),
            traceparent=msgspec.convert(document["traceparent"], str | None),
            position=position,
        )
    except _NO_SUCH_FORM as error:
        reason = f"{type(error).__name__}: {error}"
        return Unreadable(order_id=order_id, sequence=document["sequence"], reason=reason)


def _recorded(document: Document) -> RecordedEvent:
    kind = _EVENTS.get(document["event"]["type"])
    if kind is None:
        raise ValueError(f"no event is called {document['event']['type']}")
    return RecordedEvent(
        sequence=document["sequence"],
        version=msgspec.convert(document["version"], int),
        occurred_at=msgspec.convert(document["occurred_at"], datetime, builtin_types=_BSON_KNOWS),
        actor=msgspec.convert(document["actor"], Actor),
        event=msgspec.convert(document["event"], kind),
        after=msgspec.convert(document["after"], OrderSnapshot),
    )


def _outbox_of(order: Order, traceparent: str | None) -> list[Document]:
    return [event_document(recorded, traceparent) for recorded in order.new_events]


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, builtin_types=_BSON_KNOWS)
