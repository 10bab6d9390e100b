"""The form in which orders and events are stored is a promise to older and newer versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import bson
import pytest
from bson.json_util import RELAXED_JSON_OPTIONS, dumps, loads

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.contracts.full_order import an_order_with_everything
from orders.adapters.contracts.samples import CUSTOMER, LATER, STAFF, a_new_order
from orders.adapters.mongo.documents import (
    CODEC,
    IMMEDIATELY,
    Document,
    all_events_in,
    sort_key,
    to_document,
    to_event,
    to_event_document,
    to_state,
    to_update,
)
from orders.application.errors import UnreadableOrder
from orders.domain.events import OrderEvent
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.state import OrderState
from tests.support.database.old_build import in_form_of

GOLDEN = Path(__file__).parent / "golden" / "order-document-v2.json"
FIRST = GOLDEN.with_stem("order-document-v2-first")
OF_THE_DATABASE = {"outbox_claim", "work_claim", "publisher_lags", "offered_sequence"}
ORDER_ID = UUID("018e0000-0000-8000-8000-0123456789ab")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_JSON = RELAXED_JSON_OPTIONS.with_options(
    tz_aware=CODEC.tz_aware,
    tzinfo=CODEC.tzinfo,
    uuid_representation=CODEC.uuid_representation,
)


def the_order() -> Order:
    """An order with every part, made by hand: no rule of the domain has a say in its form."""
    return an_order_with_everything(status=OrderStatus.CONFIRMED, order_id=ORDER_ID)


def the_document() -> Document:
    """The order as the database gives it back, with every event there is in its outbox."""
    document = to_document(the_order(), traceparent=None)
    document["outbox_claim"] = {"at": IMMEDIATELY}
    document["outbox"] = [
        to_event_document(event.recorded, event.traceparent)
        for event in logged_events(order_id=ORDER_ID)
    ]
    return bson.decode(bson.encode(document, codec_options=CODEC), codec_options=CODEC)


def as_json(document: Document) -> str:
    return dumps(document, json_options=_JSON, sort_keys=True, indent=1) + "\n"


def golden() -> Document:
    document: Document = loads(GOLDEN.read_text("utf-8"), json_options=_JSON)
    return document


def test_todays_form_is_the_golden_one() -> None:
    """If this fails, stored orders may have become unreadable. See docs/decisions/0003.

    A new field with a default, or a new event, goes into the golden file: run this module to
    write it anew. Anything else needs a new schema number.
    """
    assert as_json(the_document()) == as_json(golden())


def test_the_golden_document_still_loads() -> None:
    order = the_order()

    assert to_state(golden()) == dataclasses.replace(order.state, version=1)


def test_a_document_of_the_form_as_it_first_was_says_the_same() -> None:
    """It was stored before orders had terms, tax by rate, disputes and people."""
    first: Document = loads(FIRST.read_text("utf-8"), json_options=_JSON)
    assert all_events_in(first).unreadable == []
    assert len(all_events_in(first).events) == len(first.pop("outbox")) > 30
    stored = to_document(restore(to_state(dict(first))), traceparent=None)

    kept = {name: value for name, value in first.items() if name in stored}
    assert {*first} - {*stored} <= OF_THE_DATABASE
    assert loads(as_json(in_form_of(kept, stored)), json_options=_JSON) == kept


def test_the_golden_outbox_still_loads() -> None:
    assert all_events_in(golden()).events == logged_events(order_id=ORDER_ID)


def test_the_sample_has_no_field_at_its_default() -> None:
    """Else a field that gets lost on the way to the store would not be missed."""
    order = an_order_with_everything(status=OrderStatus.CONFIRMED)

    assert list(_at_default(order.state, "order")) == []


def _at_default(value: object, path: str) -> Iterator[str]:
    if isinstance(value, tuple):
        if not value:
            yield path
        # In one of several parts a field may be at its default, as long as not in all.
        empty = [{p.split("|")[-1] for p in _at_default(v, f"{path}|")} for v in value]
        yield from (f"{path}{name}" for name in set.intersection(*empty) if empty)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            lost = inner == field.default if type(inner) is bool else not inner
            # The state's version is the store's own.
            if lost and field.name != "version":
                yield f"{path}.{field.name}"
            yield from _at_default(inner, f"{path}.{field.name}")


def test_the_samples_hold_every_event() -> None:
    assert [type(event) for event in EVERY_EVENT] == [*get_args(OrderEvent)]


@pytest.mark.parametrize("event", logged_events(), ids=lambda e: type(e.recorded.event).__name__)
def test_every_event_keeps_its_name_and_fields(event: Any) -> None:
    stored = bson.decode(
        bson.encode(to_event_document(event.recorded, event.traceparent), codec_options=CODEC),
        codec_options=CODEC,
    )

    assert to_event(stored, tenant=event.tenant, order_id=event.order_id) == event
    fields = {field.name for field in dataclasses.fields(event.recorded.event)}
    assert {*stored["event"]} == fields | {"type"}


def test_amounts_come_back_as_plain_integers() -> None:
    """The driver's own integer type for large numbers must not get into the domain."""
    state = to_state(the_document())

    assert type(state.totals.gross) is int
    assert type(state.ledger.payments[0].amount) is int


