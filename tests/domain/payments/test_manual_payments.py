"""Money outside the payment service: recorded payments and refunds, refunds that nobody asked for
here, and what is written off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations

import pytest

from orders.domain import (
    Action,
    AmountExceedsRefundable,
    CreditExceedsAvailable,
    InvalidValue,
    ManualMethod,
    ManualPayment,
    NothingDue,
    Order,
    OrderPaymentStatus,
    OrderStatus,
    PaymentStatus,
    ProviderStatus,
    RefundMustBeRecorded,
    TooManyParts,
    argument_bounds,
)
from orders.domain.events import CreditRevoked
from orders.domain.identifiers import PROVIDER
from orders.domain.payments import DisputeStatus, ReportedRefund, ReportedRefundStatus
from orders.domain.rules import MAX_PARTS, ready_to_ship
from orders.domain.validation import OrderLimits
from tests.domain.payments.test_report_order import Provider, a_completed_order, assert_one_state
from tests.support.orders import (
    A_TRANSFER,
    CUSTOMER,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    an_order_that_is,
    authorize,
    deliver,
    items,
    record_payment,
    settle_refund,
    take,
)

DAY = timedelta(days=1)

NO_LIMIT = OrderLimits(declines=MAX_PARTS + 1)


def refund_elsewhere(order: Order, refunded: int, payment_id: str = "1") -> None:
    """The payment service reports refunds that nobody asked for here."""
    report = a_report(order, ProviderStatus.CAPTURED, payment_id=payment_id, refunded=refunded)
    order.record_payment_report(report, payment_id, now=NOW)


def record_refund(order: Order, amount: int | None = None, **named: str) -> None:
    order.record_refund("BANK-7", amount=amount, reason="goodwill", by=STAFF, now=NOW, **named)


def credits_of(order: Order) -> list[tuple[int, str]]:
    credits = order.state.credits
    return [(each.amount, each.reason) for each in credits if each.revoked_at is None]


def balances(order: Order) -> tuple[int, int, int, int]:
    """What is due, kept, still to be paid, and owed back."""
    totals = order.state.totals
    return totals.due, totals.net, totals.outstanding, totals.refund_due


# -- recorded payments -------------------------------------------------------------------------


def test_money_that_was_received_elsewhere_pays_and_confirms_the_order() -> None:
    order = a_placed_order()
    record_payment(order)
    (payment,) = order.state.ledger.payments
    assert (payment.status, payment.captured) == (PaymentStatus.CAPTURED, 4_300)
    assert (payment.manual, payment.provider_id) == (A_TRANSFER, None)
    assert order.state.ledger.operations == (), "something is sent to the payment service"
    assert order.status == "confirmed"
    assert order.state.payment_status == "paid"
    deliver(order)
    assert order.status == "completed"


@pytest.mark.parametrize("method", ManualMethod)
def test_money_comes_by_any_method_and_in_parts(method: ManualMethod) -> None:
    order = a_placed_order()
    received = ManualPayment(method=method, received_at=NOW - 3 * DAY)
    order.record_payment(received, amount=4_299, by=STAFF, now=NOW)
    assert order.state.payment_status == "partially_paid"
    assert order.status == "pending"
    order.record_payment(received, by=STAFF, now=NOW)
    assert [p.amount for p in order.state.ledger.payments] == [4_299, 1]
    assert order.status == "confirmed"
    with pytest.raises(NothingDue):
        order.record_payment(received, by=STAFF, now=NOW)


@pytest.mark.parametrize("status", OrderStatus)
def test_money_is_recorded_in_every_status_and_what_nobody_owes_is_owed_back(
    status: OrderStatus,
) -> None:
    order = an_order_that_is(status)
    before = order.state.totals
    order.record_payment(A_TRANSFER, amount=5_000, by=STAFF, now=NOW)
    totals = order.state.totals
    assert (totals.captured, totals.refund_due) == (
        before.captured + 5_000,
        before.net + 5_000 - before.due,
    )
    sent = [each.kind for each in order.state.ledger.operations if each.kind == "refund"]
    assert sent == [], "money that the payment service never had is asked back from it"
    late = [each.event for each in order.new_events if "Late" in type(each.event).__name__]
    assert bool(late) is (status in {OrderStatus.CANCELLED, OrderStatus.EXPIRED})


@pytest.mark.parametrize(
    ("received_at", "fits"),
    [
        (NOW, True),
        (NOW + timedelta(microseconds=1), False),
        (NOW - 366 * DAY, True),
        (NOW - 366 * DAY - timedelta(microseconds=1), False),
        (datetime.max.replace(tzinfo=UTC), False),
        (datetime.min.replace(tzinfo=UTC), False),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))), False),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=12))), False),
    ],
)
def test_money_was_received_in_a_credible_time(received_at: datetime, fits: bool) -> None:
    order = a_placed_order()
    received = ManualPayment(method=ManualMethod.CASH, received_at=received_at)
    if fits:
        order.record_payment(received, by=STAFF, now=NOW)
        return
    with pytest.raises(InvalidValue) as refused:
        order.record_payment(received, by=STAFF, now=NOW)
    assert refused.value.field == "manual/received_at"


def test_the_time_is_kept_as_every_store_keeps_it() -> None:
    order = a_placed_order()
    at = datetime(2026, 2, 1, 1, 30, 0, 123_999, tzinfo=timezone(timedelta(hours=2)))
    received = ManualPayment(method=ManualMethod.CHEQUE, received_at=at)
    order.record_payment(received, by=STAFF, now=NOW)
    manual = order.state.ledger.payments[0].manual
    assert manual is not None
    assert manual.received_at.isoformat() == "2026-01-31T23:30:00.123000+00:00"


@pytest.mark.parametrize("reference", ["", " ", "a" * 201, "a\x00b"])
def test_a_reference_is_short_and_printable(reference: str) -> None:
    with pytest.raises(InvalidValue):
        ManualPayment(method=ManualMethod.CASH, received_at=NOW, reference=reference)


@pytest.mark.parametrize("amount", [0, -1, 2**53])
def test_an_amount_that_no_sum_can_hold_is_refused(amount: int) -> None:
    order = a_placed_order()
    with pytest.raises(InvalidValue):
        order.record_payment(A_TRANSFER, amount=amount, by=STAFF, now=NOW)


def test_the_sum_of_all_that_was_received_stays_exact() -> None:
    order = a_placed_order()
    most = argument_bounds(order.state, Action.RECORD_PAYMENT)["amount"]
    assert most == 2**53 - 1
    order.record_payment(A_TRANSFER, amount=2**53 - 2, by=STAFF, now=NOW)
    with pytest.raises(InvalidValue):
        order.record_payment(A_TRANSFER, amount=2, by=STAFF, now=NOW)
    order.record_payment(A_TRANSFER, amount=1, by=STAFF, now=NOW)


def test_facts_are_recorded_after_commands_have_used_up_their_parts() -> None:
    order = a_placed_order()
    for _ in range(MAX_PARTS):
        call = order.start_payment("tok_declined", by=CUSTOMER, now=NOW, limits=NO_LIMIT)
        order.record_operation_failure(call.key, "insufficient_funds", now=NOW)
    with pytest.raises(TooManyParts):
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    record_payment(order)
    assert order.status is OrderStatus.CONFIRMED


# -- recorded refunds --------------------------------------------------------------------------


def test_cancelling_an_order_that_was_paid_elsewhere_sends_nothing_and_owes_the_money() -> None:
    order = a_placed_order()
    record_payment(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert order.state.ledger.operations == ()
    assert order.state.ledger.refunds == ()
    assert balances(order) == (0, 4_300, 0, 4_300)
    assert order.state.payment_status == "overpaid", "nobody would find it"
    record_refund(order)
    assert balances(order) == (0, 0, 0, 0)
    assert order.state.payment_status == "refunded"
    assert credits_of(order) == []


def test_only_what_came_through_the_payment_service_is_sent_back_through_it() -> None:
    order = a_placed_order()
    record_payment(order, 1_300)
    take(order, 3_000)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    (refund,) = order.state.ledger.refunds
    assert (refund.payment_id, refund.amount) == ("2", 3_000)
    settle_refund(order)
    assert balances(order) == (0, 1_300, 0, 1_300)
    with pytest.raises(RefundMustBeRecorded):
        order.refund(reason="customer", by=STAFF, now=NOW)
    with pytest.raises(RefundMustBeRecorded):
        order.refund(payment_id="1", reason="customer", by=STAFF, now=NOW)
    assert argument_bounds(order.state, Action.REFUND) == {"amount": 0, "payments": ()}
    assert argument_bounds(order.state, Action.RECORD_REFUND) == {
        "amount": 1_300,
        "payments": ("1",),
    }
    record_refund(order, payment_id="1")
    assert balances(order) == (0, 0, 0, 0)


def test_money_back_is_recorded_for_manual_payments_first_and_up_to_what_is_held() -> None:
    order = a_placed_order()
    take(order, 3_000)
    record_payment(order, 1_300)
    with pytest.raises(AmountExceedsRefundable) as refused:
        record_refund(order, 4_301)
    assert refused.value.available == 4_300
    with pytest.raises(AmountExceedsRefundable):
        record_refund(order)
    record_refund(order, 1_400)
    found = [(r.payment_id, r.amount, r.status, r.recorded) for r in order.state.ledger.refunds]
    assert found == [("2", 1_300, "succeeded", True), ("1", 100, "succeeded", True)]
    assert [p.net_captured for p in order.state.ledger.payments] == [2_900, 0]
    assert balances(order) == (2_900, 2_900, 0, 0)


def test_a_refund_on_its_way_is_not_recorded_as_well() -> None:
    order = a_placed_order()
    take(order)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    order.refund(reason="customer", by=STAFF, now=NOW)
    assert argument_bounds(order.state, Action.RECORD_REFUND)["amount"] == 3_300
    with pytest.raises(AmountExceedsRefundable):
        record_refund(order)


def test_recording_part_of_what_a_bank_refused_asks_it_for_nothing_again() -> None:
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_operation_failure(f"{order.id}:refund:1", "account_closed", now=NOW)
    record_refund(order, 4_000)
    assert order.state.ledger.operations == ()
    assert balances(order) == (0, 300, 0, 300)


def test_what_the_payment_service_refunds_later_adds_to_what_was_recorded() -> None:
    order = an_order_that_is(OrderStatus.COMPLETED)
    record_refund(order, 400)
    refund_elsewhere(order, 300)
    assert order.state.totals.refunded == 700
    refund_elsewhere(order, 300)
    assert order.state.totals.refunded == 700
    assert credits_of(order) == [(400, "refunded-elsewhere"), (300, "refunded-elsewhere")]


# -- what was given back without a refund of ours ----------------------------------------------


@pytest.mark.parametrize("give_back", [record_refund, refund_elsewhere], ids=["staff", "provider"])
@pytest.mark.parametrize(
    ("amount", "status"),
    [(4_300, OrderPaymentStatus.REFUNDED), (1, OrderPaymentStatus.PARTIALLY_REFUNDED)],
)
def test_what_was_given_back_is_not_asked_for_again(
    give_back: Callable[[Order, int], None], amount: int, status: OrderPaymentStatus
) -> None:
    order = an_order_that_is(OrderStatus.COMPLETED)
    give_back(order, amount)
    assert credits_of(order) == [(amount, "refunded-elsewhere")]
    assert balances(order) == (4_300 - amount, 4_300 - amount, 0, 0)
    assert order.state.payment_status is status
    assert order.state.holds == ()
    told = [(type(e.event).__name__, e.actor) for e in order.new_events[-2:]]
    by = STAFF if give_back is record_refund else PROVIDER
    name = "RefundRecorded" if give_back is record_refund else "PaymentRefunded"
    assert told == [(name, by), ("CreditGranted", by)]


@pytest.mark.parametrize("give_back", [record_refund, refund_elsewhere], ids=["staff", "provider"])
def test_what_was_owed_back_already_grants_no_credit(
    give_back: Callable[[Order, int], None],
) -> None:
    order = a_placed_order()
    take(order)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    give_back(order, 1_300)
    assert credits_of(order) == [(300, "refunded-elsewhere")]
    assert balances(order) == (3_000, 3_000, 0, 0)


def test_what_was_never_paid_is_still_asked_for() -> None:
    order = a_placed_order()
    take(order, 1_000)
    refund_elsewhere(order, 400)
    assert credits_of(order) == [(400, "refunded-elsewhere")]
    assert balances(order) == (3_900, 600, 3_300, 0)


def test_our_own_refund_grants_no_credit_whichever_report_of_it_is_first() -> None:
    order = a_placed_order()
    take(order)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    order.refund(reason="customer", by=STAFF, now=NOW)
    refund_elsewhere(order, 1_000)
    assert credits_of(order) == []
    settle_refund(order)
    assert credits_of(order) == []
    assert balances(order) == (3_300, 3_300, 0, 0)


@pytest.mark.parametrize("order_of_arrival", [*permutations(range(4))])
def test_reports_come_to_the_same_in_any_order(order_of_arrival: tuple[int, ...]) -> None:
    order = a_placed_order()
    authorize(order)
    reports = [
        a_report(order, ProviderStatus.CAPTURED, captured=4_300, refunded=refunded)
        for refunded in (0, 100, 100, 900)
    ]
    for place in order_of_arrival:
        order.record_payment_report(reports[place], "1", now=NOW)
    assert balances(order) == (3_400, 3_400, 0, 0)
    assert sum(amount for amount, _ in credits_of(order)) == 900


def a_refund_elsewhere_among_others(order: Order) -> Provider:
    provider = Provider(order, status=ProviderStatus.CAPTURED, captured=4_300)
    provider.refund("1", 1_000, ReportedRefundStatus.SUCCEEDED)
    provider.dispute("1", 400, DisputeStatus.OPEN)
    provider.report()
    provider.refund("elsewhere", 700, ReportedRefundStatus.SUCCEEDED)
    provider.report()
    provider.dispute("1", 400, DisputeStatus.WON)
    provider.report()
    provider.refund("1", 1_000, ReportedRefundStatus.FAILED)
    provider.report()
    return provider


def test_disputes_and_refunds_that_fail_leave_the_credit_the_same_in_any_order() -> None:
    order = a_completed_order()
    assert_one_state(order, a_refund_elsewhere_among_others(order).sent)


def test_a_refund_elsewhere_that_fails_is_owed_as_before() -> None:
    order = an_order_that_is(OrderStatus.COMPLETED)
    elsewhere = ReportedRefund(
        id="re_1", reference=None, amount=700, status=ReportedRefundStatus.SUCCEEDED
    )
    failed = replace(elsewhere, status=ReportedRefundStatus.FAILED)
    for refund, refunded in ((elsewhere, 700), (failed, 0)):
        report = a_report(order, ProviderStatus.CAPTURED, refunded=refunded, refunds=(refund,))
        order.record_payment_report(report, "1", now=NOW)
    assert credits_of(order) == []
    assert CreditRevoked(credit_id="1", amount=700) in [e.event for e in order.new_events]
    assert balances(order) == (4_300, 4_300, 0, 0)


def refund_by_us(order: Order, amount: int) -> None:
    order.refund(amount=amount, reason="customer", by=STAFF, now=NOW)
    refunded = order.state.ledger.payment("1").refunded + amount
    report = a_report(
        order, ProviderStatus.CAPTURED, payment_id="1", captured=4_300, refunded=refunded
    )
    order.record_operation_result(f"{order.id}:refund:1", report, now=NOW)


def pay_besides(order: Order) -> None:
    order.record_payment(A_TRANSFER, amount=1_000, by=STAFF, now=NOW)


def cancel_a_unit(order: Order) -> None:
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)


@pytest.mark.parametrize("owe_back", [cancel_a_unit, pay_besides])
@pytest.mark.parametrize("pay_back", [refund_by_us, record_refund])
def test_what_is_owed_back_later_is_paid_back_without_another_credit(
    pay_back: Callable[[Order, int], None], owe_back: Callable[[Order], None]
) -> None:
    order = a_placed_order()
    take(order)
    refund_elsewhere(order, 1_300)
    owe_back(order)
    due = order.state.totals.due
    assert order.state.totals.refund_due == 1_000
    pay_back(order, 1_000)
    assert credits_of(order) == [(1_300, "refunded-elsewhere")]
    assert balances(order) == (due, due, 0, 0)


@pytest.mark.parametrize(
    ("credit", "refunded", "cancelled", "left"),
    [(0, 1_300, 1, (3_300, 4_300, 0, 1_000)), (2_500, 3_800, 2, (0, 4_300, 0, 4_300))],
    ids=["", "of a credited order"],
)
def test_nothing_stays_credited_for_a_refund_elsewhere_that_failed_after_a_cancellation(
    credit: int, refunded: int, cancelled: int, left: tuple[int, int, int, int]
) -> None:
    order = a_placed_order()
    take(order)
    if credit:
        order.grant_credit(credit, "goodwill", by=STAFF, now=NOW)
    report_refund(order, refunded, ReportedRefundStatus.SUCCEEDED)
    assert credits_of(order)[-1] == (1_300, "refunded-elsewhere")
    order.cancel_items(items(_1=cancelled), "customer", by=CUSTOMER, now=NOW)
    report_refund(order, refunded, ReportedRefundStatus.FAILED)
    assert credits_of(order) == [(credit, "goodwill")][: bool(credit)]
    assert balances(order) == left


def report_refund(order: Order, amount: int, status: ReportedRefundStatus) -> None:
    """The payment service lists a refund that nobody asked for here."""
    listed = ReportedRefund(id="re_1", amount=amount, status=status)
    refunded = amount if status is ReportedRefundStatus.SUCCEEDED else 0
    report = a_report(order, ProviderStatus.CAPTURED, refunded=refunded, refunds=(listed,))
    order.record_payment_report(report, "1", now=NOW)


def test_who_paid_twice_and_got_one_back_still_pays_by_the_other() -> None:
    order = a_placed_order()
    authorize(order)
    record_payment(order)
    record_refund(order, 4_300)
    assert credits_of(order) == []
    assert (order.state.totals.due, order.state.open_holds) == (4_300, ())
    assert ready_to_ship(order.state) is True
    assert argument_bounds(order.state, Action.CAPTURE)["amount"] == 4_300


def test_what_is_paid_besides_does_not_change_what_was_given_back() -> None:
    order = a_placed_order()
    record_payment(order)
    record_refund(order, 400)
    order.record_payment(A_TRANSFER, amount=100, by=STAFF, now=NOW)
    assert credits_of(order) == [(400, "refunded-elsewhere")]
    assert balances(order) == (3_900, 4_000, 0, 100)


def test_a_charge_back_in_the_same_report_leaves_what_it_took_unpaid() -> None:
    order = a_placed_order()
    authorize(order)
    report = a_report(order, ProviderStatus.CAPTURED, captured=4_300, refunded=300)
    order.record_payment_report(report, "1", charged_back=True, now=NOW)
    assert credits_of(order) == [(300, "refunded-elsewhere")]
    assert balances(order) == (4_000, 0, 4_000, 0)


@pytest.mark.parametrize("give_back", [record_refund, refund_elsewhere], ids=["staff", "provider"])
def test_units_do_not_leave_unpaid_after_all_was_given_back(
    give_back: Callable[[Order, int], None],
) -> None:
    order = a_placed_order()
    take(order)
    deliver(order, items(_1=1))
    give_back(order, 4_300)
    assert [hold.reason for hold in order.state.open_holds] == ["refunded-elsewhere"]
    assert ready_to_ship(order.state) is False
    assert order.state.payment_status is OrderPaymentStatus.REFUNDED
    order.release("1", by=STAFF, now=NOW)
    assert ready_to_ship(order.state) is True


def test_an_ended_order_owes_nothing_and_gets_no_credit() -> None:
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    order.record_operation_failure(f"{order.id}:refund:1", "refused", now=NOW)
    refund_elsewhere(order, 4_300)
    assert credits_of(order) == []
    assert balances(order) == (0, 0, 0, 0)


# -- what will never be paid -------------------------------------------------------------------


def test_what_will_never_be_paid_is_written_off_and_the_order_completes() -> None:
    order = a_placed_order()
    take(order, 4_000)
    authorize(order)
    deliver(order)
    order.void("2", by=STAFF, now=NOW)
    order.record_operation_result(
        f"{order.id}:2:void:1", a_report(order, ProviderStatus.VOIDED), now=NOW
    )
    assert (order.status, order.state.totals.outstanding) == (OrderStatus.CONFIRMED, 300)
    assert argument_bounds(order.state, Action.WRITE_OFF) == {"amount": 300}
    with pytest.raises(CreditExceedsAvailable):
        order.write_off(amount=301, by=STAFF, now=NOW)
    order.write_off(amount=100, by=STAFF, now=NOW)
    order.write_off(by=STAFF, now=NOW)
    assert credits_of(order) == [(100, "write-off"), (200, "write-off")]
    assert order.status is OrderStatus.COMPLETED
    with pytest.raises(CreditExceedsAvailable):
        order.write_off(by=STAFF, now=NOW)


@pytest.mark.parametrize("reason", ["write-off", "refunded-elsewhere"])
def test_a_credit_of_another_kind_does_not_pass_for_one(reason: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        a_placed_order().grant_credit(1, reason, by=STAFF, now=NOW)
    assert refused.value.field == "reason"
