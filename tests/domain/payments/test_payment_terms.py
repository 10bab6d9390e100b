"""Orders that are shipped before they are paid: on delivery, or by invoice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from orders.domain import (
    Action,
    InvalidValue,
    Order,
    OrderStatus,
    PaymentTerms,
    ProviderStatus,
    TermsKind,
    refusals,
)
from orders.domain.events import PaymentDueDateSet
from orders.domain.lines import DraftLine
from orders.domain.rules import overdue_from, ready_to_ship
from tests.support.orders import (
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    deliver,
    items,
    pack,
    record_payment,
    restored,
    send,
)

ON_DELIVERY = PaymentTerms(kind=TermsKind.ON_DELIVERY)
INVOICE = PaymentTerms(kind=TermsKind.INVOICE, due_in_days=14)
DAY = timedelta(days=1)
CARD = DraftLine(sku="GIFT", name="Gift card", quantity=1, unit_price=300, shippable=False)
BOTH = pytest.mark.parametrize("terms", [ON_DELIVERY, INVOICE], ids=lambda each: each.kind)


def due_at(order: Order) -> datetime | None:
    assert order.state.terms is not None
    return order.state.terms.payment_due_at


@BOTH
def test_an_order_with_terms_is_confirmed_and_shipped_unpaid(terms: PaymentTerms) -> None:
    order = a_placed_order(terms=terms)
    assert order.status == "confirmed"
    assert order.state.payment_status == "unpaid"
    assert ready_to_ship(order.state) is True
    deliver(order)
    assert order.status == "confirmed", "it completes before it is paid"
    record_payment(order)
    assert order.status == "completed"


@BOTH
def test_an_order_with_terms_that_waits_for_staff_does_not_expire(terms: PaymentTerms) -> None:
    order = restored(a_placed_order(terms=terms), status=OrderStatus.PENDING)
    order.hold("address", by=STAFF, now=NOW)
    assert order.status == "pending"
    assert order.state.next_action_at is None
    assert [each.code for each in refusals(order.state, Action.EXPIRE, now=EXPIRES)] == [
        "payment-in-flight"
    ]
    order.release("1", by=STAFF, now=EXPIRES)
    assert order.status == "confirmed"


def test_late_money_for_an_order_with_terms_is_kept() -> None:
    order = a_placed_order(terms=INVOICE)
    call = order.start_payment("tok_pending", by=CUSTOMER, now=NOW)
    report = a_report(order, ProviderStatus.AUTHORIZED)
    order.record_operation_result(call.key, report, now=EXPIRES + DAY)
    assert order.state.ledger.operations == (), "the money is given back"


def test_prepaid_is_no_terms() -> None:
    order = a_placed_order(terms=PaymentTerms(kind=TermsKind.PREPAID))
    assert (order.state.terms, order.status) == (None, OrderStatus.PENDING)


def test_a_hold_stops_an_order_with_terms_like_any_other() -> None:
    order = a_placed_order(terms=INVOICE)
    order.hold("address", by=STAFF, now=NOW)
    assert ready_to_ship(order.state) is False


# -- when it is to be paid ---------------------------------------------------------------------


def test_an_invoice_is_due_some_days_after_the_last_dispatch() -> None:
    order = a_placed_order(terms=INVOICE)
    pack(order, items(_1=1))
    assert due_at(order) is None
    order.dispatch("1", by=STAFF, now=NOW + DAY)
    assert due_at(order) == NOW + 15 * DAY
    pack(order)
    order.dispatch("2", by=STAFF, now=NOW + 3 * DAY)
    assert due_at(order) == NOW + 17 * DAY
    order.deliver("1", by=STAFF, now=NOW + 5 * DAY)
    assert due_at(order) == NOW + 17 * DAY
    told = [e.event for e in order.new_events if isinstance(e.event, PaymentDueDateSet)]
    assert [event.payment_due_at for event in told] == [NOW + 15 * DAY, NOW + 17 * DAY]


def test_money_on_delivery_is_due_when_the_last_parcel_is_delivered() -> None:
    order = a_placed_order(terms=ON_DELIVERY)
    send(order, items(_1=1))
    assert due_at(order) is None
    order.deliver("1", by=STAFF, now=NOW + DAY)
    assert due_at(order) == NOW + DAY
    send(order)
    order.deliver("2", by=STAFF, now=NOW + 2 * DAY)
    assert due_at(order) == NOW + 2 * DAY


@pytest.mark.parametrize(("terms", "days"), [(ON_DELIVERY, 0), (INVOICE, 14)])
def test_what_is_not_sent_is_due_from_the_confirmation(terms: PaymentTerms, days: int) -> None:
    order = a_placed_order(terms=terms, lines=(CARD,))
    assert due_at(order) == NOW + days * DAY
    order.add_note("Called", by=STAFF, now=NOW + DAY)
    assert due_at(order) == NOW + days * DAY, "it moves"


def test_what_is_left_when_nothing_is_sent_any_more_is_due() -> None:
    order = a_placed_order(terms=INVOICE)
    order.cancel_items(items(_1=3, _2=2), "inventory", by=STAFF, now=NOW + DAY)
    assert due_at(order) == NOW + 15 * DAY


def test_only_what_is_sent_and_unpaid_becomes_overdue() -> None:
    order = a_placed_order(terms=INVOICE)
    assert overdue_from(order.state) is None
    send(order)
    assert overdue_from(order.state) == NOW + 14 * DAY
    record_payment(order, 4_299)
    assert overdue_from(order.state) == NOW + 14 * DAY
    order.write_off(by=STAFF, now=NOW)
    assert overdue_from(order.state) is None


def test_an_order_without_terms_is_never_overdue() -> None:
    assert overdue_from(a_placed_order().state) is None


# -- what terms there are ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "days", "fits"),
    [
        (TermsKind.INVOICE, 0, True),
        (TermsKind.INVOICE, 365, True),
        (TermsKind.INVOICE, 366, False),
        (TermsKind.INVOICE, -1, False),
        (TermsKind.INVOICE, True, False),
        (TermsKind.INVOICE, None, False),
        (TermsKind.ON_DELIVERY, None, True),
        (TermsKind.ON_DELIVERY, 0, False),
        (TermsKind.PREPAID, 14, False),
        ("invoice", 14, False),
    ],
)
def test_only_an_invoice_has_days(kind: Any, days: Any, fits: bool) -> None:
    if fits:
        assert PaymentTerms(kind=kind, due_in_days=days).due_in_days == days
        return
    with pytest.raises(InvalidValue):
        PaymentTerms(kind=kind, due_in_days=days)


def test_the_due_date_is_not_the_callers() -> None:
    early = PaymentTerms(kind=TermsKind.INVOICE, due_in_days=14, payment_due_at=NOW)
    assert due_at(a_placed_order(terms=early)) is None
