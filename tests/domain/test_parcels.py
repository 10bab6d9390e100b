"""Parcels that fail, are corrected or left too early; credits by line; returns with less."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    CreditExceedsAvailable,
    IllegalStep,
    InvalidValue,
    OnHold,
    PartNotFound,
    QuantityExceedsAvailable,
)
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.order.order import Order
from orders.domain.rules import argument_bounds, ready_to_ship
from orders.domain.shipments import FAILURE_REASONS, ShipmentStatus
from orders.domain.validation import Shipping
from tests.support.orders import (
    ADDRESS,
    CUSTOMER,
    NOW,
    STAFF,
    a_placed_order,
    an_order_that_is,
    authorize,
    capture,
    deliver,
    items,
    pack,
    restored,
    return_units,
    send,
    settle_refund,
    take,
)

CONFIRMED, COMPLETED, CANCELLED = (
    OrderStatus.CONFIRMED,
    OrderStatus.COMPLETED,
    OrderStatus.CANCELLED,
)
THIRDS: Final = DraftLine(sku="PEN", name="Pen", quantity=3, unit_price=100, discount=100, tax=50)
"""A line of 250 minor units, whose units cost 83, 84 and 83."""


def a_paid_order(*lines: DraftLine, shipping: int = 0) -> Order:
    order = a_placed_order(
        lines=lines or (THIRDS,), shipping=Shipping(address=ADDRESS, price=shipping)
    )
    take(order)
    return order


def fail(order: Order, shipment_id: str, reason: str = "lost") -> None:
    order.fail_delivery(shipment_id, reason, by=STAFF, now=NOW)


def pay_back(order: Order) -> None:
    order.refund(reason="customer", by=STAFF, now=NOW)
    settle_refund(order, order.state.ledger.refunds[-1].id)


def credit(order: Order, amount: int, line_id: str | None = None, undeliverable: int = 0) -> str:
    order.grant_credit(
        amount, "lost", line_id=line_id, undeliverable=undeliverable, by=STAFF, now=NOW
    )
    return order.state.credits[-1].id


def assert_balanced(order: Order, status: OrderStatus) -> None:
    totals = order.state.totals
    assert (order.status, totals.net, totals.outstanding, totals.refund_due) == (
        *(status, totals.due),
        *(0, 0),
    )


# -- failed deliveries ---------------------------------------------------------------------------


@pytest.mark.parametrize("reason", FAILURE_REASONS)
def test_the_units_of_a_failed_parcel_are_in_no_shipment(reason: str) -> None:
    order = a_paid_order()
    fail(order, send(order, items(_1=2)), reason)
    (parcel,), (line,) = order.state.shipments, order.state.lines
    assert (parcel.status, parcel.failure_reason, parcel.failed_at) == ("failed", reason, NOW)
    assert (line.shipped, line.allocated, line.unallocated) == (0, 0, 3)
    assert order.state.fulfillment_status == "unfulfilled"
    assert ready_to_ship(order.state) is True
    assert order.new_events[-1].event == events.DeliveryFailed(
        shipment_id="1", items={"1": 2}, reason=reason
    )


def test_a_failed_parcel_is_packed_again_and_the_order_completes() -> None:
    order = a_paid_order()
    fail(order, send(order))
    deliver(order)
    assert_balanced(order, COMPLETED)


def test_the_units_of_a_failed_parcel_are_cancelled_and_their_money_goes_back() -> None:
    order = a_paid_order()
    deliver(order, items(_1=2))
    fail(order, send(order))
    order.cancel_items(items(_1=1), "inventory", by=STAFF, now=NOW)
    assert order.state.totals.refund_due == 83
    pay_back(order)
    assert_balanced(order, COMPLETED)


def test_an_order_whose_only_parcels_failed_is_cancelled_and_all_money_goes_back() -> None:
    order = a_paid_order()
    sent = send(order)
    with pytest.raises(AlreadyShipped):
        order.cancel("customer", by=CUSTOMER, now=NOW)
    fail(order, sent)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    settle_refund(order)
    assert_balanced(order, CANCELLED)
    assert order.state.totals.refunded == 250


@pytest.mark.parametrize("amount", [83, 60, 0])
def test_the_units_of_a_failed_parcel_are_credited_with_a_fee_or_without(amount: int) -> None:
    order = a_paid_order()
    deliver(order, items(_1=2))
    fail(order, send(order), "refused")
    credit(order, amount, "1", undeliverable=1)
    line = order.state.lines[0]
    assert (line.undeliverable, line.unallocated) == (1, 0)
    assert order.state.fulfillment_status == "delivered"
    if amount:
        pay_back(order)
    assert_balanced(order, COMPLETED)
    assert order.state.totals.net == 250 - amount


def test_undeliverable_units_are_neither_packed_nor_cancelled() -> None:
    order = a_paid_order()
    credit(order, 83, "1", undeliverable=1)
    for command in (
        lambda: order.create_shipment(items(_1=3), by=STAFF, now=NOW),
        lambda: order.cancel_items(items(_1=3), "customer", by=STAFF, now=NOW),
        lambda: credit(order, 0, "1", undeliverable=3),
    ):
        with pytest.raises(QuantityExceedsAvailable):
            command()
    order.cancel("customer", by=STAFF, now=NOW)
    assert order.state.totals.refunded + order.state.totals.pending_refunds == 250


@pytest.mark.parametrize(("units", "error"), [(1, InvalidValue), (0, None)])
def test_undeliverable_units_need_their_line(units: int, error: type[Exception] | None) -> None:
    order = a_paid_order()
    if error:
        with pytest.raises(error):
            credit(order, 10, undeliverable=units)
    else:
        credit(order, 10)


def test_units_are_undeliverable_in_a_confirmed_order_only() -> None:
    order = a_placed_order(lines=(THIRDS,))
    with pytest.raises(QuantityExceedsAvailable):
        credit(order, 10, "1", undeliverable=1)
    assert "items" not in argument_bounds(order.state, Action.GRANT_CREDIT)


@pytest.mark.parametrize("step", ["fail_delivery", "deliver"])
@pytest.mark.parametrize("status", ["created", "cancelled"])
def test_only_a_parcel_that_left_arrives_or_fails(step: str, status: str) -> None:
    order = a_paid_order()
    pack(order)
    if status == "cancelled":
        order.cancel_shipment("1", by=STAFF, now=NOW)
    reason = ("lost",) if step == "fail_delivery" else ()
    with pytest.raises(IllegalStep):
        getattr(order, step)("1", *reason, by=STAFF, now=NOW)


def test_a_parcel_fails_once_and_for_a_known_reason() -> None:
    order = a_paid_order()
    sent = send(order)
    with pytest.raises(InvalidValue):
        fail(order, sent, "eaten")
    fail(order, sent)
    with pytest.raises(IllegalStep):
        fail(order, sent)


def test_a_hold_stops_no_report_of_a_parcel() -> None:
    """Case 291 and its kind."""
    order = a_paid_order()
    for units in (1, 1, 1):
        pack(order, items(_1=units))
    for sent in "12":
        order.dispatch(sent, by=STAFF, now=NOW)
    order.hold("address", by=STAFF, now=NOW)
    with pytest.raises(OnHold):
        order.dispatch("3", by=STAFF, now=NOW)
    order.correct_shipment("1", tracking="1Z9", by=STAFF, now=NOW)
    order.deliver("1", by=STAFF, now=NOW)
    fail(order, "2")
    order.cancel_shipment("3", by=STAFF, now=NOW)
    assert [s.status for s in order.state.shipments] == ["delivered", "failed", "cancelled"]


def test_a_held_order_is_cancelled_once_its_parcel_is() -> None:
    order = a_paid_order()
    packed = pack(order)
    order.hold("address", by=STAFF, now=NOW)
    order.cancel_shipment(packed, by=STAFF, now=NOW)
    order.cancel("customer", by=STAFF, now=NOW)
    assert order.status is CANCELLED


# -- a failed parcel that arrives after all ------------------------------------------------------


def test_a_failed_parcel_that_arrives_counts_as_delivered() -> None:
    order = a_paid_order()
    sent = send(order)
    fail(order, sent)
    order.deliver(sent, by=STAFF, now=NOW)
    assert order.state.shipments[0].surplus == {}
    assert_balanced(order, COMPLETED)


def test_a_failed_parcel_that_arrives_beside_its_replacement_is_surplus() -> None:
    order = a_paid_order()
    lost = send(order)
    fail(order, lost)
    deliver(order)
    before = order.state
    order.deliver(lost, by=STAFF, now=NOW)
    found = order.state.shipments[0]
    assert (found.status, found.surplus, found.counted, found.value) == (
        *("delivered", {"1": 3}),
        *({}, 0),
    )
    assert (order.state.lines, order.state.totals) == (before.lines, before.totals)
    assert order.state.fulfillment_status == "delivered"


def test_a_failed_parcel_counts_as_far_as_its_units_are_wanted_still() -> None:
    order = a_paid_order()
    lost = send(order)
    fail(order, lost)
    pack(order, items(_1=1))
    order.deliver(lost, by=STAFF, now=NOW)
    line, found = order.state.lines[0], order.state.shipments[0]
    assert (found.surplus, found.counted) == ({"1": 1}, {"1": 2})
    assert (line.allocated, line.shipped, line.delivered) == (1, 2, 2)


# -- parcels that left before a cancellation was known -------------------------------------------


def test_a_parcel_that_left_before_the_cancellation_is_recorded_and_moves_no_money() -> None:
    order = a_paid_order()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    settle_refund(order)
    before = order.state
    left_at, now = NOW + timedelta(minutes=5), NOW + timedelta(minutes=9)
    order.record_late_shipment(
        items(_1=2), carrier="DHL", tracking="J1", dispatched_at=left_at, by=STAFF, now=now
    )
    (parcel,) = order.state.shipments
    assert (parcel.status, parcel.dispatched_at, parcel.carrier) == ("dispatched", left_at, "DHL")
    assert (parcel.surplus, parcel.counted, parcel.value) == ({"1": 2}, {}, 0)
    after = order.state
    assert (after.lines, after.totals, after.ledger) == (before.lines, before.totals, before.ledger)
    assert (after.status, after.fulfillment_status) == ("cancelled", "cancelled")
    assert order.new_events[-1].event == events.LateShipmentRecorded(
        shipment_id="1", items={"1": 2}, surplus={"1": 2}
    )


@pytest.mark.parametrize("step", ["deliver", "fail_delivery"])
def test_a_late_parcel_arrives_or_fails_and_no_line_counts_it(step: str) -> None:
    order = an_order_that_is(CANCELLED)
    order.record_late_shipment(items(_1=1), by=STAFF, now=NOW)
    lines = order.state.lines
    reason = ("refused",) if step == "fail_delivery" else ()
    getattr(order, step)("1", *reason, by=STAFF, now=NOW)
    assert order.state.lines == lines
    assert order.state.status is CANCELLED


def test_a_late_parcel_counts_the_units_that_are_wanted_still() -> None:
    order = a_paid_order()
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    order.record_late_shipment(items(_1=3), by=STAFF, now=NOW)
    (parcel,), (line,) = order.state.shipments, order.state.lines
    assert (parcel.surplus, parcel.counted) == ({"1": 1}, {"1": 2})
    assert (line.shipped, line.unallocated, parcel.value) == (2, 0, 167)
    pay_back(order)
    order.deliver("1", by=STAFF, now=NOW)
    assert_balanced(order, COMPLETED)


@pytest.mark.parametrize(("units", "error"), [(3, None), (4, QuantityExceedsAvailable)])
def test_late_units_are_recorded_once(units: int, error: type[Exception] | None) -> None:
    order = a_paid_order()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    if error:
        with pytest.raises(error):
            order.record_late_shipment(items(_1=units), by=STAFF, now=NOW)
        return
    order.record_late_shipment(items(_1=units), by=STAFF, now=NOW)
    with pytest.raises(QuantityExceedsAvailable):
        order.record_late_shipment(items(_1=1), by=STAFF, now=NOW)
    fail(order, "1")
    order.record_late_shipment(items(_1=1), by=STAFF, now=NOW)


def test_a_late_parcel_has_a_cancelled_unit_and_left_in_the_past() -> None:
    order = a_paid_order()
    with pytest.raises(QuantityExceedsAvailable):
        order.record_late_shipment(items(_1=1), by=STAFF, now=NOW)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    with pytest.raises(InvalidValue) as refused:
        order.record_late_shipment(items(_1=2), by=STAFF, now=NOW)
    assert refused.value.field == "items"
    for wrong in (NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)):
        with pytest.raises(InvalidValue) as refused:
            order.record_late_shipment(items(_1=3), dispatched_at=wrong, by=STAFF, now=NOW)
        assert refused.value.field == "dispatched_at"


# -- corrections, addresses, values --------------------------------------------------------------


def test_tracking_and_carrier_are_corrected_or_removed_and_only_what_differs_is_recorded() -> None:
    order = a_paid_order()
    order.create_shipment(items(_1=1), carrier="DHL", tracking="1", by=STAFF, now=NOW)
    order.correct_shipment("1", tracking="2", carrier="DHL", by=STAFF, now=NOW)
    assert order.new_events[-1].event == events.ShipmentCorrected(
        shipment_id="1", fields=("tracking",)
    )
    known = order.state
    order.correct_shipment("1", tracking="2", by=STAFF, now=NOW)
    assert order.state is known
    order.correct_shipment("1", tracking=None, carrier=None, by=STAFF, now=NOW)
    assert (order.state.shipments[0].carrier, order.state.shipments[0].tracking) == (None, None)
    with pytest.raises(InvalidValue):
        order.correct_shipment("1", tracking="", by=STAFF, now=NOW)
    with pytest.raises(PartNotFound):
        order.correct_shipment("2", tracking="2", by=STAFF, now=NOW)
    order.cancel_shipment("1", by=STAFF, now=NOW)
    with pytest.raises(IllegalStep):
        order.correct_shipment("1", tracking="3", by=STAFF, now=NOW)


def test_a_parcel_keeps_its_address_and_its_replacement_gets_the_new_one() -> None:
    """Case 295 and its kind."""
    order = a_paid_order()
    sent = pack(order)
    with pytest.raises(AlreadyShipped):
        order.edit(address=replace(ADDRESS, city="York"), by=CUSTOMER, now=NOW)
    order.edit(address=replace(ADDRESS, city="York"), by=STAFF, now=NOW)
    order.dispatch(sent, by=STAFF, now=NOW)
    fail(order, sent, "uncollected")
    order.edit(address=replace(ADDRESS, city="Bath"), by=CUSTOMER, now=NOW)
    pack(order)
    cities = [s.address.city for s in order.state.shipments if s.address]
    assert cities == [ADDRESS.city, "Bath"]


def test_the_values_of_parcels_add_up_to_the_last_unit_and_have_the_price_of_shipping() -> None:
    card = DraftLine(sku="CARD", name="Card", quantity=1, unit_price=50, shippable=False)
    order = a_paid_order(THIRDS, card, shipping=40)
    for _ in range(3):
        pack(order, items(_1=1))
    assert [s.value for s in order.state.shipments] == [83 + 40, 84, 83]
    assert sum(s.value or 0 for s in order.state.shipments) + 50 == order.state.totals.gross


@pytest.mark.parametrize("step", ["cancel_shipment", "fail_delivery"])
def test_a_parcel_that_is_packed_again_takes_what_the_others_do_not_have(step: str) -> None:
    order = a_paid_order(shipping=40)
    for _ in range(2):
        pack(order, items(_1=1))
    if step == "fail_delivery":
        order.dispatch("1", by=STAFF, now=NOW)
        fail(order, "1")
    else:
        order.cancel_shipment("1", by=STAFF, now=NOW)
    pack(order, items(_1=1))
    pack(order, items(_1=1))
    assert [s.value for s in order.state.shipments] == [123, 84, 123, 83]


def test_a_parcel_is_worth_what_is_due_for_it_after_a_credit() -> None:
    order = a_placed_order(lines=(THIRDS,))
    authorize(order)
    pack(order, items(_1=1))
    credit(order, 100)
    pack(order)
    assert [s.value for s in order.state.shipments] == [83, 67]
    for parcel in order.state.shipments:
        order.dispatch(parcel.id, by=STAFF, now=NOW)
        capture(order, "1", parcel.value)
        order.deliver(parcel.id, by=STAFF, now=NOW)
    assert order.state.totals.outstanding == 0


def test_parcels_from_before_values_leave_the_right_value_to_new_ones() -> None:
    order = a_paid_order(shipping=40)
    pack(order, items(_1=1))
    old = tuple(replace(s, value=None) for s in order.state.shipments)
    order = restored(order, shipments=old)
    pack(order, items(_1=1))
    pack(order, items(_1=1))
    assert [s.value for s in order.state.shipments] == [None, 84, 83]


# -- returns with less ---------------------------------------------------------------------------


def test_fewer_units_arrive_than_were_announced_and_the_rest_stays_returnable() -> None:
    """Case 299."""
    order = a_paid_order()
    deliver(order)
    return_units(order, "approve", units=items(_1=3))
    order.receive_return("1", items=items(_1=2), credit=150, by=STAFF, now=NOW)
    a_return = order.state.returns[0]
    assert (a_return.items, a_return.received, a_return.credited) == ({"1": 3}, {"1": 2}, 150)
    assert (order.state.credits[0].amount, order.state.credits[0].lines) == (150, {"1": 150})
    assert order.new_events[-2].event == events.ReturnReceived(
        return_id="1", items={"1": 2}, credited=150
    )
    assert argument_bounds(order.state, Action.REQUEST_RETURN) == {"items": {"1": 1}}
    return_units(order, "approve", "receive")
    assert [c.amount for c in order.state.credits] == [150, 83]
    order.close_return("1", by=STAFF, now=NOW)


@pytest.mark.parametrize(("amount", "fits"), [(0, True), (167, True), (168, False), (-1, False)])
def test_a_return_is_credited_up_to_what_its_units_cost(amount: int, fits: bool) -> None:
    order = a_paid_order()
    deliver(order)
    return_units(order, "approve", units=items(_1=2))
    if fits:
        order.receive_return("1", credit=amount, by=STAFF, now=NOW)
        assert order.state.totals.credits == amount
        assert len(order.state.credits) == bool(amount)
    else:
        before = order.state
        with pytest.raises(CreditExceedsAvailable if amount > 0 else InvalidValue):
            order.receive_return("1", credit=amount, by=STAFF, now=NOW)
        assert order.state is before


def test_no_more_units_arrive_than_were_announced() -> None:
    order = a_paid_order()
    deliver(order)
    return_units(order, "approve", units=items(_1=2))
    for wrong, error in ((items(_1=3), QuantityExceedsAvailable), ({}, InvalidValue)):
        with pytest.raises(error):
            order.receive_return("1", items=wrong, by=STAFF, now=NOW)
    with pytest.raises(PartNotFound):
        order.receive_return("1", items=items(_2=1), by=STAFF, now=NOW)


def test_a_return_is_credited_what_is_left_of_each_line_after_its_credits() -> None:
    nut = DraftLine(sku="NUT", name="Nut", quantity=1, unit_price=1_000)
    order = a_paid_order(THIRDS, nut)
    deliver(order)
    credit(order, 200, "1")
    return_units(order, "approve", units=items(_1=3, _2=1))
    with pytest.raises(CreditExceedsAvailable):
        order.receive_return("1", credit=1_051, by=STAFF, now=NOW)
    order.receive_return("1", by=STAFF, now=NOW)
    assert order.state.credits[-1].lines == {"1": 50, "2": 1_000}
    assert order.state.totals.due == 0


def test_a_lower_credit_is_shared_out_over_the_lines_of_its_return() -> None:
    nut = DraftLine(sku="NUT", name="Nut", quantity=1, unit_price=1_000)
    order = a_paid_order(THIRDS, nut)
    deliver(order)
    return_units(order, "approve", units=items(_1=3, _2=1))
    order.receive_return("1", credit=1_125, by=STAFF, now=NOW)
    assert order.state.credits[-1].lines == {"1": 225, "2": 900}
    assert argument_bounds(order.state, Action.GRANT_CREDIT)["lines"] == {"1": 25, "2": 100}


# -- credits by line, and revoked ones -----------------------------------------------------------


@pytest.mark.parametrize(("amount", "fits"), [(150, True), (151, False)])
def test_a_credit_for_a_line_is_bounded_by_what_is_left_of_it(amount: int, fits: bool) -> None:
    nut = DraftLine(sku="NUT", name="Nut", quantity=1, unit_price=1_000)
    order = a_paid_order(THIRDS, nut)
    credit(order, 100, "1")
    if fits:
        credit(order, amount, "1")
    else:
        with pytest.raises(CreditExceedsAvailable):
            credit(order, amount, "1")
        credit(order, amount, "2")


def test_a_credit_for_a_line_leaves_no_more_than_the_order_allows() -> None:
    order = a_paid_order()
    credit(order, 200)
    with pytest.raises(CreditExceedsAvailable):
        credit(order, 51, "1")
    credit(order, 50, "1")


def test_units_whose_price_is_credited_are_not_cancelled_as_well() -> None:
    order = a_paid_order()
    credit(order, 100, "1")
    assert argument_bounds(order.state, Action.CANCEL_ITEMS) == {"items": {"1": 1}}
    with pytest.raises(QuantityExceedsAvailable):
        order.cancel_items(items(_1=2), "customer", by=STAFF, now=NOW)
    with pytest.raises(QuantityExceedsAvailable):
        order.propose_change(removed=items(_1=2), added=(), reason="other", by=STAFF, now=NOW)
    order.revoke_credit("1", by=STAFF, now=NOW)
    order.cancel_items(items(_1=2), "customer", by=STAFF, now=NOW)


def test_a_revoked_credit_is_owed_again_and_its_units_can_be_sent() -> None:
    order = a_paid_order()
    fail(order, send(order))
    credit(order, 200, "1", undeliverable=2)
    order.revoke_credit("1", by=STAFF, now=NOW)
    (revoked,), totals = order.state.credits, order.state.totals
    assert (revoked.revoked_at, totals.credits, totals.due) == (NOW, 0, 250)
    assert order.state.lines[0].undeliverable == 0
    assert order.new_events[-2].event == events.CreditRevoked(credit_id="1", amount=200)
    with pytest.raises(IllegalStep):
        order.revoke_credit("1", by=STAFF, now=NOW)
    deliver(order)
    assert_balanced(order, COMPLETED)


def test_a_credit_that_is_being_paid_out_is_not_revoked() -> None:
    order = a_paid_order()
    credit(order, 100)
    credit(order, 50)
    order.refund(amount=80, reason="customer", by=STAFF, now=NOW)
    assert argument_bounds(order.state, Action.REVOKE_CREDIT) == {"credits": ("2",)}
    with pytest.raises(IllegalStep):
        order.revoke_credit("1", by=STAFF, now=NOW)
    order.revoke_credit("2", by=STAFF, now=NOW)
    assert order.state.totals.refund_due == 20
    order.record_operation_failure(f"{order.id}:refund:1", "refused", now=NOW)
    order.revoke_credit("1", by=STAFF, now=NOW)
    assert order.state.totals.due == 250


def test_no_credit_is_revoked_that_a_completed_order_would_owe() -> None:
    order = a_placed_order(lines=(THIRDS,))
    credit(order, 100)
    take(order)
    deliver(order)
    assert_balanced(order, COMPLETED)
    credit(order, 50)
    assert argument_bounds(order.state, Action.REVOKE_CREDIT) == {"credits": ("2",)}
    order.revoke_credit("2", by=STAFF, now=NOW)
    assert_balanced(order, COMPLETED)


def test_no_unit_of_a_completed_order_becomes_deliverable_again() -> None:
    order = a_paid_order()
    deliver(order, items(_1=2))
    fail(order, send(order))
    credit(order, 0, "1", undeliverable=1)
    assert order.status is COMPLETED
    with pytest.raises(IllegalStep):
        order.revoke_credit("1", by=STAFF, now=NOW)


def test_a_return_whose_credit_is_revoked_is_credited_nothing() -> None:
    order = a_paid_order()
    deliver(order)
    return_units(order, "approve", "receive")
    order.revoke_credit("1", by=STAFF, now=NOW)
    assert order.state.returns[0].credited == 0
    assert_balanced(order, COMPLETED)
    assert credit(order, 250, "1")


def test_statuses_of_shipments_that_hold_no_units() -> None:
    assert {*ShipmentStatus} - {"created", "dispatched", "delivered"} == {"cancelled", "failed"}
