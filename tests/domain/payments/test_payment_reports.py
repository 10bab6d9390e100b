"""Facts about money: late, twice, out of order, contradictory; and what goes back by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orders.domain.errors import AmountExceedsRefundable, IllegalStep, PaymentInFlight
from orders.domain.events import (
    OrderPaid,
    PaymentOperationFailed,
    PaymentReceivedLate,
    PaymentVoided,
    RefundSucceeded,
)
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.payments import PaymentOperation, PaymentStatus, ProviderStatus, RefundStatus
from tests.support.orders import (
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    an_order_that_is,
    authorize,
    capture,
    deliver,
    items,
    settle_refund,
    take,
)

CAPTURED, PENDING = ProviderStatus.CAPTURED, ProviderStatus.PENDING


def asked(*, capture: bool = True) -> tuple[Order, PaymentOperation]:
    """An order with a payment that nobody knows the outcome of."""
    order = a_placed_order()
    return order, order.start_payment("tok_slow", capture=capture, by=CUSTOMER, now=NOW)


def told(order: Order, kind: type) -> int:
    return sum(type(each.event) is kind for each in order.new_events)


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
def test_money_that_comes_after_the_end_is_booked_and_goes_back(status: OrderStatus) -> None:
    order, call = asked()
    if status is OrderStatus.CANCELLED:
        order.cancel("customer", by=CUSTOMER, now=NOW)
    else:
        order.record_operation_failure(call.key, "timeout", now=NOW)
        order.expire(now=EXPIRES)
    order.record_payment_report(a_report(order, CAPTURED), "1", now=EXPIRES)
    assert (order.state.totals.captured, order.state.totals.pending_refunds) == (4_300, 4_300)
    assert order.state.totals.refund_due == 0
    assert told(order, PaymentReceivedLate) == 1
    settle_refund(order)
    assert (order.state.totals.net, order.status) == (0, status)
    assert order.state.payment_status == "refunded"


def test_an_authorisation_that_comes_after_the_end_is_voided() -> None:
    order, call = asked(capture=False)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_operation_result(call.key, a_report(order), now=NOW)
    assert [each.kind for each in order.state.ledger.operations] == ["void"]
    assert told(order, PaymentReceivedLate) == 1


def test_cancelling_voids_what_is_authorised_and_refunds_what_was_captured() -> None:
    order = a_placed_order()
    take(order, 1_000)
    authorize(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    calls = {(call.kind, call.payment_id, call.amount) for call in order.state.ledger.operations}
    assert calls == {("void", "2", 3_300), ("refund", "1", 1_000)}


def test_a_refund_is_spread_over_the_payments_that_hold_money() -> None:
    order = a_placed_order()
    for amount in (1_000, 2_000, None):
        take(order, amount)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    refunds = [(refund.payment_id, refund.amount) for refund in order.state.ledger.refunds]
    assert refunds == [("1", 1_000), ("2", 2_000), ("3", 1_300)]


def test_a_leftover_authorisation_is_voided_once_all_is_delivered_and_paid() -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    deliver(order)
    capture(order)
    assert [call.kind for call in order.state.ledger.operations] == ["void"]
    order.record_operation_result(
        f"{order.id}:1:void:1", a_report(order, ProviderStatus.VOIDED), now=NOW
    )
    assert order.status is OrderStatus.COMPLETED


@pytest.mark.parametrize("status", [OrderStatus.CONFIRMED, OrderStatus.COMPLETED])
def test_an_authorisation_that_comes_once_all_is_delivered_and_paid_is_voided(
    status: OrderStatus,
) -> None:
    """Nobody could capture it, and it would keep the order from being completed."""
    order, call = asked(capture=False)
    order.record_operation_failure(call.key, "declined", now=NOW)
    take(order)
    if status is OrderStatus.CONFIRMED:
        ink = DraftLine(sku="INK", name="Ink", quantity=1, unit_price=700)
        order.propose_change(removed={}, added=(ink,), reason="more", by=CUSTOMER, now=NOW)
    deliver(order)
    assert order.status is status
    order.record_payment_report(a_report(order, payment_id="1"), "1", now=NOW)
    assert [call.kind for call in order.state.ledger.operations] == ["void"]


def test_a_void_that_is_refused_for_good_is_not_begun_for_ever() -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    deliver(order)
    capture(order)
    order.record_operation_failure(f"{order.id}:1:void:1", "refused", now=NOW)
    assert order.state.ledger.operations == ()
    assert told(order, PaymentOperationFailed) == 1


def test_a_refund_is_told_of_once_though_the_webhook_counts_it_first() -> None:
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_payment_report(a_report(order, CAPTURED, refunded=4_300), "1", now=NOW)
    assert order.new_events[-1].after.totals == order.state.totals
    settle_refund(order)
    assert told(order, RefundSucceeded) == 1
    assert (order.state.totals.refunded, order.state.totals.pending_refunds) == (4_300, 0)


def test_no_change_of_the_balance_goes_untold() -> None:
    """Someone refunds at the payment service itself."""
    order = a_placed_order()
    take(order)
    order.record_payment_report(a_report(order, CAPTURED, refunded=1_000), "1", now=NOW)
    assert order.state.totals.refunded == 1_000
    assert order.new_events[-1].after.totals == order.state.totals
    known = order.state
    order.record_payment_report(a_report(order, CAPTURED, refunded=1_000), "1", now=NOW)
    assert order.state is known


def test_money_goes_back_though_an_earlier_refund_is_counted_before_it_is_answered() -> None:
    order = a_placed_order()
    authorize(order)
    capture(order, "1", 1_000)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_payment_report(
        a_report(order, CAPTURED, captured=1_000, refunded=1_000), "1", now=NOW
    )
    order.record_payment_report(
        a_report(order, CAPTURED, captured=4_300, refunded=1_000), "1", now=NOW
    )
    settle_refund(order, "1")
    assert order.state.totals.refund_due == 0
    # What is not known to be ours stays reserved until it is; then the rest goes back too.
    assert [refund.amount for refund in order.state.ledger.refunds] == [1_000, 2_300, 1_000]


def test_an_answer_that_comes_after_its_webhook_still_counts() -> None:
    order, call = asked()
    order.record_payment_report(a_report(order, ProviderStatus.AUTHORIZED), "1", now=NOW)
    order.record_operation_result(call.key, a_report(order, CAPTURED), now=NOW)
    assert order.state.totals.captured == 4_300


@pytest.mark.parametrize("late", [ProviderStatus.AUTHORIZED, PENDING, ProviderStatus.DECLINED])
def test_an_older_report_changes_nothing(late: ProviderStatus) -> None:
    order = a_placed_order()
    take(order)
    known = order.state
    order.record_payment_report(a_report(order, late, captured=0), "1", now=NOW)
    assert order.state is known
    assert told(order, OrderPaid) == 1


@pytest.mark.parametrize("late", [PENDING, ProviderStatus.REQUIRES_ACTION])
def test_a_decline_keeps_its_reason_when_older_news_comes_later(late: ProviderStatus) -> None:
    order, call = asked()
    order.record_payment_report(a_report(order, late), "1", now=NOW)
    order.record_operation_failure(call.key, "insufficient_funds", now=NOW)
    known = order.state
    order.record_payment_report(a_report(order, late), "1", now=NOW)
    assert order.state is known
    assert order.state.ledger.payment("1").decline_code == "insufficient_funds"


def test_a_payment_that_was_declined_and_then_taken_after_all_is_taken() -> None:
    order, call = asked()
    order.record_operation_failure(call.key, "timeout", now=NOW)
    assert order.state.payment_status == "failed"
    order.record_payment_report(a_report(order, CAPTURED), "1", now=NOW)
    assert (order.status, order.state.payment_status) == ("confirmed", "paid")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": Money(4_301, "EUR")},
        {"amount": Money(4_300, "USD")},
        {"reference": "another"},
        {"captured": 4_301},
        {"refunded": 1},
        {"captured": -1},
        {"status": CAPTURED, "captured": 0},
        {"status": ProviderStatus.DECLINED, "captured": 4_300},
        {"status": ProviderStatus.VOIDED, "captured": 1},
        {"status": ProviderStatus.PENDING, "captured": 4_300},
        {"status": ProviderStatus.REQUIRES_ACTION, "captured": 4_300, "refunded": 4_300},
    ],
    ids=lambda wrong: " ".join(map(str, wrong.values())),
)
def test_a_payment_that_contradicts_us_confirms_nothing_and_is_held_for_review(
    wrong: dict[str, Any],
) -> None:
    order, call = asked()
    order.record_operation_result(call.key, replace(a_report(order), **wrong), now=NOW)
    assert order.status is OrderStatus.PENDING
    assert order.state.ledger.payment("1").status is PaymentStatus.REVIEW
    assert [hold.reason for hold in order.state.open_holds] == ["payment-mismatch"]
    assert order.state.ledger.operations == ()
    known = order.state
    order.record_payment_report(a_report(order, CAPTURED), "1", now=NOW)
    assert order.state is known


def test_money_under_review_is_not_moved_by_itself() -> None:
    order = a_placed_order()
    take(order)
    order.record_payment_report(a_report(order, CAPTURED, provider_id="another"), "1", now=NOW)
    order.cancel("fraud", by=STAFF, now=NOW)
    assert order.state.ledger.refunds == ()
    with pytest.raises(AmountExceedsRefundable):
        order.refund(reason="goodwill", by=STAFF, now=NOW)


def test_a_refund_whose_outcome_is_unknown_stays_reserved_under_review() -> None:
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_payment_report(a_report(order, CAPTURED, provider_id="another"), "1", now=NOW)
    assert order.state.ledger.refunds[0].status is RefundStatus.REQUESTED
    assert order.state.totals.pending_refunds == 4_300
    assert order.state.totals.refund_due == 0


def test_a_call_without_answer_is_looked_at_later_and_later() -> None:
    order, call = asked()
    assert order.state.next_action_at == NOW + timedelta(seconds=12)
    waits = []
    for _ in range(9):
        order.record_unknown_outcome(call.key, now=NOW)
        assert order.state.next_action_at is not None
        waits.append((order.state.next_action_at - NOW).total_seconds())
    assert waits == [1, 2, 4, 8, 15, 15, 15, 15, 15]
    assert order.state.ledger.operations[0].key == call.key


def test_time_asks_for_an_unpaid_order_when_it_expires_and_for_no_ended_one() -> None:
    order = a_placed_order()
    assert order.state.next_action_at == EXPIRES
    for status in set(OrderStatus) - {OrderStatus.PENDING}:
        assert an_order_that_is(status).state.next_action_at is None


def test_answering_a_call_twice_is_answering_it_once() -> None:
    order, call = asked()
    report = a_report(order, CAPTURED)
    order.record_operation_result(call.key, report, now=NOW)
    known = order.state
    order.record_operation_result(call.key, report, now=NOW)
    order.record_operation_failure(call.key, "refused", now=NOW)
    order.record_unknown_outcome(call.key, now=NOW)
    assert order.state is known


def test_a_payments_token_is_dropped_once_it_is_settled() -> None:
    order, call = asked()
    assert order.state.ledger.payment("1").method == "tok_slow"
    order.record_operation_result(call.key, a_report(order, PENDING), now=NOW)
    assert order.state.ledger.payment("1").method == "tok_slow"
    order.record_operation_result(call.key, a_report(order, CAPTURED), now=NOW)
    assert "tok_slow" not in repr(order.state)


def test_a_charge_back_is_booked_once() -> None:
    order = a_placed_order()
    take(order)
    report = a_report(order, CAPTURED)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)
    assert order.state.payment_status == "charged_back"
    assert (order.state.totals.charged_back, order.state.totals.net) == (4_300, 0)
    known = order.state
    order.record_payment_report(report, "1", charged_back=True, now=NOW)
    assert order.state is known


def test_a_late_charge_back_does_not_send_the_money_back_a_second_time() -> None:
    order, _ = asked()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_payment_report(a_report(order, CAPTURED), "1", charged_back=True, now=NOW)
    assert order.state.ledger.refunds == ()
    assert (order.state.totals.net, order.state.totals.outstanding) == (0, 0)


def test_a_second_charge_back_counts_what_was_captured_since() -> None:
    order = a_placed_order()
    authorize(order)
    capture(order, "1", 1_000)
    order.record_payment_report(
        a_report(order, CAPTURED, captured=1_000), "1", charged_back=True, now=NOW
    )
    order.record_payment_report(
        a_report(order, CAPTURED, captured=3_000), "1", charged_back=True, now=NOW
    )
    assert (order.state.totals.captured, order.state.totals.charged_back) == (3_000, 3_000)


def test_a_void_that_was_refused_is_asked_for_again_with_another_key() -> None:
    order = a_placed_order()
    authorize(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_operation_failure(f"{order.id}:1:void:1", "refused", now=NOW)
    assert (order.state.totals.authorized, order.state.ledger.operations) == (4_300, ())
    order.void("1", by=STAFF, now=NOW)
    assert [call.key for call in order.state.ledger.operations] == [f"{order.id}:1:void:2"]


def test_a_payment_under_review_is_dismissed_and_another_one_can_be_tried() -> None:
    order, call = asked()
    order.record_operation_result(
        call.key, a_report(order, CAPTURED, amount=Money(1, "EUR")), now=NOW
    )
    with pytest.raises(PaymentInFlight):
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    order.dismiss_payment("1", by=STAFF, now=NOW)
    assert order.state.payment_status == "failed"
    assert order.start_payment("tok_ok", by=CUSTOMER, now=NOW).amount == 4_300


def test_a_dismissed_payment_that_is_voided_after_all_is_an_event() -> None:
    order, call = asked()
    order.record_operation_result(
        call.key, a_report(order, CAPTURED, amount=Money(1, "EUR")), now=NOW
    )
    order.dismiss_payment("1", by=STAFF, now=NOW)
    order.record_payment_report(a_report(order, ProviderStatus.VOIDED), "1", now=NOW)
    assert order.state.payment_status == "voided"
    newest = order.new_events[-1]
    assert (newest.event, newest.after.payment_status) == (
        PaymentVoided(payment_id=PartId("1")),
        "voided",
    )


def test_dismissing_keeps_what_was_booked_before_and_fails_refunds_of_unknown_fate() -> None:
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_payment_report(a_report(order, CAPTURED, provider_id="another"), "1", now=NOW)
    order.dismiss_payment("1", by=STAFF, now=NOW)
    assert order.state.ledger.payment("1").status is PaymentStatus.CAPTURED
    assert order.state.ledger.refunds[0].status is RefundStatus.FAILED
    assert order.state.totals.refund_due == 4_300
    with pytest.raises(IllegalStep):
        order.dismiss_payment("1", by=STAFF, now=NOW)
