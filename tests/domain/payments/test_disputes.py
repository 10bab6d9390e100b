"""Disputes, refunds that fail late, and what a payer still has to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import InvalidValue
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    OperationKind,
    PaymentReport,
    PaymentStatus,
    ProviderStatus,
    RefundStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)
from orders.domain.rules import refusals
from tests.support.orders import (
    CUSTOMER,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    an_order_that_is,
    authorize,
    capture,
    deliver,
    send,
    settle_refund,
    take,
)

CAPTURED = ProviderStatus.CAPTURED
OPEN, WON, LOST = DisputeStatus
OTHER: Any = "reopened"
REDIRECT = NextAction(type="redirect", url="https://bank.example/3ds?session=s3cret")


def a_paid_order() -> Order:
    order = a_placed_order()
    take(order)
    return order


def a_refunded_order() -> Order:
    order = a_paid_order()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    settle_refund(order)
    return order


def dispute(
    order: Order, status: DisputeStatus, amount: int = 400, id_: str = "dp_1", **changes: Any
) -> None:
    """The payment service reports a dispute, and every earlier one as it is known."""
    others = tuple(
        ReportedDispute(id=each.id, amount=each.amount, status=each.status)
        for each in order.state.ledger.disputes
        if each.id != id_
    )
    new = ReportedDispute(id=id_, amount=amount, status=status)
    report = a_report(order, CAPTURED, payment_id="1", disputes=(*others, new), **changes)
    order.record_payment_report(report, "1", now=NOW)


def refund_status(order: Order, place: int = 0) -> RefundStatus:
    return order.state.ledger.refunds[place].status


def told(order: Order) -> list[str]:
    return [type(each.event).__name__ for each in order.new_events]


def test_an_open_dispute_counts_as_charged_back_and_a_won_one_does_not() -> None:
    order = a_paid_order()
    dispute(order, OPEN)
    assert (order.state.totals.charged_back, order.state.totals.net) == (400, 3_900)
    assert order.state.payment_status == "charged_back"
    dispute(order, WON)
    assert (order.state.totals.charged_back, order.state.payment_status) == (0, "paid")
    assert told(order).count("DisputeOpened") == told(order).count("DisputeWon") == 1
    (known,) = order.state.ledger.disputes
    assert (known.id, known.payment_id, known.amount, known.status) == ("dp_1", "1", 400, WON)


def test_a_lost_dispute_stays_charged_back() -> None:
    order = a_paid_order()
    for status in (OPEN, LOST):
        dispute(order, status)
        assert order.state.totals.charged_back == 400
    assert told(order).count("PaymentChargedBack") == 1
    assert told(order)[-1] == "DisputeLost"


def test_a_dispute_after_a_refund_shows_the_loss() -> None:
    order = a_refunded_order()
    dispute(order, OPEN, amount=4_300)
    assert (order.state.totals.net, order.state.payment_status) == (-4_300, "charged_back")
    assert order.state.totals.refund_due == 0
    assert told(order)[-1] == "DisputeOpened"


def test_a_dispute_may_be_heard_of_when_it_is_over() -> None:
    order = a_paid_order()
    dispute(order, LOST)
    dispute(order, OPEN)
    assert [each.status for each in order.state.ledger.disputes] == [LOST]
    assert "DisputeOpened" not in told(order)


def test_two_disputes_about_one_payment_count_both() -> None:
    order = a_paid_order()
    dispute(order, OPEN, amount=400)
    dispute(order, OPEN, amount=1_000, id_="dp_0")
    assert order.state.totals.charged_back == 1_400
    dispute(order, WON, amount=400)
    assert order.state.totals.charged_back == 1_000


def test_money_that_a_won_dispute_brings_back_to_an_ended_order_is_refunded() -> None:
    order = a_paid_order()
    dispute(order, OPEN)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    settle_refund(order)
    assert (order.state.totals.refunded, order.state.totals.net) == (3_900, 0)
    dispute(order, WON)
    assert [(each.amount, each.status) for each in order.state.ledger.refunds] == [
        (3_900, "succeeded"),
        (400, "requested"),
    ]


def test_what_others_refund_before_a_dispute_is_won_is_not_refunded_as_well() -> None:
    order = a_paid_order()
    dispute(order, OPEN)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    settle_refund(order)
    dispute(order, WON, refunded=4_200)
    assert [each.amount for each in order.state.ledger.refunds] == [3_900, 100]


def test_a_charge_back_without_a_list_of_disputes_keeps_its_meaning() -> None:
    order = a_paid_order()
    report = a_report(order, CAPTURED)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)
    assert (order.state.totals.charged_back, order.state.ledger.disputes) == (4_300, [])


def test_a_list_of_disputes_counts_instead_of_a_charge_back_of_everything() -> None:
    """In both orders: the same loss is not counted twice, and a won dispute ends it."""
    for charged_back_first in (True, False):
        order = a_paid_order()
        whole = a_report(order, CAPTURED)
        if charged_back_first:
            order.record_payment_report(whole, "1", charged_back=True, now=NOW)
        dispute(order, OPEN, amount=4_300)
        order.record_payment_report(whole, "1", charged_back=True, now=NOW)
        assert order.state.totals.charged_back == 4_300
        dispute(order, WON, amount=4_300)
        order.record_payment_report(whole, "1", charged_back=True, now=NOW)
        assert order.state.totals.charged_back == 0


def test_a_dispute_about_more_than_was_captured_is_reviewed() -> None:
    order = a_paid_order()
    dispute(order, OPEN, amount=4_301)
    assert order.state.ledger.payment("1").status is PaymentStatus.REVIEW


# -- refunds that fail after they succeeded ----------------------------------------------------


def refund_report(
    order: Order, status: ReportedRefundStatus, refunded: int, refund_id: str = "1"
) -> PaymentReport:
    amount = order.state.ledger.refunds[int(refund_id) - 1].amount
    listed = ReportedRefund(
        id=f"re_{refund_id}",
        reference=f"{order.id}:refund:{refund_id}",
        amount=amount,
        status=status,
    )
    return a_report(order, CAPTURED, payment_id="1", refunded=refunded, refunds=(listed,))


def a_credited_order() -> Order:
    order = a_paid_order()
    deliver(order)
    order.grant_credit(1_000, reason="goodwill", by=STAFF, now=NOW)
    order.refund(reason="goodwill", by=STAFF, now=NOW)
    return order


def test_a_refund_that_fails_late_is_owed_again_and_may_go_another_way() -> None:
    order = a_placed_order()
    take(order, 2_000)
    take(order)
    order.cancel_items({"1": 1}, "customer", by=CUSTOMER, now=NOW)
    order.refund(reason="customer", by=STAFF, now=NOW)
    settle_refund(order)
    assert (order.state.totals.refunded, order.state.totals.refund_due) == (1_000, 0)
    failed = refund_report(order, ReportedRefundStatus.FAILED, refunded=0)
    order.record_payment_report(failed, "1", now=NOW + timedelta(days=2))
    assert (order.state.totals.refunded, order.state.totals.refund_due) == (0, 1_000)
    assert refund_status(order) is RefundStatus.FAILED
    assert told(order)[-2:] == ["PaymentRefundReversed", "RefundFailed"]
    order.refund(reason="customer", by=STAFF, now=NOW)
    assert order.state.ledger.refunds[1].payment_id == "2"


def test_a_refund_that_fails_late_on_a_cancelled_order_is_not_tried_again_unasked() -> None:
    order = a_refunded_order()
    order.record_payment_report(
        refund_report(order, ReportedRefundStatus.FAILED, refunded=0), "1", now=NOW
    )
    assert order.state.totals.refund_due == 4_300
    assert len(order.state.ledger.refunds) == 1
    assert order.state.ledger.operations == ()


def test_an_old_answer_does_not_bring_a_failed_refund_back() -> None:
    order = a_credited_order()
    failed = refund_report(order, ReportedRefundStatus.FAILED, refunded=0)
    succeeded = refund_report(order, ReportedRefundStatus.SUCCEEDED, refunded=1_000)
    for report in (succeeded, failed, succeeded):
        order.record_operation_result(f"{order.id}:refund:1", report, now=NOW)
    assert refund_status(order) is RefundStatus.FAILED
    assert (order.state.totals.refunded, order.state.totals.refund_due) == (0, 1_000)


def test_a_late_failure_is_told_once() -> None:
    order = a_credited_order()
    settle_refund(order)
    for _ in range(2):
        failed = refund_report(order, ReportedRefundStatus.FAILED, refunded=0)
        order.record_payment_report(failed, "1", now=NOW)
    assert told(order).count("RefundFailed") == told(order).count("PaymentRefundReversed") == 1


def test_a_refund_that_the_payment_service_has_not_decided_stays_reserved() -> None:
    order = a_credited_order()
    key = f"{order.id}:refund:1"
    pending = refund_report(order, ReportedRefundStatus.PENDING, refunded=0)
    order.record_operation_result(key, pending, now=NOW)
    assert refund_status(order) is RefundStatus.REQUESTED
    operation = order.state.ledger.operation(key)
    assert operation is not None
    assert operation.next_attempt_at > NOW
    order.record_payment_report(
        refund_report(order, ReportedRefundStatus.SUCCEEDED, refunded=1_000), "1", now=NOW
    )
    assert refund_status(order) is RefundStatus.SUCCEEDED
    assert order.state.ledger.operations == ()
    assert told(order).count("RefundSucceeded") == 1


def test_a_refund_that_was_never_decided_may_fail_by_report() -> None:
    order = a_credited_order()
    order.record_payment_report(
        refund_report(order, ReportedRefundStatus.FAILED, refunded=0), "1", now=NOW
    )
    assert refund_status(order) is RefundStatus.FAILED
    assert (order.state.totals.pending_refunds, order.state.totals.refund_due) == (0, 1_000)
    assert "PaymentRefundReversed" not in told(order)


def test_a_payment_service_that_lists_nothing_keeps_its_highest_total() -> None:
    order = a_credited_order()
    settle_refund(order)
    order.record_payment_report(a_report(order, CAPTURED, refunded=0), "1", now=NOW)
    assert order.state.totals.refunded == 1_000


# -- payments in flight ------------------------------------------------------------------------


def an_asking_order() -> Order:
    order = a_placed_order()
    call = order.start_payment("tok_requires_action", by=CUSTOMER, now=NOW)
    report = a_report(order, ProviderStatus.REQUIRES_ACTION, next_action=REDIRECT)
    order.record_operation_result(call.key, report, now=NOW)
    return order


def next_action(order: Order) -> NextAction | None:
    details = order.state.ledger.payments[0].details
    return details.next_action if details else None


@pytest.mark.parametrize(
    "status", [ProviderStatus.AUTHORIZED, ProviderStatus.DECLINED, ProviderStatus.VOIDED, CAPTURED]
)
def test_what_the_payer_has_to_do_is_known_until_the_payment_is_settled(
    status: ProviderStatus,
) -> None:
    order = an_asking_order()
    order.record_payment_report(a_report(order, ProviderStatus.PENDING), "1", now=NOW)
    assert next_action(order) == REDIRECT
    order.record_payment_report(a_report(order, status), "1", now=NOW)
    assert next_action(order) is None
    late = a_report(order, ProviderStatus.REQUIRES_ACTION, captured=0, next_action=REDIRECT)
    if status is not CAPTURED:
        order.record_payment_report(late, "1", now=NOW)
    assert next_action(order) is None


def test_a_refusal_of_the_call_ends_what_the_payer_has_to_do() -> None:
    order = an_asking_order()
    order.record_operation_failure(f"{order.id}:1", "card_declined", now=NOW)
    assert next_action(order) is None


def test_the_address_is_in_no_text_of_the_state() -> None:
    order = an_asking_order()
    assert "s3cret" not in repr(order.state)
    assert "s3cret" not in repr([each.event for each in order.new_events])


@pytest.mark.parametrize(
    "url",
    [
        "http://bank.example/",
        "https://user@bank.example/",
        "https://bank.example\\@evil.example/",
        "https://bank.example/\n",
        "https://bank.example/ä",
        "https:///path",
        "javascript:alert(1)",
        "https://bank.example/" + "a" * 2_048,
        "",
    ],
)
def test_only_an_https_address_is_shown(url: str) -> None:
    with pytest.raises(InvalidValue):
        NextAction(type="redirect", url=url)


def test_another_kind_of_next_action_is_refused() -> None:
    with pytest.raises(InvalidValue):
        NextAction(type="qr", url="https://bank.example/")


def test_a_payment_in_flight_can_be_voided_and_the_order_paid_another_way() -> None:
    order = an_asking_order()
    assert [error.code for error in refusals(order.state, Action.PAY, now=NOW)] == [
        "payment-in-flight"
    ]
    order.void("1", by=STAFF, now=NOW)
    key = order.state.ledger.operations[-1].key
    order.record_operation_result(key, a_report(order, ProviderStatus.VOIDED), now=NOW)
    assert order.state.ledger.operations == ()
    authorize(order)
    assert order.status is OrderStatus.CONFIRMED


def test_a_charge_that_comes_after_its_void_on_a_cancelled_order_goes_back() -> None:
    order = an_asking_order()
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert [each.kind for each in order.state.ledger.operations] == [
        OperationKind.AUTHORIZE,
        OperationKind.VOID,
    ]
    order.record_payment_report(a_report(order, CAPTURED), "1", now=NOW)
    assert order.state.totals.pending_refunds == 4_300


# -- authorisations that expire ----------------------------------------------------------------


def test_the_end_of_an_authorisation_is_the_latest_that_was_reported() -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    for days in (7, 9, 7):
        report = a_report(order, authorized_until=NOW + timedelta(days=days))
        order.record_payment_report(report, "1", now=NOW)
    details = order.state.ledger.payment("1").details
    assert details is not None
    assert details.authorized_until == NOW + timedelta(days=9)


def test_an_order_whose_authorisation_expired_stays_confirmed_and_is_not_sent() -> None:
    order = an_order_that_is(OrderStatus.CONFIRMED)
    until = NOW + timedelta(days=7)
    order.record_payment_report(a_report(order, authorized_until=until), "1", now=NOW)
    order.record_payment_report(a_report(order, ProviderStatus.VOIDED), "1", now=until)
    assert order.status is OrderStatus.CONFIRMED
    for action in (Action.CREATE_SHIPMENT, Action.DISPATCH):
        assert [error.code for error in refusals(order.state, action, now=until)] == [
            "payment-not-covered"
        ]
    authorize(order)
    capture(order, "2")
    deliver(order)
    assert order.state.status == "completed"


def test_an_order_completes_once_more_is_lost_than_was_ever_owed() -> None:
    order = a_paid_order()
    parcel = send(order, {line.id: line.quantity for line in order.state.lines if line.shippable})
    dispute(order, OPEN, 4_300, refunded=4_300)
    order.deliver(parcel, by=STAFF, now=NOW)
    assert (order.state.totals.due, order.state.totals.net) == (0, -4_300)
    assert order.status == "confirmed"
    dispute(order, LOST, 4_300)
    assert order.status == "completed"
    assert order.state.totals.outstanding == 4_300


def test_a_payer_has_nothing_to_do_for_a_payment_that_staff_dismissed() -> None:
    order = a_placed_order()
    order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    asked = a_report(order, ProviderStatus.REQUIRES_ACTION, next_action=REDIRECT)
    order.record_payment_report(asked, "1", now=NOW)
    order.record_payment_report(a_report(order, CAPTURED, captured=0), "1", now=NOW)
    order.dismiss_payment("1", by=STAFF, now=NOW)
    assert order.state.ledger.payment("1").details is None


def test_a_report_is_made_of_its_own_kinds() -> None:
    order = a_paid_order()
    report = a_report(order, CAPTURED)
    wrong: list[dict[str, Any]] = [
        {"refunds": ("re_1",)},
        {"disputes": (ReportedDispute(id="dp_1", amount=0, status=OPEN),)},
        {"disputes": (ReportedDispute(id="dp_1", amount=True, status=OPEN),)},
        {"disputes": (ReportedDispute(id="dp_1", amount=1, status=OTHER),)},
        {"refunds": (ReportedRefund(id="re_1", amount=1, status=OTHER),)},
        {"next_action": "https://bank.example/"},
        {"authorized_until": NOW.replace(tzinfo=None)},
    ]
    for changes in wrong:
        with pytest.raises(InvalidValue):
            replace(report, **changes)


def test_every_event_of_a_dispute_names_its_amount() -> None:
    order = a_paid_order()
    dispute(order, OPEN)
    dispute(order, LOST)
    assert order.new_events[-1].event == events.DisputeLost(
        dispute_id="dp_1", payment_id="1", amount=400
    )
