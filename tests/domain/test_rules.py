"""Every guard: refused by its reason just beyond the limit, and allowed at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    AmountExceedsAuthorized,
    AmountExceedsDue,
    AmountExceedsRefundable,
    CreditExceedsAvailable,
    IllegalStep,
    InvalidValue,
    NotDelivered,
    NothingDue,
    NotSettled,
    NotYetExpired,
    OnHold,
    OrderError,
    OrderNotClosed,
    PartNotFound,
    PaymentInFlight,
    PaymentNotCovered,
    QuantityExceedsAvailable,
    TooManyParts,
    TotalChanged,
    WouldCancelWholeOrder,
)
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.order.order import CANCEL_REASONS, Order
from orders.domain.payments import ProviderStatus
from orders.domain.returns import ReturnStatus
from orders.domain.rules import MAX_PARTS, argument_bounds, ready_to_ship
from orders.domain.validation import OrderLimits
from tests.support.orders import (
    ADDRESS,
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    an_order_ready_for,
    an_order_that_is,
    an_order_with_late_money,
    authorize,
    capture,
    carry_out,
    deliver,
    items,
    pack,
    restored,
    return_units,
    send,
    settle_refund,
    take,
    void,
)

CONFIRMED = OrderStatus.CONFIRMED
TOTAL = 4_300


E = TypeVar("E", bound=OrderError)


@contextmanager
def refused(order: Order, error: type[E], *blocked_by: str) -> Iterator[pytest.ExceptionInfo[E]]:
    """The block is refused for exactly this reason, and the order has not changed."""
    before, events = order.state, order.new_events
    with pytest.raises(error) as caught:
        yield caught
    assert type(caught.value) is error
    assert caught.value.blocked_by == (blocked_by or (error.code,))
    assert order.state is before
    assert order.new_events is events


# -- the life of an order ----------------------------------------------------------------------


def test_places_at_the_expected_total_and_no_other() -> None:
    assert a_placed_order(expected_total=TOTAL).state.totals.gross == TOTAL
    for stated in (TOTAL - 1, TOTAL + 1, 0):
        with pytest.raises(TotalChanged) as changed:
            a_placed_order(expected_total=stated)
        assert (changed.value.stated, changed.value.actual) == (stated, TOTAL)


def test_an_order_has_at_least_one_line() -> None:
    with pytest.raises(InvalidValue, match="lines: must have 1 to 2000 entries"):
        a_placed_order(lines=())


@pytest.mark.parametrize(("paid", "confirmed"), [(TOTAL - 1, False), (TOTAL, True)])
def test_confirms_itself_once_payments_cover_what_is_due(paid: int, confirmed: bool) -> None:
    order = a_placed_order()
    authorize(order, paid)
    assert (order.status is CONFIRMED) is confirmed


def test_authorised_and_paid_money_cover_together() -> None:
    order = a_placed_order()
    take(order, 1_000)
    assert order.status is OrderStatus.PENDING
    authorize(order, TOTAL - 1_000)
    assert order.status is CONFIRMED


def test_confirming_needs_cover() -> None:
    order = a_placed_order()
    authorize(order, TOTAL - 1)
    with refused(order, PaymentNotCovered) as error:
        order.confirm(by=STAFF, now=NOW)
    assert (error.value.covered, error.value.due) == (TOTAL - 1, TOTAL)


def test_every_guard_in_the_way_is_named() -> None:
    order = a_placed_order()
    order.hold("address", by=STAFF, now=NOW)
    with refused(order, OnHold, "on-hold", "payment-not-covered"):
        order.confirm(by=STAFF, now=NOW)
    order = an_order_that_is(CONFIRMED)
    return_after_delivery(order)
    order.hold("address", by=STAFF, now=NOW)
    with refused(order, NotDelivered, "not-delivered", "not-settled", "still-open") as error:
        order.complete(by=STAFF, now=NOW)
    assert str(error.value.also[1]) == "not finished: authorization, return, hold"


def return_after_delivery(order: Order) -> None:
    deliver(order, items(_1=1))
    return_units(order)


def test_a_hold_keeps_a_covered_order_pending_until_the_last_is_released() -> None:
    order = a_placed_order()
    order.hold("address", by=STAFF, now=NOW)
    order.hold("suspected-fraud", by=STAFF, now=NOW)
    authorize(order)
    with refused(order, OnHold):
        order.confirm(by=STAFF, now=NOW)
    order.release("1", by=STAFF, now=NOW)
    assert order.status is OrderStatus.PENDING
    order.release("2", by=STAFF, now=NOW)
    assert order.status is CONFIRMED


def test_a_hold_is_released_once() -> None:
    order = an_order_ready_for(Action.RELEASE, CONFIRMED)
    order.release("1", by=STAFF, now=NOW)
    with refused(order, IllegalStep):
        order.release("1", by=STAFF, now=NOW)
    with refused(order, PartNotFound):
        order.release("2", by=STAFF, now=NOW)


def test_expires_at_its_time_and_not_before() -> None:
    order = a_placed_order()
    with refused(order, NotYetExpired):
        order.expire(now=EXPIRES - timedelta(microseconds=1))
    order.expire(now=EXPIRES)
    assert order.status is OrderStatus.EXPIRED


def in_flight(order: Order) -> None:
    order.start_payment("tok_slow", amount=1, by=CUSTOMER, now=NOW)


def undecided(order: Order, amount: int | None = 1) -> None:
    call = order.start_payment("tok_pending", amount=amount, by=CUSTOMER, now=NOW)
    order.record_operation_result(
        call.key, a_report(order, ProviderStatus.REQUIRES_ACTION), now=NOW
    )


def contradicted(order: Order) -> None:
    in_flight(order)
    order.record_payment_report(a_report(order, reference="another"), "1", now=NOW)


def capturing(order: Order) -> None:
    authorize(order, 2)
    order.capture("1", amount=1, by=STAFF, now=NOW)


def covered_and_held(order: Order) -> None:
    order.hold("address", by=STAFF, now=NOW)
    authorize(order)


def voided_in_vain(order: Order) -> None:
    authorize(order, 1)
    order.void("1", by=STAFF, now=NOW)
    order.record_operation_failure(f"{order.id}:1:void:1", "refused", now=NOW)


@pytest.mark.parametrize(
    "pay",
    [in_flight, contradicted, capturing, covered_and_held, voided_in_vain, lambda o: take(o, 1)],
    ids=["unanswered", "contradicted", "capturing", "covered", "voided in vain", "captured"],
)
def test_an_order_that_money_may_come_for_does_not_expire(pay: Callable[[Order], object]) -> None:
    order = a_placed_order()
    pay(order)
    assert order.state.next_action_at != EXPIRES
    with refused(order, PaymentInFlight):
        order.expire(now=EXPIRES)
    with refused(order, NotYetExpired, "not-yet-expired", "payment-in-flight"):
        order.expire(now=NOW)


@pytest.mark.parametrize("pay", [undecided, lambda o: authorize(o, 1)], ids=["pending", "held"])
def test_what_is_undecided_or_authorised_is_voided_before_an_order_expires(
    pay: Callable[[Order], object],
) -> None:
    order = a_placed_order()
    pay(order)
    assert order.state.next_action_at is not None
    assert order.state.next_action_at <= EXPIRES
    order.expire(now=EXPIRES)
    void_call = order.state.ledger.operation(f"{order.id}:1:void:1")
    assert (order.status, void_call is not None) == (OrderStatus.PENDING, True)
    with refused(order, PaymentInFlight):
        order.expire(now=EXPIRES)
    assert order.state.next_action_at != order.state.expires_at, "asked again and again meanwhile"
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.VOIDED), now=EXPIRES
    )
    assert order.state.next_action_at == EXPIRES
    order.expire(now=EXPIRES)
    assert order.status is OrderStatus.EXPIRED
    assert order.state.next_action_at is None


def test_what_comes_too_late_is_voided_though_it_was_not_before_it_was_decided() -> None:
    order = a_placed_order()
    undecided(order)
    order.expire(now=EXPIRES)
    order.record_operation_failure(f"{order.id}:1:void:1", "in-flight", now=EXPIRES)
    order.record_payment_report(a_report(order, ProviderStatus.AUTHORIZED), "1", now=EXPIRES)
    void_call = f"{order.id}:1:void:2"
    assert [call.key for call in order.state.ledger.operations] == [void_call]
    order.record_operation_result(void_call, a_report(order, ProviderStatus.VOIDED), now=EXPIRES)
    assert order.state.next_action_at == EXPIRES
    order.expire(now=EXPIRES)
    assert order.status is OrderStatus.EXPIRED


@pytest.mark.parametrize("come_to_nothing", ["declined", "voided", "refunded"])
def test_an_order_whose_payments_came_to_nothing_expires(come_to_nothing: str) -> None:
    order = a_placed_order()
    if come_to_nothing == "declined":
        call = order.start_payment("tok_declined", by=CUSTOMER, now=NOW)
        order.record_operation_failure(call.key, "insufficient_funds", now=NOW)
    elif come_to_nothing == "voided":
        void(order, authorize(order, 1))
    else:
        take(order, 500)
        order.record_payment_report(
            a_report(order, ProviderStatus.CAPTURED, refunded=500, captured=500), "1", now=NOW
        )
    assert order.state.next_action_at == EXPIRES
    order.expire(now=EXPIRES)
    assert order.status is OrderStatus.EXPIRED


# -- payments in flight ------------------------------------------------------------------------


def test_an_undecided_payment_can_be_voided_and_another_way_taken() -> None:
    order = a_placed_order()
    undecided(order, None)
    with refused(order, PaymentInFlight):
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    order.void("1", by=CUSTOMER, now=NOW)
    with refused(order, IllegalStep):
        order.void("1", by=CUSTOMER, now=NOW)
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.VOIDED), now=NOW
    )
    assert (order.state.payment_status, order.state.ledger.operations) == ("voided", ())
    authorize(order)
    assert order.status is CONFIRMED


def test_a_void_that_is_taken_and_not_yet_done_is_not_asked_for_again() -> None:
    order = a_placed_order()
    undecided(order)
    order.void("1", by=STAFF, now=NOW)
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.PENDING), now=NOW
    )
    assert [call.kind for call in order.state.ledger.operations] == ["authorize"], "looked up again"
    assert not order.state.ledger.payment("1").released, "it may still be authorised"
    assert order.state.payment_status == "pending"


@pytest.mark.parametrize("decided", ["declined", "refused"])
def test_nothing_is_left_to_void_of_a_payment_that_came_to_nothing(decided: str) -> None:
    order = a_placed_order()
    call = order.start_payment("tok_slow", by=CUSTOMER, now=NOW)
    order.void("1", by=STAFF, now=NOW)
    if decided == "declined":
        order.record_operation_result(call.key, a_report(order, ProviderStatus.DECLINED), now=NOW)
    else:
        order.record_operation_failure(call.key, "refused", now=NOW)
    assert order.state.ledger.operations == ()


def test_cancelling_voids_what_is_undecided() -> None:
    order = a_placed_order()
    undecided(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert [call.kind for call in order.state.ledger.operations] == ["authorize", "void"]
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.VOIDED), now=NOW
    )
    assert (order.state.ledger.operations, order.state.payment_status) == ((), "voided")


def test_what_proves_undecided_only_after_the_end_is_voided() -> None:
    order = a_placed_order()
    call = order.start_payment("tok_pending", by=CUSTOMER, now=NOW)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert [each.kind for each in order.state.ledger.operations] == ["authorize"]
    order.record_operation_result(call.key, a_report(order, ProviderStatus.PENDING), now=NOW)
    assert {each.kind for each in order.state.ledger.operations} == {"authorize", "void"}


def test_an_undecided_payment_that_was_captured_after_all_goes_back() -> None:
    order = a_placed_order()
    undecided(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_operation_failure(f"{order.id}:1:void:1", "refused", now=NOW)
    order.record_payment_report(a_report(order, ProviderStatus.CAPTURED), "1", now=NOW)
    assert [call.kind for call in order.state.ledger.operations] == ["refund"]


@pytest.mark.parametrize("step", [pack, send, deliver])
def test_an_order_with_packed_or_shipped_units_is_not_cancelled(
    step: Callable[[Order, object], object],
) -> None:
    order = an_order_that_is(CONFIRMED)
    step(order, items(_1=1))
    with refused(order, AlreadyShipped):
        order.cancel("customer", by=CUSTOMER, now=NOW)


def test_an_order_can_be_cancelled_after_unpacking() -> None:
    order = an_order_that_is(CONFIRMED)
    order.cancel_shipment(pack(order), by=STAFF, now=NOW)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert order.status is OrderStatus.CANCELLED


@pytest.mark.parametrize("reason", CANCEL_REASONS)
def test_cancels_for_a_known_reason(reason: str) -> None:
    order = a_placed_order()
    order.cancel(reason, by=CUSTOMER, now=NOW)
    assert order.state.cancel_reason == reason


@pytest.mark.parametrize("reason", ["", "Customer", "boredom", "customer\n"])
def test_does_not_cancel_for_any_other_reason(reason: str) -> None:
    order = a_placed_order()
    with refused(order, InvalidValue):
        order.cancel(reason, by=CUSTOMER, now=NOW)
    assert CANCEL_REASONS == ("customer", "declined", "fraud", "inventory", "staff", "other")


def test_completes_only_when_delivered_paid_and_closed() -> None:
    done = an_order_ready_for(Action.COMPLETE, CONFIRMED)
    first, *rest = done.state.lines
    order = restored(done, lines=(replace(first, delivered=2), *rest))
    with refused(order, NotDelivered):
        order.complete(by=STAFF, now=NOW)
    done.complete(by=STAFF, now=NOW)
    assert done.status is OrderStatus.COMPLETED


@pytest.mark.parametrize("captured", [TOTAL - 1, TOTAL + 1])
def test_completes_at_exactly_what_is_due(captured: int) -> None:
    done = an_order_ready_for(Action.COMPLETE, CONFIRMED)
    order = restored(done, totals=replace(done.state.totals, captured=captured))
    with refused(order, NotSettled) as error:
        order.complete(by=STAFF, now=NOW)
    assert (error.value.net, error.value.due) == (captured, TOTAL)


def test_does_not_complete_with_anything_open() -> None:
    done = an_order_ready_for(Action.COMPLETE, CONFIRMED)
    held = restored(an_order_ready_for(Action.COMPLETE, CONFIRMED))
    held.hold("address", by=STAFF, now=NOW)
    authorised = restored(done, totals=replace(done.state.totals, authorized=1))
    returning = restored(
        done, returns=an_order_ready_for(Action.APPROVE_RETURN, CONFIRMED).state.returns
    )
    for order, what in ((held, "hold"), (authorised, "authorization"), (returning, "return")):
        with refused(order, OrderNotClosed) as error:
            order.complete(by=STAFF, now=NOW)
        assert error.value.what == what


# -- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("units", "fits"), [(0, False), (1, True), (3, True), (4, False)])
def test_cancels_up_to_all_units_of_a_line(units: int, fits: bool) -> None:
    order = a_placed_order()
    if fits:
        order.cancel_items(items(_1=units), "customer", by=CUSTOMER, now=NOW)
        assert order.state.lines[0].cancelled == units
    else:
        with refused(order, QuantityExceedsAvailable if units else InvalidValue):
            order.cancel_items(items(_1=units), "customer", by=CUSTOMER, now=NOW)


def test_cancels_no_unit_that_is_cancelled_packed_or_shipped() -> None:
    order = an_order_that_is(CONFIRMED)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    pack(order, items(_1=1))
    with refused(order, QuantityExceedsAvailable) as error:
        order.cancel_items(items(_1=2), "customer", by=CUSTOMER, now=NOW)
    assert (error.value.wanted, error.value.available) == (2, 1)
    send(order, items(_1=1))
    with refused(order, QuantityExceedsAvailable):
        order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)


def test_the_last_unit_is_cancelled_with_the_order() -> None:
    order = a_placed_order()
    with refused(order, WouldCancelWholeOrder):
        order.cancel_items(items(_1=3, _2=2, _3=1), "customer", by=CUSTOMER, now=NOW)
    order.cancel_items(items(_1=3, _2=2), "customer", by=CUSTOMER, now=NOW)
    with refused(order, WouldCancelWholeOrder):
        order.cancel_items(items(_3=1), "customer", by=CUSTOMER, now=NOW)


@pytest.mark.parametrize("action", ["cancel_items", "create_shipment", "request_return"])
def test_items_name_lines_of_the_order(action: str) -> None:
    order = an_order_ready_for(Action.REQUEST_RETURN, CONFIRMED)
    command = getattr(order, action)
    reason = () if action == "create_shipment" else ("other",)
    with refused(order, InvalidValue):
        command({}, *reason, by=STAFF, now=NOW)
    with refused(order, PartNotFound):
        command(items(_4=1), *reason, by=STAFF, now=NOW)


@pytest.mark.parametrize(("units", "fits"), [(0, False), (2, True), (3, False)])
def test_packs_up_to_the_units_that_are_left(units: int, fits: bool) -> None:
    order = an_order_that_is(CONFIRMED)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    if fits:
        pack(order, items(_1=units))
        assert order.state.lines[0].allocated == units
    else:
        with refused(order, QuantityExceedsAvailable if units else InvalidValue):
            order.create_shipment(items(_1=units), by=STAFF, now=NOW)


def test_what_cannot_be_shipped_is_not_packed() -> None:
    order = an_order_that_is(CONFIRMED)
    with refused(order, QuantityExceedsAvailable) as error:
        order.create_shipment(items(_3=1), by=STAFF, now=NOW)
    assert error.value.available == 0


FULFILMENT = (Action.CREATE_SHIPMENT, Action.DISPATCH, Action.DELIVER, Action.CANCEL_SHIPMENT)


@pytest.mark.parametrize("action", FULFILMENT[:2])
def test_a_hold_stops_what_sends(action: Action) -> None:
    order = an_order_ready_for(action, CONFIRMED)
    order.hold("address", by=STAFF, now=NOW)
    with refused(order, OnHold):
        carry_out(order, action)


@pytest.mark.parametrize("action", FULFILMENT[2:])
def test_a_hold_stops_nothing_that_stops_or_reports(action: Action) -> None:
    order = an_order_ready_for(action, CONFIRMED)
    order.hold("address", by=STAFF, now=NOW)
    carry_out(order, action)


def test_a_held_order_is_unpacked_and_cancelled() -> None:
    order = an_order_ready_for(Action.CANCEL_SHIPMENT, CONFIRMED)
    order.hold("address", by=STAFF, now=NOW)
    order.cancel_shipment("1", by=STAFF, now=NOW)
    order.cancel("staff", by=STAFF, now=NOW)
    assert order.status is OrderStatus.CANCELLED


def lapse(order: Order) -> None:
    order.record_payment_report(
        a_report(order, ProviderStatus.VOIDED, payment_id="1"), "1", now=NOW
    )


def being_voided(order: Order) -> None:
    order.void("1", by=STAFF, now=NOW)


def charged_back(order: Order) -> None:
    capture(order)
    report = a_report(order, ProviderStatus.CAPTURED)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)


def costlier(order: Order) -> None:
    pens = DraftLine(sku="PEN", name="Pen", quantity=1, unit_price=1)
    order.propose_change(removed={}, added=[pens], reason="other", by=CUSTOMER, now=NOW)
    order.apply_change("1", by=STAFF, now=NOW)


@pytest.mark.parametrize("lose_cover", [lapse, being_voided, charged_back, costlier])
@pytest.mark.parametrize("action", FULFILMENT[:2])
def test_nothing_is_packed_or_sent_that_nobody_pays_for(
    action: Action, lose_cover: Callable[[Order], None]
) -> None:
    order = an_order_ready_for(action, CONFIRMED)
    assert ready_to_ship(order.state) is True
    lose_cover(order)
    assert (order.status, ready_to_ship(order.state)) == (CONFIRMED, False)
    with refused(order, PaymentNotCovered):
        carry_out(order, action)


def test_what_is_paid_for_anew_is_sent() -> None:
    order = an_order_ready_for(Action.DISPATCH, CONFIRMED)
    lapse(order)
    authorize(order)
    assert ready_to_ship(order.state) is True
    carry_out(order, Action.DISPATCH)


@pytest.mark.parametrize("action", FULFILMENT[2:])
def test_what_stops_or_reports_needs_no_cover(action: Action) -> None:
    order = an_order_ready_for(action, CONFIRMED)
    lapse(order)
    carry_out(order, action)


def test_only_what_is_left_to_send_is_ready_or_not() -> None:
    assert ready_to_ship(a_placed_order().state) is None
    order = an_order_that_is(CONFIRMED)
    assert ready_to_ship(order.state) is True
    order.hold("address", by=STAFF, now=NOW)
    assert ready_to_ship(order.state) is False
    order.release("1", by=STAFF, now=NOW)
    send(order, items(_1=1))
    assert ready_to_ship(order.state) is True
    pack(order)
    assert ready_to_ship(order.state) is True
    order.dispatch("2", by=STAFF, now=NOW)
    assert ready_to_ship(order.state) is None


OTHER_STREET = replace(ADDRESS, line1="2 Other Street")


def test_a_customer_moves_until_something_is_packed_and_staff_after_it() -> None:
    order = an_order_that_is(CONFIRMED)
    order.edit(address=ADDRESS, by=CUSTOMER, now=NOW)
    pack(order, items(_1=1))
    with refused(order, AlreadyShipped):
        order.edit(address=OTHER_STREET, by=CUSTOMER, now=NOW)
    order.edit(address=ADDRESS, note="Ring twice", by=CUSTOMER, now=NOW)
    order.edit(address=OTHER_STREET, by=STAFF, now=NOW)
    pack(order)
    assert [parcel.address for parcel in order.state.shipments] == [ADDRESS, OTHER_STREET]


def test_a_customer_moves_again_once_the_parcel_is_unpacked() -> None:
    order = an_order_that_is(CONFIRMED)
    order.cancel_shipment(pack(order), by=STAFF, now=NOW)
    order.edit(address=OTHER_STREET, by=CUSTOMER, now=NOW)
    assert order.state.shipping is not None
    assert order.state.shipping.address == OTHER_STREET


@pytest.mark.parametrize("action", FULFILMENT[1:])
def test_a_shipment_takes_each_step_once(action: Action) -> None:
    order = an_order_ready_for(action, CONFIRMED)
    carry_out(order, action)
    for step in FULFILMENT[1:]:
        follows = action is Action.DISPATCH and step is Action.DELIVER
        if not follows:
            with refused(order, IllegalStep):
                carry_out(order, step)


@pytest.mark.parametrize(("units", "fits"), [(0, False), (1, True), (2, False)])
def test_returns_up_to_what_was_delivered_and_is_in_no_return(units: int, fits: bool) -> None:
    order = an_order_that_is(CONFIRMED)
    deliver(order, items(_1=3))
    return_units(order, "approve", "receive")
    return_units(order)
    if fits:
        return_units(order, units=items(_1=units))
        assert len(order.state.returns) == 3
    else:
        with refused(order, QuantityExceedsAvailable if units else InvalidValue):
            order.request_return(items(_1=units), "damaged", by=CUSTOMER, now=NOW)


def test_a_declined_or_given_up_return_frees_its_units() -> None:
    order = an_order_that_is(CONFIRMED)
    deliver(order, items(_1=1))
    return_units(order, "decline")
    return_units(order, "approve", "close")
    return_units(order, "approve", "receive")
    assert order.state.lines[0].returned == 1


RETURN_STEPS = {
    ReturnStatus.REQUESTED: {"approve", "decline"},
    ReturnStatus.APPROVED: {"receive", "close"},
    ReturnStatus.RECEIVED: {"close"},
    ReturnStatus.DECLINED: set[str](),
    ReturnStatus.CLOSED: set[str](),
}
WAYS = {
    ReturnStatus.REQUESTED: (),
    ReturnStatus.APPROVED: ("approve",),
    ReturnStatus.RECEIVED: ("approve", "receive"),
    ReturnStatus.DECLINED: ("decline",),
    ReturnStatus.CLOSED: ("approve", "close"),
}


@pytest.mark.parametrize("status", ReturnStatus)
@pytest.mark.parametrize("step", ["approve", "decline", "receive", "close"])
def test_a_return_takes_its_steps_in_order(status: ReturnStatus, step: str) -> None:
    order = an_order_that_is(CONFIRMED)
    deliver(order, items(_1=1))
    return_units(order, *WAYS[status])
    assert order.state.returns[0].status is status
    if step in RETURN_STEPS[status]:
        getattr(order, f"{step}_return")("1", by=STAFF, now=NOW)
        assert order.state.returns[0].status is not status
    else:
        with refused(order, IllegalStep):
            getattr(order, f"{step}_return")("1", by=STAFF, now=NOW)


# -- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "fits"), [(0, False), (1, True), (300, True), (301, False)])
def test_a_payment_is_for_what_is_neither_authorised_paid_nor_in_flight(
    amount: int, fits: bool
) -> None:
    order = a_placed_order()
    authorize(order, 1_000)
    take(order, 2_000)
    order.start_payment("tok_slow", amount=1_000, by=CUSTOMER, now=NOW)
    if fits:
        order.start_payment("tok_ok", amount=amount, by=CUSTOMER, now=NOW)
        assert order.state.ledger.payments[-1].amount == amount
    else:
        with refused(order, AmountExceedsDue if amount else InvalidValue):
            order.start_payment("tok_ok", amount=amount, by=CUSTOMER, now=NOW)


def test_nothing_is_paid_twice() -> None:
    order = an_order_that_is(CONFIRMED)
    with refused(order, NothingDue):
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    order = a_placed_order()
    order.start_payment("tok_slow", by=CUSTOMER, now=NOW)
    with refused(order, PaymentInFlight):
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)


@pytest.mark.parametrize("method", ["", "4111111111111111", "4111-1111-1111-1111", "tok ok"])
def test_a_payment_takes_a_token_and_no_card_number(method: str) -> None:
    order = a_placed_order()
    with refused(order, InvalidValue):
        order.start_payment(method, by=CUSTOMER, now=NOW)


@pytest.mark.parametrize(("amount", "error"), [(0, InvalidValue), (1_000, None), (1_001, "more")])
def test_captures_up_to_what_the_authorisation_holds(amount: int, error: object) -> None:
    order = a_placed_order()
    authorize(order, 1_000)
    authorize(order)
    if error is None:
        capture(order, "1", amount)
        assert order.state.totals.captured == amount
    else:
        with refused(order, AmountExceedsAuthorized if error == "more" else InvalidValue):
            order.capture("1", amount=amount, by=STAFF, now=NOW)


@pytest.mark.parametrize(("amount", "fits"), [(3_300, True), (3_301, False)])
def test_captures_up_to_what_is_outstanding(amount: int, fits: bool) -> None:
    order = an_order_that_is(CONFIRMED)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    if fits:
        capture(order, "1", amount)
        assert order.state.totals.outstanding == 0
    else:
        with refused(order, AmountExceedsDue):
            order.capture("1", amount=amount, by=STAFF, now=NOW)


def test_captures_under_way_count() -> None:
    order = an_order_that_is(CONFIRMED)
    order.capture("1", amount=4_000, by=STAFF, now=NOW)
    with refused(order, AmountExceedsDue):
        order.capture("1", amount=301, by=STAFF, now=NOW)
    with refused(order, PaymentInFlight):
        order.void("1", by=STAFF, now=NOW)
    assert order.capture("1", by=STAFF, now=NOW).amount == 300


@pytest.mark.parametrize("command", ["capture", "void"])
def test_only_an_open_authorisation_is_captured_or_voided(command: str) -> None:
    order = an_order_that_is(CONFIRMED)
    order.void("1", by=STAFF, now=NOW)
    with refused(order, IllegalStep):
        getattr(order, command)("1", by=STAFF, now=NOW)
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.VOIDED), now=NOW
    )
    with refused(order, IllegalStep):
        getattr(order, command)("1", by=STAFF, now=NOW)
    with refused(order, PartNotFound):
        getattr(order, command)("2", by=STAFF, now=NOW)


@pytest.mark.parametrize(("amount", "fits"), [(0, False), (1, True), (900, True), (901, False)])
def test_refunds_up_to_what_is_owed_and_not_on_its_way(amount: int, fits: bool) -> None:
    order = an_order_ready_for(Action.REFUND, CONFIRMED)
    order.refund(amount=100, reason="goodwill", by=STAFF, now=NOW)
    if fits:
        order.refund(amount=amount, reason="goodwill", by=STAFF, now=NOW)
        assert order.state.totals.pending_refunds == 100 + amount
    else:
        with refused(order, AmountExceedsRefundable if amount else InvalidValue):
            order.refund(amount=amount, reason="goodwill", by=STAFF, now=NOW)


def test_a_refund_that_succeeded_is_owed_no_more_and_one_that_failed_still_is() -> None:
    order = an_order_ready_for(Action.REFUND, CONFIRMED)
    order.refund(amount=600, reason="goodwill", by=STAFF, now=NOW)
    order.refund(amount=400, reason="goodwill", by=STAFF, now=NOW)
    settle_refund(order, "1")
    with refused(order, AmountExceedsRefundable):
        order.refund(reason="goodwill", by=STAFF, now=NOW)
    order.record_operation_failure(f"{order.id}:refund:2", "refused", now=NOW)
    assert order.state.totals.refund_due == 400


@pytest.mark.parametrize("paid", [lambda _: None, authorize, take], ids=["no", "held", "taken"])
@pytest.mark.parametrize(("amount", "fits"), [(0, False), (TOTAL, True), (TOTAL + 1, False)])
def test_credits_up_to_what_the_order_costs_whatever_was_paid(
    amount: int, fits: bool, paid: Callable[[Order], object]
) -> None:
    order = a_placed_order()
    paid(order)
    if fits:
        order.grant_credit(amount, "goodwill", by=STAFF, now=NOW)
        assert order.state.totals.credits == amount
    else:
        with refused(order, CreditExceedsAvailable if amount else InvalidValue):
            order.grant_credit(amount, "goodwill", by=STAFF, now=NOW)


def test_what_is_credited_early_is_neither_due_nor_captured() -> None:
    order = an_order_that_is(CONFIRMED)
    order.grant_credit(100, "goodwill", by=STAFF, now=NOW)
    assert (order.state.totals.due, argument_bounds(order.state, Action.CAPTURE)["amount"]) == (
        4_200,
        4_200,
    )
    with refused(order, AmountExceedsDue):
        order.capture("1", amount=4_201, by=STAFF, now=NOW)
    assert order.capture("1", by=STAFF, now=NOW).amount == 4_200


def test_a_credit_over_what_is_left_to_pay_confirms_a_pending_order() -> None:
    order = a_placed_order()
    authorize(order, 4_200)
    order.grant_credit(100, "goodwill", by=STAFF, now=NOW)
    assert order.status is CONFIRMED


def test_credits_up_to_what_the_order_was_worth() -> None:
    order = an_order_ready_for(Action.REFUND, CONFIRMED)
    order.grant_credit(3_300, "goodwill", by=STAFF, now=NOW)
    with refused(order, CreditExceedsAvailable):
        order.grant_credit(1, "goodwill", by=STAFF, now=NOW)


def two_payments_and_a_refusal() -> Order:
    """Two payments that hold 2,000 and 2,300; a refund of 200 of the first was refused."""
    order = a_placed_order()
    take(order, 2_000)
    take(order)
    order.grant_credit(1_000, "goodwill", by=STAFF, now=NOW)
    order.refund(amount=200, reason="goodwill", by=STAFF, now=NOW)
    order.record_operation_failure(f"{order.id}:refund:1", "refund_failed", now=NOW)
    return order


def test_a_refund_goes_to_another_payment_than_the_one_that_refused_it() -> None:
    order = two_payments_and_a_refusal()
    order.refund(amount=200, reason="goodwill", by=STAFF, now=NOW)
    assert order.state.ledger.refunds[-1].payment_id == "2"
    order.record_operation_failure(f"{order.id}:refund:2", "refund_failed", now=NOW)
    order.refund(amount=200, reason="goodwill", by=STAFF, now=NOW)
    assert order.state.ledger.refunds[-1].payment_id == "1", "refused longest ago"


def test_a_payment_that_refused_a_refund_still_gives_what_no_other_holds() -> None:
    order = two_payments_and_a_refusal()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    refunds = [(refund.payment_id, refund.amount) for refund in order.state.ledger.refunds[1:]]
    assert refunds == [("2", 2_300), ("1", 2_000)]


def test_a_refund_goes_to_the_payment_that_is_named() -> None:
    order = two_payments_and_a_refusal()
    assert argument_bounds(order.state, Action.REFUND) == {"amount": 1_000, "payments": ("1", "2")}
    order.refund(amount=200, payment_id="1", reason="goodwill", by=STAFF, now=NOW)
    assert order.state.ledger.refunds[-1].payment_id == "1"
    order.refund(payment_id="2", reason="goodwill", by=STAFF, now=NOW)
    last = order.state.ledger.refunds[-1]
    assert (last.payment_id, last.amount) == ("2", 800)
    with refused(order, PartNotFound):
        order.refund(payment_id="3", reason="goodwill", by=STAFF, now=NOW)


def test_a_named_payment_gives_back_no_more_than_it_holds() -> None:
    order = a_placed_order()
    take(order, 300)
    take(order)
    order.grant_credit(1_000, "goodwill", by=STAFF, now=NOW)
    with refused(order, AmountExceedsRefundable) as error:
        order.refund(amount=301, payment_id="1", reason="goodwill", by=STAFF, now=NOW)
    assert error.value.available == 300


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
def test_late_money_whose_refund_failed_is_refunded_by_hand(status: OrderStatus) -> None:
    order = an_order_with_late_money(status)
    with refused(order, AmountExceedsRefundable):
        order.refund(amount=TOTAL + 1, reason="late", by=STAFF, now=NOW)
    order.refund(amount=TOTAL, reason="late", by=STAFF, now=NOW)
    settle_refund(order, "2")
    assert order.state.totals.net == 0


# -- growth ------------------------------------------------------------------------------------


def decline_payment(order: Order) -> None:
    limits = OrderLimits(declines=MAX_PARTS + 1)
    call = order.start_payment("tok_declined", by=CUSTOMER, now=NOW, limits=limits)
    order.record_operation_failure(call.key, "declined", now=NOW)


def unpack(order: Order) -> None:
    shipment = pack(order, items(_2=1))
    order.cancel_shipment(shipment, by=STAFF, now=NOW)


def propose_in_vain(order: Order) -> None:
    wish: dict[str, Any] = {"removed": items(_1=1), "added": (), "reason": "customer"}
    order.propose_change(**wish, by=CUSTOMER, now=NOW)
    order.decline_change(order.state.changes[-1].id, by=CUSTOMER, now=NOW)


GROWTH: dict[str, tuple[Callable[[], Order], Callable[[Order], object]]] = {
    "payments": (a_placed_order, decline_payment),
    "notes": (a_placed_order, lambda o: o.add_note("called", by=STAFF, now=NOW)),
    "holds": (a_placed_order, lambda o: o.hold("address", by=STAFF, now=NOW)),
    "changes": (a_placed_order, propose_in_vain),
    "shipments": (lambda: an_order_that_is(CONFIRMED), unpack),
    "returns": (
        lambda: an_order_ready_for(Action.REQUEST_RETURN, CONFIRMED),
        lambda o: return_units(o, "decline", units=items(_1=1)),
    ),
    "refunds": (
        lambda: an_order_ready_for(Action.REFUND, CONFIRMED),
        lambda o: o.refund(amount=1, reason="customer", by=STAFF, now=NOW),
    ),
    "credits": (
        lambda: an_order_ready_for(Action.GRANT_CREDIT, CONFIRMED),
        lambda o: o.grant_credit(1, "goodwill", by=STAFF, now=NOW),
    ),
}


@pytest.mark.parametrize("kind", GROWTH)
def test_an_order_does_not_grow_without_end(kind: str) -> None:
    """Or its customer could make it too large to store, and what is told of it would be lost."""
    start, grow = GROWTH[kind]
    order = start()
    parts = order.state.ledger if kind in {"payments", "refunds"} else order.state
    for _ in range(MAX_PARTS - len(getattr(parts, kind))):
        grow(order)
    with refused(order, TooManyParts, "too-many-parts") as refusal:
        grow(order)
    assert (refusal.value.kind, refusal.value.most) == (kind, MAX_PARTS)


def test_money_that_nobody_owes_goes_back_however_many_refunds_there_are() -> None:
    order = an_order_ready_for(Action.REFUND, CONFIRMED)
    for _ in range(MAX_PARTS - len(order.state.ledger.refunds)):
        order.refund(amount=1, reason="customer", by=STAFF, now=NOW)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert order.state.totals.refund_due == 0


# -- what callers are told ---------------------------------------------------------------------


def test_limits_are_what_the_commands_enforce() -> None:
    order = a_placed_order()
    authorize(order, 1_000)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    expected: dict[Action, object] = {
        Action.PAY: {"amount": 2_300},
        Action.CAPTURE: {"amount": 1_000, "payments": ("1",)},
        Action.VOID: {"payments": ("1",)},
        Action.REFUND: {"amount": 0, "payments": ()},
        Action.GRANT_CREDIT: {
            "amount": 3_300,
            "lines": {"1": 2_000, "2": 1_000, "3": 300},
        },
        Action.REVOKE_CREDIT: {"credits": ()},
        Action.RECORD_LATE_SHIPMENT: {"items": {"1": 3, "2": 2}},
        Action.CANCEL_ITEMS: {"items": {"1": 2, "2": 2, "3": 1}},
        Action.CREATE_SHIPMENT: {"items": {"1": 2, "2": 2}},
        Action.REQUEST_RETURN: {"items": {}},
        Action.RELEASE: {"holds": ()},
        Action.CONFIRM: {},
    }
    assert {action: argument_bounds(order.state, action) for action in expected} == expected


def test_limits_name_the_parts_that_fit() -> None:
    order = an_order_that_is(CONFIRMED)
    deliver(order, items(_1=1))
    send(order, items(_1=1))
    pack(order, items(_1=1))
    return_units(order)
    order.hold("address", by=STAFF, now=NOW)
    expected: dict[Action, object] = {
        Action.DISPATCH: {"shipments": ("3",)},
        Action.CANCEL_SHIPMENT: {"shipments": ("3",)},
        Action.DELIVER: {"shipments": ("2",)},
        Action.FAIL_DELIVERY: {"shipments": ("2",)},
        Action.CORRECT_SHIPMENT: {"shipments": ("1", "2", "3")},
        Action.APPROVE_RETURN: {"returns": ("1",)},
        Action.DECLINE_RETURN: {"returns": ("1",)},
        Action.RECEIVE_RETURN: {"returns": ()},
        Action.CLOSE_RETURN: {"returns": ()},
        Action.RELEASE: {"holds": ("1",)},
    }
    assert {action: argument_bounds(order.state, action) for action in expected} == expected


def test_an_authorisation_that_is_being_voided_is_not_offered() -> None:
    order = an_order_that_is(CONFIRMED)
    order.void("1", by=STAFF, now=NOW)
    assert argument_bounds(order.state, Action.VOID) == {"payments": ()}
