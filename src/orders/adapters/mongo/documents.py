"""An order as a document, and back: both directions in one place.

A document has the fields of `OrderState` under their own names, and beside them only what the
database must search. Every version of the service that runs at the same time relies on this form.
A golden document in the tests keeps it.
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
from orders.application.ports import (
    FoundEvents,
    Lag,
    LoggedEvent,
    ParkedEvents,
    Position,
    Unreadable,
    WaitingEvents,
)
from orders.domain.errors import OrderError
from orders.domain.events import OrderEvent, OrderSnapshot, RecordedEvent
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order.order import Order
from orders.domain.order.storing import stored_state
from orders.domain.read_only import ReadOnlyDict
from orders.domain.rules import overdue_from, ready_to_ship
from orders.domain.state import OrderState

Document = dict[str, Any]

ORDERS: Final = "orders"
ORDER_EVENTS: Final = "order_events"

SCHEMA: Final = 2
"""The number of the stored form. It goes up when older documents can no longer be read as they
are; see `stored_forms`.
"""
CODEC: Final[CodecOptions[Document]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, uuid_representation=UuidRepresentation.STANDARD
)
IMMEDIATELY: Final = datetime.fromtimestamp(0, UTC)
"""The time of a queue entry that may be claimed at once: before any clock's now."""
PUBLISHERS: Final = ("rabbitmq", "kafka")
"""The publishers that may lag: each has its own queue, and an index for it."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_BSON_KNOWS = (datetime, UUID)
_FIELDS = tuple(each.name for each in fields(OrderState) if each.name not in {"id", "version"})
_EVENTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(OrderEvent)}
_UNREADABLE: Final = (KeyError, TypeError, ValueError, msgspec.MsgspecError, OrderError)
"""What reading raises for a form that this version does not know."""


def to_document(order: Order, *, traceparent: str | None) -> Document:
    """Return the document of a new order, at version 1."""
    state = order.state
    document: Document = _plain(state)
    document |= {
        "_id": document.pop("id"),
        "schema": SCHEMA,
        "version": 1,
        "owner": state.owner,
        "sort_key": sort_key(state.created_at, state.id),
        "has_outstanding": state.totals.outstanding > 0,
        "ready_to_ship": ready_to_ship(state),
        "outbox": _outbox_of(order, traceparent),
    }
    if (at := overdue_from(state)) is not None:
        document["overdue_from"] = at
    # Most new orders have no payment yet.
    if state.ledger.payments and (dispute_status := state.ledger.dispute_status):
        document["dispute_status"] = dispute_status.value
    if order.new_events:
        document["outbox_claim"] = {"at": IMMEDIATELY}
    if state.next_action_at is not None:
        document["work_claim"] = {"at": state.next_action_at}
    return document


def to_update(order: Order, *, traceparent: str | None) -> Document:
    """Return the update that brings the stored order to this one's state, at the next version.

    It sets only what differs, so fields that another version of the service added stay. It only
    appends to the outbox, and leaves the relay's claim as it is.
    """
    state, stored = order.state, stored_state(order)
    changed = {
        name: _plain(value)
        for name in _FIELDS
        if (value := getattr(state, name)) is not getattr(stored, name)
    }
    if "totals" in changed:
        changed["has_outstanding"] = state.totals.outstanding > 0
    if "customer_id" in changed:
        changed["owner"] = state.owner
    if "ledger" in changed and (disputes := state.ledger.dispute_status):
        changed["dispute_status"] = disputes.value
    if (ready := ready_to_ship(state)) is not ready_to_ship(stored):
        changed["ready_to_ship"] = ready
    if "totals" in changed and state.terms is not None:
        changed["overdue_from"] = overdue_from(state)
    changed["version"] = order.version + 1
    update: Document = {"$set": changed}
    if state.next_action_at is None:
        update["$unset"] = {"work_claim": ""}
    else:
        changed["work_claim"] = {"at": state.next_action_at}
    if order.new_events:
        update["$push"] = {"outbox": {"$each": _outbox_of(order, traceparent)}}
        update["$max"] = {"outbox_claim.at": IMMEDIATELY}
    return update


def to_state(document: Document) -> OrderState:
    """Return the state that a document holds. This consumes the document.

    Raises:
        UnreadableOrder: If another version of the service wrote it in a form unknown to this one.
    """
    order_id = document.pop("_id")
    if document.get("schema") != SCHEMA:
        raise UnreadableOrder(order_id, f"schema {document.get('schema')}")
    document["id"] = order_id
    try:
        return msgspec.convert(document, OrderState, builtin_types=_BSON_KNOWS, dec_hook=_read_only)
    except _UNREADABLE as error:
        raise UnreadableOrder(order_id, str(error)) from error


def sort_key(at: datetime, order_id: OrderId | None = None) -> str:
    """Return the key that lists are sorted by: the time of creation, then the id.

    It is one string, so that a position in a list is one bound of one index. Without an id it
    sorts before every order of that time, which is rounded up to the millisecond. Times outside
    1970 to 2286 (13 digits) become the first or the last of these.
    """
    return f"{_milliseconds(at):013d}" + (order_id.hex if order_id is not None else "")


def whole_millisecond(at: datetime) -> datetime:
    """Return the first time, from `at` on, that the database can keep: within 1970 to 2286."""
    return IMMEDIATELY + _milliseconds(at) * _MILLISECOND


def _milliseconds(at: datetime) -> int:
    return min(max(0, -((IMMEDIATELY - at) // _MILLISECOND)), 10**13 - 1)


def position_of(document: Document) -> Position:
    """Return the position of a document in a list. It reads nothing but `sort_key` and `_id`."""
    at, order_id = document["sort_key"][:13], document["_id"]
    return Position(at=IMMEDIATELY + int(at) * _MILLISECOND, order_id=order_id)


def lag_field(publisher: str) -> str:
    """Return the field with what a publisher lacks. It is also that publisher's work queue."""
    return f"publisher_lags.{publisher}"