def test_a_document_of_another_schema_is_not_guessed_at() -> None:
    with pytest.raises(UnreadableOrder, match="schema 3"):
        to_state(golden() | {"schema": 3})


@pytest.mark.parametrize(
    ("member", "value"), [("status", "teleported"), ("lines", None), ("version", "1")]
)
def test_a_value_that_is_not_known_is_not_guessed_at(member: str, value: object) -> None:
    """A newer version of the same schema may write one: a status, say."""
    with pytest.raises(UnreadableOrder, match=member):
        to_state(golden() | {member: value})


def test_an_event_of_another_version_is_not_guessed_at() -> None:
    document = golden()
    document["outbox"][0]["event"]["type"] = "OrderTeleported"
    document["outbox"][1]["after"]["status"] = "teleported"

    found = all_events_in(document)

    assert [each.sequence for each in found.unreadable] == [1, 2]
    assert ["eleported" in each.reason for each in found.unreadable] == [True, True]
    assert [*found.events] == logged_events(order_id=ORDER_ID)[2:]


@pytest.mark.parametrize(
    ("member", "value"), [("occurred_at", "today"), ("version", "1"), ("traceparent", 1)]
)
def test_an_event_whose_envelope_has_another_form_is_not_guessed_at(
    member: str, value: object
) -> None:
    """It would end the relay, and with it every other order's events."""
    document = golden()
    document["outbox"][0][member] = value

    found = all_events_in(document)

    assert [each.sequence for each in found.unreadable] == [1]
    assert [*found.events] == logged_events(order_id=ORDER_ID)[1:]


def test_a_change_sets_what_differs_and_no_more() -> None:
    order = restore(to_state(to_document(a_new_order(), traceparent=None)))
    order.add_note("Once more", by=STAFF, now=LATER)

    update = to_update(order, traceparent=TRACE)

    assert {*update} == {"$set", "$push", "$max"}
    # The totals are added up anew with every change.
    assert {*update["$set"]} == {
        *(
            "notes",
            "sequence",
            "updated_at",
            "totals",
            "has_outstanding",
            "version",
            "work_claim",
        ),
    }
    (event,) = update["$push"]["outbox"]["$each"]
    assert (event["event"]["type"], event["traceparent"]) == ("NoteAdded", TRACE)


def test_an_order_that_becomes_a_customers_is_listed_as_theirs() -> None:
    guests = a_new_order(customer_id=None)
    order = restore(to_state(to_document(guests, traceparent=None)))
    order.assign_customer("ada", by=STAFF, now=LATER)

    changed = to_update(order, traceparent=None)["$set"]

    assert to_document(guests, traceparent=None)["owner"] == CUSTOMER.subject
    assert (changed["customer_id"], changed["owner"]) == ("ada", "ada")


def test_the_metadata_of_a_stored_line_cannot_be_written_and_is_text_by_name() -> None:
    metadata = to_state(golden()).lines[0].metadata
    assert metadata
    with pytest.raises(TypeError):
        metadata["engrave"] = "other"
    document = golden()
    document["lines"][0]["metadata"] = {"engrave": 7}
    with pytest.raises(UnreadableOrder, match="Expected `str`"):
        to_state(document)


def test_an_order_without_people_is_read_as_it_was_stored_before_there_were_any() -> None:
    document = golden()
    for name in ("contact", "billing", "gift_message"):
        del document[name]
    del document["shipping"]["instructions"]
    for line in document["lines"]:
        del line["metadata"]

    state = to_state(document)

    assert (state.contact, state.billing, state.gift_message) == (None, None, None)
    assert state.shipping is not None
    assert state.shipping.instructions is None
    assert {line.metadata for line in state.lines} == {None}


def test_every_field_of_an_order_is_stored() -> None:
    names = {field.name for field in dataclasses.fields(OrderState)} - {"id"}

    assert names <= {*the_document()}


def test_places_in_a_list_sort_by_time_then_id() -> None:
    times = [datetime.fromtimestamp(at / 1000, CODEC.tzinfo) for at in (0, 1, 999, 10**12, 4e12)]
    ids = [OrderId(UUID(int=n)) for n in (0, 1, 255, 256, 2**127, 2**128 - 1)]

    places = [(at, order_id) for at in times for order_id in ids]

    assert sorted(places) == sorted(places, key=lambda place: sort_key(place[0], place[1]))
    assert all(sort_key(at) < sort_key(at, ids[0]) for at in times)


if __name__ == "__main__":
    GOLDEN.write_text(as_json(the_document()), "utf-8")
