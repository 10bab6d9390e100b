"""Who buys, who pays, what the parcel needs: bounds, edits, and whose order it becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from orders.domain import (
    Actor,
    Address,
    AlreadyShipped,
    Billing,
    BillingAddress,
    Contact,
    HasCustomer,
    InvalidValue,
    Order,
    OrderStatus,
    PartNotFound,
    Shipping,
    quote,
)
from orders.domain.events import CustomerAssigned, OrderEdited
from orders.domain.lines import MAX_LINE_METADATA
from orders.domain.validation import validate_email, validate_vat_id
from tests.support.orders import (
    ADDRESS,
    CUSTOMER,
    NOW,
    STAFF,
    a_draft,
    a_placed_order,
    an_order_that_is,
    items,
    pack,
    restored,
    send,
)

BILLED_TO: Final = BillingAddress(name="Quill", line1="9 Inn Row", city="Cork", country="IE")
PEN, *OTHERS = a_draft().lines
EVERYTHING: Final[dict[str, Any]] = {
    "contact": Contact(email="ada@quill.example", phone="+353 21 555 0100"),
    "billing": Billing(address=BILLED_TO, company="Quill and Sons", vat_id="IE1234567T"),
    "gift_message": "Many happy returns\n\N{PARTY POPPER}",
    "shipping": Shipping(address=ADDRESS, instructions="Behind the hedge"),
    "lines": (replace(PEN, metadata={"engrave": "To Bea"}), *OTHERS),
}


def engraved(text: str, *, lines: int = 1) -> tuple[Any, ...]:
    return (replace(PEN, quantity=1, metadata={"engrave": text}),) * lines


# -- bounds -------------------------------------------------------------------------------------


def test_an_order_keeps_what_it_is_placed_with() -> None:
    state = a_placed_order(**EVERYTHING).state

    for name in ("contact", "billing", "gift_message", "shipping"):
        assert getattr(state, name) == EVERYTHING[name]
    assert [line.metadata for line in state.lines] == [{"engrave": "To Bea"}, None, None]
    assert a_placed_order().state.contact is None


@pytest.mark.parametrize(
    "email",
    [
        *(
            "a@b",
            "ada@shop.example",
            "ada+orders@shop.example",
            "o'neil@x.example",
            "a..b@x.example",
        ),
        *("用户@例子.广告", "zoë@ångström.example", "a" * 64 + "@x.example", "a@" + "b" * 252),
    ],
)
def test_takes_an_e_mail_address_of_any_script(email: str) -> None:
    assert validate_email(email, "it") == email


@pytest.mark.parametrize(
    "email",
    [
        *("", "ada", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", " a@b", "a@b ", "a@b\n", "a\t@b"),
        *("a@b..c", "a@.b", "a@b.", '"a b"@c', "Ada <a@b>", "a@b,c@d", "a;b@c", "a@[127.0.0.1]"),
        *("a\N{ZERO WIDTH SPACE}@b", "a@b\N{RIGHT-TO-LEFT OVERRIDE}c", "a@b\N{LINE SEPARATOR}"),
        *("a\x00@b", "a\ud800@b", "a" * 65 + "@b", "a@" + "b" * 253),
    ],
)
def test_refuses_what_is_no_e_mail_address(email: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Contact(email=email)
    assert refused.value.field == "contact/email"


@pytest.mark.parametrize(
    "vat_id",
    ["IE1234567T", "CHE-123.456.789 MWST", "12.345.678/0001-95", "IE1+23456*", "A1", "9" * 32],
)
def test_takes_tax_numbers_of_the_world(vat_id: str) -> None:
    assert validate_vat_id(vat_id, "it") == vat_id


@pytest.mark.parametrize("vat_id", ["", "A", " A1", "A1 ", "A1\n", "A_1", "ÄÖ1", "9" * 33])
def test_refuses_what_is_no_tax_number(vat_id: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Billing(vat_id=vat_id)
    assert refused.value.field == "billing/vat_id"


@pytest.mark.parametrize(
    ("make", "field", "most"),
    [
        (lambda text: Contact(phone=text), "contact/phone", 200),
        (lambda text: Billing(company=text), "billing/company", 200),
        (lambda text: replace(BILLED_TO, line1=text), "billing/address/line1", 200),
        (lambda text: quote(a_draft(gift_message=text)), "gift_message", 1_000),
        (
            lambda text: quote(a_draft(shipping=Shipping(instructions=text))),
            "shipping/instructions",
            1_000,
        ),
        (lambda text: quote(a_draft(lines=engraved(text))), "lines/0/metadata/engrave", 500),
    ],
)
def test_texts_are_bounded_and_named(make: Callable[[str], object], field: str, most: int) -> None:
    make("é" * most)
    for text in ("", " ", "a\x00", "é" * (most + 1)):
        with pytest.raises(InvalidValue) as refused:
            make(text)
        assert refused.value.field == field


def test_a_delivery_address_is_no_billing_address() -> None:
    with pytest.raises(InvalidValue) as refused:
        Billing(address=ADDRESS)  # type: ignore[arg-type]
    assert refused.value.field == "billing/address"
    assert isinstance(BILLED_TO, Address)


def test_the_metadata_of_all_lines_together_is_bounded() -> None:
    """Without a bound an order could grow too large to be stored, by changes if not at once."""
    texts = MAX_LINE_METADATA // (len("engrave") + 493)
    assert a_placed_order(lines=engraved("x" * 493, lines=texts)).status is OrderStatus.PENDING
    with pytest.raises(InvalidValue) as refused:
        a_placed_order(lines=engraved("x" * 493, lines=texts + 1))
    assert refused.value.field == "lines"


def test_lines_that_a_change_adds_count_with_their_change() -> None:
    order = a_placed_order(lines=engraved("x" * 493, lines=100))

    def add(count: int) -> None:
        added = engraved("x" * 493, lines=count)
        order.propose_change(removed={}, added=added, reason="other", by=STAFF, now=NOW)

    add(50)
    order.decline_change("1", by=STAFF, now=NOW)
    with pytest.raises(InvalidValue):
        add(26)
    add(25)
    order.apply_change("2", by=STAFF, now=NOW)
    with pytest.raises(InvalidValue):
        add(1)
    with pytest.raises(InvalidValue) as refused:
        order.edit(line_metadata={"1": {"engrave": "x" * 494}}, by=STAFF, now=NOW)
    assert refused.value.field == "lines"


# -- edits --------------------------------------------------------------------------------------

IN_THE_PARCEL: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "address": ("shipping", {"address": ADDRESS}),
    "instructions": ("shipping", {"instructions": "In the porch"}),
    "gift_message": ("gift_message", {"gift_message": "For Bea"}),
    "line_metadata": ("lines", {"line_metadata": {"1": {"engrave": "For Bea"}}}),
}
ON_PAPER: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "contact": ("contact", {"contact": Contact(email="bea@quill.example")}),
    "billing": ("billing", {"billing": Billing(vat_id="DE123456789")}),
}
EDITS: Final = IN_THE_PARCEL | ON_PAPER


def edited(order: Order) -> list[tuple[str, ...]]:
    found = (each.event for each in order.new_events)
    return [event.fields for event in found if isinstance(event, OrderEdited)]


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("by", [CUSTOMER, STAFF], ids=["customer", "staff"])
def test_an_edit_is_recorded_once_and_only_where_it_differs(name: str, by: Actor) -> None:
    field, change = EDITS[name]
    order = a_placed_order()

    order.edit(**change, by=by, now=NOW)
    order.edit(**change, by=by, now=NOW)

    assert edited(order) == [(field,)]
    gone = {"line_metadata": {"1": None}} if name == "line_metadata" else {name: None}
    order.edit(**gone, by=by, now=NOW)
    if field == "shipping":
        assert order.state.shipping == Shipping()
    else:
        assert getattr(order.state, field) == getattr(a_placed_order().state, field)
    assert edited(order) == [(field,), (field,)]


@pytest.mark.parametrize("name", IN_THE_PARCEL)
@pytest.mark.parametrize("begin", [pack, send], ids=["packed", "sent"])
def test_what_is_in_a_parcel_is_changed_by_staff_alone_once_one_is_packed(
    name: str, begin: Callable[..., str]
) -> None:
    field, change = IN_THE_PARCEL[name]
    order = an_order_that_is(OrderStatus.CONFIRMED)
    begin(order, items(_1=1))
    before = order.state

    with pytest.raises(AlreadyShipped):
        order.edit(**change, note="also", by=CUSTOMER, now=NOW)
    assert order.state is before
    order.edit(**change, by=STAFF, now=NOW)

    assert edited(order) == [(field,)]
    order.edit(**change, note="no difference is none", by=CUSTOMER, now=NOW)


@pytest.mark.parametrize("name", ON_PAPER)
def test_a_customer_corrects_the_invoice_after_packing_too(name: str) -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    send(order)
    order.edit(**ON_PAPER[name][1], by=CUSTOMER, now=NOW)
    assert edited(order) == [(name,)]


def test_instructions_and_address_leave_each_other_alone() -> None:
    order = a_placed_order(shipping=Shipping(method="express", price=5))
    order.edit(instructions="In the porch", by=CUSTOMER, now=NOW)
    order.edit(address=ADDRESS, by=CUSTOMER, now=NOW)
    order.edit(instructions=None, by=CUSTOMER, now=NOW)
    assert order.state.shipping == Shipping(address=ADDRESS, method="express", price=5)
    assert order.state.totals.shipping == 5


def test_metadata_of_a_line_that_is_not_there_is_refused() -> None:
    order = a_placed_order()
    before = order.state
    with pytest.raises(PartNotFound):
        order.edit(line_metadata={"1": {"a": "b"}, "9": {"a": "b"}}, by=CUSTOMER, now=NOW)
    assert order.state is before


def test_a_line_keeps_its_metadata_whatever_becomes_of_its_units() -> None:
    order = restored(a_placed_order(**EVERYTHING))
    order.cancel_items(items(_1=1), "inventory", by=STAFF, now=NOW)
    assert order.state.lines[0].metadata == {"engrave": "To Bea"}


# -- guests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", OrderStatus)
def test_a_guests_order_becomes_a_customers_once(status: OrderStatus) -> None:
    order = restored(an_order_that_is(status), customer_id=None, placed_by="checkout")
    assert order.state.owner == "checkout"

    order.assign_customer("ada", by=STAFF, now=NOW)
    order.assign_customer("ada", by=STAFF, now=NOW)

    assert (order.state.owner, order.state.customer_id) == ("ada", "ada")
    assert [(each.event, each.actor) for each in order.new_events] == [(CustomerAssigned(), STAFF)]
    with pytest.raises(HasCustomer):
        order.assign_customer("bob", by=STAFF, now=NOW)
    assert order.state.owner == "ada"


@pytest.mark.parametrize("customer_id", ["", " ", "a b", "a\n", "é", "a" * 256])
def test_a_customer_is_named_as_when_placing(customer_id: str) -> None:
    order = restored(a_placed_order(), customer_id=None)
    with pytest.raises(InvalidValue) as refused:
        order.assign_customer(customer_id, by=STAFF, now=NOW)
    assert refused.value.field == "customer_id"
    assert not order.is_changed
