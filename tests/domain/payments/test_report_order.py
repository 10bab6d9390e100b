"""Reports come late, twice and out of order: whatever the order, the books are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.domain.lifecycle import OrderStatus
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)
from orders.domain.state import OrderState
from tests.support.orders import CUSTOMER, NOW, STAFF, a_placed_order, deliver, take

ASKED = NextAction(type="redirect", url="https://bank.example/3ds?session=1")
PENDING, SUCCEEDED, FAILED = ReportedRefundStatus
OPEN, WON, LOST = DisputeStatus
MOST = 5


def a_pending_order() -> Order:
    """4,300 are to be paid, and the payment service has not decided."""
    order = a_placed_order()
    order.start_payment("tok_slow", by=CUSTOMER, now=NOW)
    return order


def a_completed_order() -> Order:
    """4,300 were paid, and refunds of 1,000 and 500 are on their way."""
    order = a_placed_order()
    take(order)
    deliver(order)
    for amount in (1_000, 500):
        order.grant_credit(amount, reason="goodwill", by=STAFF, now=NOW)
        order.refund(amount=amount, reason="goodwill", by=STAFF, now=NOW)
    return order


@dataclass
class Provider:
    """The payment service's own book of one payment, and every report that it ever sent."""

    order: Order
    lists_parts: bool = True
    status: ProviderStatus = ProviderStatus.PENDING
    captured: int = 0
    refunds: dict[str, ReportedRefund] = field(default_factory=dict)
    disputes: dict[str, ReportedDispute] = field(default_factory=dict)
    days: int = 0
    sent: list[PaymentReport] = field(default_factory=list)

    def refund(self, refund_id: str, amount: int, status: ReportedRefundStatus) -> None:
        key = f"{self.order.id}:refund:{refund_id}" if refund_id.isdecimal() else None
        new = ReportedRefund(id=f"re_{refund_id}", reference=key, amount=amount, status=status)
        old = self.refunds.get(refund_id, new)
        if old.status is not FAILED and (old.status, status) != (SUCCEEDED, PENDING):
            self.refunds[refund_id] = new

    def dispute(self, dispute_id: str, amount: int, status: DisputeStatus) -> None:
        new = ReportedDispute(id=f"dp_{dispute_id}", amount=amount, status=status)
        if self.disputes.get(dispute_id, new).status in {OPEN, status}:
            self.disputes[dispute_id] = new

    def report(self) -> PaymentReport:
        refunded = sum(each.amount for each in self.refunds.values() if each.status is SUCCEEDED)
        report = PaymentReport(
            provider_id="pay_1",
            reference=f"{self.order.id}:1",
            status=self.status,
            amount=Money(4_300, "EUR"),
            captured=self.captured,
            refunded=min(refunded, self.captured),
        )
        if self.lists_parts:
            waits = self.status is ProviderStatus.REQUIRES_ACTION
            report = replace(
                report,
                # Nobody promises in which order they are listed.
                refunds=tuple(self.refunds.values())[:: 1 - 2 * (len(self.sent) % 2)],
                disputes=tuple(self.disputes.values())[:: 1 - 2 * (len(self.sent) % 2)],
                next_action=ASKED if waits else None,
                authorized_until=NOW + timedelta(days=self.days) if self.days else None,
            )
        self.sent.append(report)
        return report


def all_books(state: OrderState) -> object:
    """All that reports say about money; not which events told it."""
    ledger = state.ledger
    return ledger.payments, ledger.refunds, ledger.disputes, state.totals, state.payment_status


def what_was_reported(state: OrderState) -> object:
    """The books without what an order does on its own as soon as it hears of something.

    It credits what was refunded elsewhere, as far as it would be asked for again: if that refund
    fails later, it is due again; if it is first heard of as failed, nothing was to be credited.
    """
    totals = state.totals
    money = (totals.captured, totals.refunded, totals.charged_back, totals.net)
    return state.ledger.payments, state.ledger.refunds[:2], money


def returned(state: OrderState) -> object:
    return state.totals.refunded, state.totals.charged_back


Books = Callable[[OrderState], object]


def books_after(
    order: Order, reports: Iterable[PaymentReport], *, books: Books = all_books
) -> object:
    again = restore(order.state)
    for report in reports:
        again.record_payment_report(report, "1", now=NOW)
    return books(again.state)


def assert_one_state(
    order: Order, reports: Sequence[PaymentReport], *, books: Books = all_books
) -> None:
    """Every order of the reports, each twice and in the reverse order as well."""
    expected = books_after(order, reports, books=books)
    for sequence in permutations(reports):
        for repeated in (sequence, (*sequence, *reversed(sequence))):
            assert books_after(order, repeated, books=books) == expected


def assert_the_newest_counts(order: Order, reports: Sequence[PaymentReport]) -> None:
    """The newest report is among them, and says how it really is."""
    *_, newest = reports
    lost = sum(each.amount for each in newest.disputes if each.status is not WON)
    assert books_after(order, reports, books=returned) == (newest.refunded, lost)


def a_refund_that_fails_late(order: Order) -> Provider:
    provider = Provider(order, status=ProviderStatus.CAPTURED, captured=4_300)
    for status in (PENDING, SUCCEEDED, FAILED):
        provider.refund("1", 1_000, status)
        provider.report()
    provider.refund("2", 500, SUCCEEDED)
    provider.report()
    provider.refund("elsewhere", 700, SUCCEEDED)
    provider.report()
    return provider


