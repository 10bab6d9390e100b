"""Every event can happen and says what it should; every refusal can be met and has its own code."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any, Final, get_args

import pytest

from orders.domain import errors, events
from orders.domain.actions import Action
from orders.domain.identifiers import PROVIDER, SYSTEM
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored, stored_state
from orders.domain.payments import (
    DisputeStatus,
    PaymentTerms,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
    TermsKind,
)
from orders.domain.rules import MAX_PARTS
from orders.domain.validation import Billing, Shipping
from tests.domain.machine.invariants import standing
from tests.support.orders import (
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    an_order_ready_for,
    an_order_that_is,
    an_order_with_every_part,
    an_order_with_late_money,
    authorize,
    capture,
    carry_out,
    decline,
    items,
    record_payment,
    restored,
    return_units,
    send,
    settle_refund,
    take,
    void,
)

CARD: Final = DraftLine(sku="GIFT", name="Gift", quantity=1, unit_price=300, shippable=False)
PENDING, CONFIRMED = OrderStatus.PENDING, OrderStatus.CONFIRMED


def classes_of(module: ModuleType) -> set[type]:
    return {
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__
    }


@pytest.mark.parametrize("kind", get_args(events.OrderEvent))
def test_an_event_is_equal_to_one_that_says_the_same_and_shows_it(kind: type[Any]) -> None:
    said = {each.name: f"the {each.name}" for each in dataclasses.fields(kind)}
    event = kind(**said)

    assert event == kind(**said)
    assert {event: 1}[kind(**said)] == 1
    assert repr(event) == repr(dataclasses.make_dataclass(kind.__name__, said)(**said))
    for name in said:
        other = kind(**{**said, name: "another"})
        assert other != event
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, name, "another")


def test_two_kinds_of_event_that_say_the_same_differ() -> None:
    approved, declined = events.ReturnApproved(return_id="1"), events.ReturnDeclined(return_id="1")

    assert approved != declined
    assert len({approved, declined}) == 2


def done(action: Action, status: OrderStatus = CONFIRMED) -> Order:
    order = an_order_ready_for(action, status)
    carry_out(order, action)
    return order


def after(order: Order, *steps: Callable[[Order], object]) -> Order:
    for step in steps:
        step(order)
    return order


def declined(order: Order) -> None:
    call = order.start_payment("tok_declined", by=CUSTOMER, now=NOW)
    order.record_operation_failure(call.key, "insufficient_funds", now=NOW)


def refused_void(order: Order) -> None:
    order.void("1", by=STAFF, now=NOW)
    order.record_operation_failure(f"{order.id}:1:void:1", "refused", now=NOW)


def charged_back(order: Order) -> None:
    report = a_report(order, ProviderStatus.CAPTURED)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)


def failed_late(order: Order) -> None:
    settle_refund(order)
    failed = ReportedRefund(
        id="re_1",
        reference=f"{order.id}:refund:1",
        amount=1_000,
        status=ReportedRefundStatus.FAILED,
    )
    report = a_report(order, ProviderStatus.CAPTURED, refunded=0, refunds=(failed,))
    order.record_payment_report(report, "1", now=NOW)


def disputed(*statuses: DisputeStatus) -> Order:
    order = a_placed_order()
    take(order)
    for status in statuses:
        dispute = ReportedDispute(id="dp_1", amount=400, status=status)
        report = a_report(order, ProviderStatus.CAPTURED, disputes=(dispute,))
        order.record_payment_report(report, "1", now=NOW)
    return order


REFUNDED: Final[dict[str, object]] = {"payment_id": "1", "amount": 1_000}
DISPUTED: Final[dict[str, object]] = {"dispute_id": "dp_1", "payment_id": "1", "amount": 400}
INVOICE: Final = PaymentTerms(kind=TermsKind.INVOICE, due_in_days=14)
PAID: Final[dict[str, object]] = {"payment_id": "1", "amount": 4_300}
PARCEL: Final[dict[str, object]] = {"shipment_id": "1", "items": {"1": 3, "2": 2}}

CAUSED: Final[Mapping[type, tuple[Callable[[], Order], dict[str, object]]]] = {
    events.OrderCreated: (
        a_placed_order,
        {"number": a_placed_order().state.number, "currency": "EUR", "lines": 3, "gross": 4_300},
    ),
    events.OrderConfirmed: (lambda: after(a_placed_order(), authorize), {}),
    events.OrderPaid: (lambda: after(a_placed_order(), take), {"amount": 4_300}),
    events.OrderExpired: (lambda: done(Action.EXPIRE, PENDING), {}),
    events.OrderCancelled: (lambda: done(Action.CANCEL), {"reason": "staff"}),
    events.OrderItemsCancelled: (
        lambda: done(Action.CANCEL_ITEMS),
        {"items": {"1": 1}, "reason": "customer"},
    ),
    events.OrderCompleted: (lambda: an_order_that_is(OrderStatus.COMPLETED), {}),
    events.OrderEdited: (lambda: done(Action.EDIT), {"fields": ("note",)}),
    events.OrderChangeProposed: (
        lambda: done(Action.PROPOSE_CHANGE),
        {
            "change_id": "1",
            "removed": {"1": 1},
            "added": 0,
            "gross": 3_300,
            "shipping_method": None,
        },
    ),
    events.OrderChanged: (
        lambda: done(Action.APPLY_CHANGE),
        {
            "change_id": "1",
            "removed": {"1": 1},
            "added": 0,
            "gross": 3_300,
            "shipping_method": None,
        },
    ),
    events.OrderChangeDeclined: (lambda: done(Action.DECLINE_CHANGE), {"change_id": "1"}),
    events.OrderHeld: (lambda: done(Action.HOLD), {"hold_id": "1", "reason": "address"}),
    events.OrderReleased: (lambda: done(Action.RELEASE), {"hold_id": "1"}),
    events.CustomerAssigned: (lambda: done(Action.ASSIGN_CUSTOMER), {}),
    events.NoteAdded: (lambda: done(Action.ADD_NOTE), {"note_id": "1"}),
    events.PaymentStarted: (lambda: done(Action.PAY, PENDING), PAID),
    events.PaymentAuthorized: (lambda: after(a_placed_order(), authorize), PAID),
    events.PaymentCaptured: (lambda: after(an_order_that_is(CONFIRMED), capture), PAID),
    events.PaymentRefunded: (
        lambda: after(
            a_placed_order(),
            take,
            lambda o: o.record_payment_report(
                a_report(o, ProviderStatus.CAPTURED, refunded=10), "1", now=NOW
            ),
        ),
        {"payment_id": "1", "amount": 10},
    ),
    events.PaymentDeclined: (
        lambda: after(a_placed_order(), declined),
        {"payment_id": "1", "decline_code": "insufficient_funds"},
    ),
    events.PaymentRecorded: (
        lambda: done(Action.RECORD_PAYMENT),
        {"payment_id": "2", "amount": 1, "method": "bank_transfer"},
    ),
    events.PaymentDueDateSet: (
        lambda: after(a_placed_order(terms=INVOICE), send),
        {"payment_due_at": NOW + timedelta(days=14)},
    ),
    events.PaymentVoided: (lambda: after(an_order_that_is(CONFIRMED), void), {"payment_id": "1"}),
    events.PaymentOperationFailed: (
        lambda: after(an_order_that_is(CONFIRMED), refused_void),
        {"payment_id": "1", "operation": "void", "failure_code": "refused"},
    ),
    events.PaymentChargedBack: (
        lambda: after(a_placed_order(), take, charged_back),
        PAID,
    ),
    events.PaymentRefundReversed: (lambda: after(done(Action.REFUND), failed_late), REFUNDED),
    events.DisputeOpened: (lambda: disputed(DisputeStatus.OPEN), DISPUTED),
    events.DisputeWon: (lambda: disputed(DisputeStatus.OPEN, DisputeStatus.WON), DISPUTED),
    events.DisputeLost: (lambda: disputed(DisputeStatus.OPEN, DisputeStatus.LOST), DISPUTED),
    events.PaymentDismissed: (lambda: done(Action.DISMISS_PAYMENT, PENDING), {"payment_id": "1"}),
    events.PaymentReceivedLate: (lambda: an_order_with_late_money(OrderStatus.EXPIRED), PAID),
    events.PaymentUnderReview: (
        lambda: after(
            done(Action.PAY, PENDING),
            lambda o: o.record_payment_report(
                a_report(o, amount=Money(4_301, "EUR")), "1", now=NOW
            ),
        ),
        {"payment_id": "1"},
    ),
    events.RefundRequested: (
        lambda: done(Action.REFUND),
        {"refund_id": "1", "payment_id": "1", "amount": 1_000},
    ),
    events.PaymentRefunded: (
        lambda: after(done(Action.REFUND), settle_refund),
        REFUNDED,
    ),
    events.RefundRecorded: (
        lambda: done(Action.RECORD_REFUND),
        {"refund_id": "1", "payment_id": "1", "amount": 1},
    ),
    events.RefundSucceeded: (
        lambda: after(done(Action.REFUND), settle_refund),
        {"refund_id": "1", "payment_id": "1", "amount": 1_000},
    ),
    events.RefundFailed: (
        lambda: an_order_with_late_money(OrderStatus.CANCELLED),
        {"refund_id": "1", "payment_id": "1", "amount": 4_300, "failure_code": "refused"},
    ),
    events.ShipmentCreated: (
        lambda: done(Action.CREATE_SHIPMENT),
        {"shipment_id": "1", "items": {"1": 1}},
    ),
    events.OrderShipped: (lambda: done(Action.DISPATCH), PARCEL),
    events.OrderDelivered: (lambda: done(Action.DELIVER), PARCEL),
    events.ShipmentCancelled: (lambda: done(Action.CANCEL_SHIPMENT), PARCEL),
    events.ShipmentCorrected: (
        lambda: done(Action.CORRECT_SHIPMENT),
        {"shipment_id": "1", "fields": ("tracking",)},
    ),
    events.DeliveryFailed: (lambda: done(Action.FAIL_DELIVERY), PARCEL | {"reason": "lost"}),
    events.LateShipmentRecorded: (
        lambda: done(Action.RECORD_LATE_SHIPMENT, OrderStatus.CANCELLED),
        {"shipment_id": "1", "items": {"1": 1}, "surplus": {"1": 1}},
    ),
    events.CreditGranted: (
        lambda: done(Action.GRANT_CREDIT),
        {
            "credit_id": "1",
            "amount": 1,
            "reason": "goodwill",
            "tax": 0,
            "lines": {},
            "undeliverable": {},
        },
    ),
    events.CreditRevoked: (
        lambda: done(Action.REVOKE_CREDIT),
        {"credit_id": "1", "amount": 100},
    ),
    events.ReturnRequested: (
        lambda: done(Action.REQUEST_RETURN),
        {"return_id": "1", "items": {"1": 1}, "reason": "damaged"},
    ),
    events.ReturnApproved: (lambda: done(Action.APPROVE_RETURN), {"return_id": "1"}),
    events.ReturnDeclined: (lambda: done(Action.DECLINE_RETURN), {"return_id": "1"}),
    events.ReturnReceived: (
        lambda: done(Action.RECEIVE_RETURN),
        {"return_id": "1", "items": {"1": 1}, "credited": 1_000},
    ),
    events.ReturnClosed: (lambda: done(Action.CLOSE_RETURN), {"return_id": "1"}),
}


def test_every_event_is_in_the_union_and_in_this_table() -> None:
    parts = {events.Event, events.OrderSnapshot, events.RecordedEvent}
    assert set(get_args(events.OrderEvent)) == classes_of(events) - parts == CAUSED.keys()


@pytest.mark.parametrize("event", CAUSED, ids=lambda event: event.__name__)
def test_the_event_tells_what_happened(event: type) -> None:
    build, content = CAUSED[event]
    order = build()
    told = [recorded for recorded in order.new_events if type(recorded.event) is event]
    assert told, f"no {event.__name__}"
    assert dataclasses.asdict(told[-1].event) == content


@pytest.mark.parametrize("event", CAUSED, ids=lambda event: event.__name__)
def test_events_are_numbered_and_the_last_tells_how_the_order_stands(event: type) -> None:
    order = CAUSED[event][0]()
    state, told = order.state, order.new_events
    last = state.sequence
    assert [each.sequence for each in told] == list(range(last - len(told) + 1, last + 1))
    assert told[-1].after == standing(state)
    assert {each.version for each in told} == {1}


def test_events_hold_no_personal_data_and_no_token() -> None:
    order = an_order_with_every_part()
    state = order.state
    order.edit(
        contact=None,
        billing=Billing(vat_id="IE7654321T"),
        gift_message="To Bea",
        instructions="Behind the hedge",
        line_metadata={"1": {"engrave": "To Bea"}},
        by=STAFF,
        now=NOW,
    )
    guests = restored(an_order_with_every_part(), customer_id=None)
    guests.assign_customer("customer-9", by=STAFF, now=NOW)
    told = "".join(map(repr, (*order.new_events, *guests.new_events)))
    assert "CustomerAssigned" in told
    for secret in (
        *("tok_", "Ada Quill", "Mill Lane", "Ring twice", "by phone", "b-1", "To Bea", "quill"),
        *("0100", "Inn Row", "and Sons", "IE1234567T", "happy returns", "hedge"),
    ):
        assert secret in repr(state) or secret == "tok_"
        assert secret not in told
    assert "IE7654321T" not in told
    assert "customer-9" not in told


def test_events_say_who_acted() -> None:
    order = an_order_that_is(CONFIRMED)
    actors = {type(each.event): each.actor for each in order.new_events}
    assert actors == {
        events.OrderCreated: CUSTOMER,
        events.PaymentStarted: CUSTOMER,
        events.PaymentAuthorized: PROVIDER,
        events.OrderConfirmed: SYSTEM,
    }


def test_a_store_takes_the_events_once() -> None:
    order = a_placed_order()
    mark_stored(order, 1)
    assert (order.version, order.new_events) == (1, ())
    assert stored_state(order) is order.state
    order.hold("address", by=STAFF, now=NOW)
    assert [(each.sequence, each.version) for each in order.new_events] == [(2, 2)]


def test_each_stored_change_is_later_than_the_one_before_whatever_the_clock_says() -> None:
    """Else someone who follows the orders by `updated_at` could miss one."""
    order = a_placed_order()
    assert order.state.updated_at == NOW
    order.hold("address", by=STAFF, now=NOW)
    assert order.state.updated_at == NOW
    seen = []
    for now in (NOW, NOW - timedelta(hours=1), NOW + timedelta(hours=1), NOW):
        mark_stored(order, order.version + 1)
        order.add_note("Called", by=STAFF, now=now)
        order.add_note("Called again", by=STAFF, now=now)
        assert order.new_events[-1].occurred_at == now
        seen.append(order.state.updated_at)
    tick = timedelta(milliseconds=1)
    later = NOW + timedelta(hours=1)
    assert seen == [NOW + tick, NOW + 2 * tick, later, later + tick]


# -- refusals ----------------------------------------------------------------------------------


def waiting(order: Order) -> None:
    order.start_payment("tok_slow", by=CUSTOMER, now=NOW)


def gold() -> Order:
    line = DraftLine(sku="GOLD", name="Gold", quantity=100_000, unit_price=10**10)
    return a_placed_order(lines=(line,) * 10)


MET: Final[Mapping[type[errors.OrderError], Callable[[], object]]] = {
    errors.InvalidValue: lambda: a_placed_order(note=""),
    errors.CurrencyUnknown: lambda: a_placed_order(currency="XXX"),
    errors.CurrencyMismatch: lambda: Money(1, "EUR") + Money(1, "USD"),
    errors.ExpiryPassed: lambda: a_placed_order(expires_at=NOW),
    errors.AmountTooLarge: gold,
    errors.TotalChanged: lambda: a_placed_order(expected_total=1),
    errors.IllegalTransition: lambda: carry_out(a_placed_order(), Action.DELIVER),
    errors.IllegalStep: lambda: carry_out(done(Action.DISPATCH), Action.DISPATCH),
    errors.PartNotFound: lambda: carry_out(an_order_that_is(CONFIRMED), Action.DISPATCH),
    errors.HasCustomer: lambda: carry_out(a_placed_order(), Action.ASSIGN_CUSTOMER),
    errors.OnHold: lambda: carry_out(done(Action.HOLD), Action.CREATE_SHIPMENT),
    errors.PaymentNotCovered: lambda: carry_out(a_placed_order(), Action.CONFIRM),
    errors.PaymentInFlight: lambda: carry_out(after(a_placed_order(), waiting), Action.EXPIRE),
    errors.NotYetExpired: lambda: a_placed_order().expire(now=EXPIRES - timedelta(seconds=1)),
    errors.AlreadyShipped: lambda: carry_out(done(Action.DISPATCH), Action.CANCEL),
    errors.WouldCancelWholeOrder: lambda: a_placed_order().cancel_items(
        items(_1=3, _2=2, _3=1), "customer", by=CUSTOMER, now=NOW
    ),
    errors.ChangeOpen: lambda: carry_out(done(Action.PROPOSE_CHANGE), Action.PROPOSE_CHANGE),
    errors.ChangeOutdated: lambda: carry_out(
        after(
            done(Action.PROPOSE_CHANGE),
            lambda o: o.cancel_items(items(_2=1), "inventory", by=STAFF, now=NOW),
        ),
        Action.APPLY_CHANGE,
    ),
    errors.TooManyParts: lambda: after(
        restored(a_placed_order(), holds=done(Action.HOLD).state.holds * MAX_PARTS),
        lambda o: carry_out(o, Action.HOLD),
    ),
    errors.QuantityExceedsAvailable: lambda: a_placed_order().cancel_items(
        items(_1=4), "customer", by=CUSTOMER, now=NOW
    ),
    errors.NothingDue: lambda: carry_out(an_order_that_is(CONFIRMED), Action.PAY),
    errors.TooManyDeclines: lambda: after(
        a_placed_order(), *[decline] * 10, lambda o: carry_out(o, Action.PAY)
    ),
    errors.AmountExceedsDue: lambda: a_placed_order().start_payment(
        "tok_ok", amount=4_301, by=CUSTOMER, now=NOW
    ),
    errors.AmountExceedsAuthorized: lambda: after(
        a_placed_order(), lambda o: authorize(o, 1_000), authorize
    ).capture("1", amount=1_001, by=STAFF, now=NOW),
    errors.AmountExceedsRefundable: lambda: carry_out(an_order_that_is(CONFIRMED), Action.REFUND),
    errors.RefundMustBeRecorded: lambda: after(
        a_placed_order(), record_payment, lambda o: o.cancel("staff", by=STAFF, now=NOW)
    ).refund(reason="staff", by=STAFF, now=NOW),
    errors.CreditExceedsAvailable: lambda: a_placed_order().grant_credit(
        4_301, "goodwill", by=STAFF, now=NOW
    ),
    errors.NotDelivered: lambda: carry_out(an_order_that_is(CONFIRMED), Action.COMPLETE),
    errors.NotSettled: lambda: carry_out(
        after(a_placed_order(lines=(CARD,)), authorize), Action.COMPLETE
    ),
    errors.OrderNotClosed: lambda: carry_out(
        after(
            restored(an_order_that_is(OrderStatus.COMPLETED), status=CONFIRMED),
            lambda o: o.hold("address", by=STAFF, now=NOW),
        ),
        Action.COMPLETE,
    ),
}


def test_every_refusal_is_in_this_table_and_has_a_code_of_its_own() -> None:
    refusals = {each for each in classes_of(errors) if issubclass(each, errors.OrderError)}
    assert refusals - {errors.OrderError} == MET.keys()
    codes = [each.code for each in refusals]
    assert len(set(codes)) == len(codes)
    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)


@pytest.mark.parametrize("error", MET, ids=lambda error: error.code)
def test_the_refusal_is_met(error: type[errors.OrderError]) -> None:
    with pytest.raises(error) as refused:
        MET[error]()
    assert type(refused.value) is error
    assert refused.value.blocked_by[0] == error.code
    assert str(refused.value)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        ({"note": "\x07"}, "note"),
        ({"note": "n" * 2_001}, "note"),
        ({"external_reference": "a b"}, "external_reference"),
        ({"external_reference": "r" * 256}, "external_reference"),
        ({"metadata": {"a b": "x"}}, "metadata"),
        ({"metadata": {"a": ""}}, "metadata/a"),
        ({"metadata": {str(n): "x" for n in range(51)}}, "metadata"),
        ({"shipping": Shipping(price=-1)}, "shipping/price"),
        ({"shipping": Shipping(method="By Air")}, "shipping/method"),
        ({"discount": -1}, "discount"),
    ],
)
def test_a_draft_beyond_its_bounds_is_refused_by_name(draft: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidValue) as refused:
        a_placed_order(**draft)
    assert refused.value.field == field


def test_a_draft_at_its_bounds_is_placed() -> None:
    order = a_placed_order(
        note="n" * 2_000,
        external_reference="r" * 255,
        metadata={str(n): "x" * 500 for n in range(50)},
    )
    assert order.status is PENDING


def test_editing_changes_what_is_not_money_and_records_only_what_differs() -> None:
    order = a_placed_order()
    order.edit(note="Ring twice", metadata={"a": "b"}, by=CUSTOMER, now=NOW)
    assert (order.state.note, order.state.metadata) == ("Ring twice", {"a": "b"})
    known = order.state
    order.edit(note="Ring twice", by=CUSTOMER, now=NOW)
    assert order.state is known
    with pytest.raises(errors.InvalidValue):
        order.edit(note="Other", metadata={"a b": "c"}, by=CUSTOMER, now=NOW)
    assert order.state is known
    order.edit(note=None, metadata=None, by=CUSTOMER, now=NOW)
    assert (order.state.note, order.state.metadata) == (None, {})


def test_an_order_that_costs_nothing_is_confirmed_at_once_and_done_if_nothing_travels() -> None:
    assert a_placed_order(discount=4_300).status is CONFIRMED
    free = dataclasses.replace(CARD, unit_price=0)
    assert a_placed_order(lines=(free,)).status is OrderStatus.COMPLETED


def test_returned_units_are_credited_to_the_cent() -> None:
    pens = DraftLine(sku="PEN", name="Pen", quantity=3, unit_price=100, discount=100, tax=50)
    order = a_placed_order(lines=(pens,))
    carry_out(after(order, take), Action.CREATE_SHIPMENT)
    order.create_shipment(items(_1=2), by=STAFF, now=NOW)
    for shipment in ("1", "2"):
        order.dispatch(shipment, by=STAFF, now=NOW)
        order.deliver(shipment, by=STAFF, now=NOW)
    for _ in range(3):
        return_units(order, "approve", "receive")
    assert [credit.amount for credit in order.state.credits] == [83, 84, 83]
    assert order.state.totals.due == 0
    assert order.state.return_status == "returned"


def test_the_builder_of_every_part_builds_every_part() -> None:
    state = an_order_with_every_part().state
    # Nothing makes a payment `failed`; it is told as declined.
    assert {p.status for p in state.ledger.payments} == {
        *("pending", "requires_action", "declined", "authorized", "voided", "captured", "review")
    }
    assert {r.status for r in state.ledger.refunds} == {"requested", "succeeded", "failed"}
    assert {s.status for s in state.shipments} == {
        *("created", "dispatched", "delivered", "cancelled", "failed")
    }
    assert {r.status for r in state.returns} == {
        *("requested", "approved", "declined", "received", "closed")
    }
    assert {credit.revoked_at is None for credit in state.credits} == {True, False}
    assert any(credit.undeliverable for credit in state.credits)
    assert {call.kind for call in state.ledger.operations} == {
        *("authorize", "capture", "void", "refund")
    }
    assert {hold.released_at is None for hold in state.holds} == {True, False}
    assert all((state.credits, state.notes, state.requests, state.metadata, state.shipping))