def lag_document(lag: Lag) -> Document:
    """Return what `lag_field` holds."""
    return {"at": lag.again_at, "confirmed": lag.confirmed, "refusals": lag.refusals}


def new_events_in(document: Document) -> WaitingEvents | None:
    """Return the events that no publisher was offered yet; None if there are none.

    Needs `tenant`, `schema`, `outbox`, `offered_sequence` and `publisher_lags` of the document.
    """
    after = document.get("offered_sequence", 0)
    waiting = _waiting(document, [e for e in document["outbox"] if e["sequence"] > after])
    behind = frozenset(document.get("publisher_lags", ()))
    return replace(waiting, behind=behind) if waiting.events or waiting.unreadable else None


def missing_events_in(document: Document, publisher: str) -> WaitingEvents:
    """Return the events that were offered and that this publisher has not confirmed.

    Needs the same fields as `new_events_in`.
    """
    lag = document["publisher_lags"][publisher]
    first, last = lag["confirmed"] + 1, document["offered_sequence"]
    missing = [e for e in document["outbox"] if first <= e["sequence"] <= last]
    return replace(_waiting(document, missing), refusals=lag.get("refusals", 0))


def parked_in(document: Document, publisher: str) -> ParkedEvents:
    """Return what is parked for a publisher. Needs `tenant`, `outbox` and the `lag_field`."""
    lag = document["publisher_lags"][publisher]
    waiting = [e for e in document["outbox"] if e["sequence"] > lag["confirmed"]]
    return ParkedEvents(
        publisher=publisher,
        tenant=document["tenant"],
        order_id=document["_id"],
        first=lag["confirmed"] + 1,
        waiting=len(waiting),
        reason=lag["reason"],
        parked_at=lag["parked_at"],
    )


def all_events_in(document: Document) -> FoundEvents:
    """Return all events in the outbox, in sequence. Needs `tenant`, `schema` and `outbox`."""
    return split_unreadable(_in_outbox(document, event) for event in document["outbox"])


def split_unreadable(read: Iterable[LoggedEvent | Unreadable]) -> FoundEvents:
    """Separate the events that could be read from those that could not."""
    events: list[LoggedEvent] = []
    unreadable: list[Unreadable] = []
    for each in read:
        if isinstance(each, Unreadable):
            unreadable.append(each)
        else:
            events.append(each)
    return FoundEvents(events=events, unreadable=unreadable)


def _waiting(document: Document, events: Iterable[Document]) -> WaitingEvents:
    """The events up to the first unreadable one: a publisher gets an order's events in order."""
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
    return to_event(event, tenant=document["tenant"], order_id=document["_id"])


def to_event_document(recorded: RecordedEvent, traceparent: str | None) -> Document:
    """Return an event as the outbox and the event log store it. `type` names the event class."""
    document: Document = _plain(recorded)
    document["event"]["type"] = type(recorded.event).__name__
    document["traceparent"] = traceparent
    return document


def to_event(
    document: Document, *, tenant: str, order_id: OrderId, position: int | None = None
) -> LoggedEvent | Unreadable:
    """Return the event that a document holds, or `Unreadable` if its form is unknown."""
    try:
        return LoggedEvent(
            tenant=tenant,
            order_id=order_id,
            recorded=_recorded(document),
            traceparent=msgspec.convert(document["traceparent"], str | None),
            position=position,
        )
    except _UNREADABLE as error:
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
        event=msgspec.convert(document["event"], kind, builtin_types=_BSON_KNOWS),
        after=msgspec.convert(document["after"], OrderSnapshot),
    )


def _outbox_of(order: Order, traceparent: str | None) -> list[Document]:
    return [to_event_document(recorded, traceparent) for recorded in order.new_events]


def _read_only(_: type[Any], value: object) -> ReadOnlyDict[str, str]:
    return ReadOnlyDict(msgspec.convert(value, dict[str, str]))


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, builtin_types=_BSON_KNOWS)