def two_disputes(order: Order) -> Provider:
    provider = Provider(order, status=ProviderStatus.CAPTURED, captured=4_300)
    provider.refund("1", 1_000, SUCCEEDED)
    for dispute_id, amount, status in (
        ("1", 400, OPEN),
        ("2", 2_000, OPEN),
        ("1", 400, WON),
        ("2", 2_000, LOST),
    ):
        provider.dispute(dispute_id, amount, status)
        provider.report()
    return provider


def a_refund_elsewhere_that_fails(order: Order) -> Provider:
    provider = Provider(order, status=ProviderStatus.CAPTURED, captured=4_300)
    for status in (SUCCEEDED, FAILED):
        provider.refund("elsewhere", 700, status)
        provider.report()
        provider.refund("1", 1_000, SUCCEEDED)
        provider.report()
    return provider


@pytest.mark.parametrize(
    ("history", "books"),
    [
        (a_refund_that_fails_late, all_books),
        (two_disputes, all_books),
        (a_refund_elsewhere_that_fails, what_was_reported),
    ],
)
def test_every_sequence_of_five_reports_gives_one_state(
    history: Callable[[Order], Provider], books: Books
) -> None:
    order = a_completed_order()
    reports = history(order).sent
    expected = books_after(order, reports, books=books)
    known = set(map(id, reports))
    for sequence in product(reports, repeat=MOST):
        if set(map(id, sequence)) == known:
            assert books_after(order, sequence, books=books) == expected
    assert_one_state(order, reports, books=books)
    assert_the_newest_counts(order, reports)


def test_what_all_reports_together_say_is_what_the_payment_service_has() -> None:
    order = a_completed_order()
    reports = a_refund_that_fails_late(order).sent
    for report in reversed(reports):
        order.record_payment_report(report, "1", now=NOW)
    assert [refund.status for refund in order.state.ledger.refunds] == ["failed", "succeeded"]
    assert order.state.totals.refunded == 500 + 700


AMOUNTS = st.sampled_from([1, 300, 1_000])
MOVES = st.one_of(
    st.tuples(
        st.just("refund"),
        st.sampled_from([("1", 1_000), ("2", 500), ("elsewhere", 300)]),
        st.sampled_from(ReportedRefundStatus),
    ),
    st.tuples(
        st.just("dispute"),
        st.sampled_from([("1", 400), ("2", 2_000)]),
        st.sampled_from(DisputeStatus),
    ),
)


@settings(max_examples=25)
@given(moves=st.lists(MOVES, min_size=4, max_size=10), lists_parts=st.booleans())
def test_any_order_of_reports_of_a_captured_payment_gives_one_state(
    moves: Sequence[tuple[str, tuple[str, int], ReportedRefundStatus | DisputeStatus]],
    lists_parts: bool,
) -> None:
    order = a_completed_order()
    provider = Provider(
        order, lists_parts=lists_parts, status=ProviderStatus.CAPTURED, captured=4_300
    )
    for kind, (part_id, amount), status in moves:
        getattr(provider, kind)(part_id, amount, status)
        provider.report()
    if not lists_parts:
        # A payment service that knows no refund that fails late never lowers its total.
        provider.sent.sort(key=lambda report: report.refunded)
    elsewhere = "elsewhere" in provider.refunds
    books = what_was_reported if elsewhere else all_books
    assert_one_state(order, provider.sent[-MOST:], books=books)
    assert_the_newest_counts(order, provider.sent[-MOST:])


WAYS = st.sampled_from(
    [
        (ProviderStatus.AUTHORIZED, ProviderStatus.VOIDED),
        (ProviderStatus.AUTHORIZED, ProviderStatus.CAPTURED),
        (ProviderStatus.CAPTURED,),
        (ProviderStatus.DECLINED,),
        (ProviderStatus.VOIDED,),
        (),
    ]
)


@settings(max_examples=40)
@given(way=WAYS, asks=st.booleans(), days=st.integers(0, 2), first=st.integers(0, 1))
def test_any_order_of_reports_of_a_payment_in_flight_gives_one_state(
    way: tuple[ProviderStatus, ...], asks: bool, days: int, first: int
) -> None:
    order = a_pending_order()
    provider = Provider(order)
    provider.report()
    if asks:
        provider.status = ProviderStatus.REQUIRES_ACTION
        provider.report()
    for status in way:
        provider.status, provider.days = status, provider.days + days
        provider.captured = 4_300 if status is ProviderStatus.CAPTURED else 0
        provider.report()
    assert_one_state(order, provider.sent[first:][:MOST])


def test_an_ended_order_has_the_same_books_whatever_comes_first() -> None:
    """What goes back on its own may differ; what the payment service said may not."""
    order = a_placed_order()
    take(order)
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert order.status is OrderStatus.CANCELLED
    provider = Provider(order, status=ProviderStatus.CAPTURED, captured=4_300)
    provider.refund("1", 4_300, SUCCEEDED)
    provider.report()
    for status in (OPEN, WON):
        provider.dispute("1", 1_000, status)
        provider.report()
    provider.refund("1", 4_300, FAILED)
    provider.report()
    # The refunds that follow are the order's own.
    assert_one_state(
        order, provider.sent, books=lambda state: (state.ledger.payments, state.ledger.refunds[0])
    )
