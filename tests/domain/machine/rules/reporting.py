"""What the payment service does without being asked, and how an order hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.money import Money
from orders.domain.payments import (
    DisputeStatus,
    PaymentStatus,
    ProviderStatus,
    ReportedDispute,
)
from tests.domain.machine import invariants
from tests.domain.machine.driving import PICK, Driven, newest
from tests.domain.machine.payment_model import FATES, Account, News

FATE: Final = st.sampled_from([*FATES, ProviderStatus.CAPTURED, ProviderStatus.AUTHORIZED])
AMOUNT: Final = st.integers(1, 60) | st.just(10_000)
CONTRADICTIONS: Final[Sequence[dict[str, Any]]] = [
    {"amount": Money(999, "EUR")},
    {"captured": 999},
    {"status": ProviderStatus.CAPTURED, "captured": 0, "refunded": 0},
    {"disputes": (ReportedDispute(id="dp_0", amount=9_999, status=DisputeStatus.OPEN),)},
    *(
        {"status": status, "captured": 1, "refunded": 0}
        for status in ProviderStatus
        if status not in {ProviderStatus.CAPTURED, ProviderStatus.AUTHORIZED}
    ),
]


class Reporting(Driven):
    """Facts about payments: in any order, early, late, twice, or contradicting themselves."""

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK, fate=FATE)
    def decide(self, pick: int, fate: ProviderStatus) -> None:
        """The payment service makes up its mind."""
        self.payments.decide(self.account(pick), fate)

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK, amount=st.integers(1, 60))
    def capture_unasked(self, pick: int, amount: int) -> None:
        self.payments.capture_unasked(self.account(pick), amount)

    @precondition(lambda self: self.payments.accounts)
    @rule(pick=PICK, heard=st.booleans())
    def authorization_ends(self, pick: int, heard: bool) -> None:
        self.payments.expire(self.account(pick))
        self.hear(heard)

    @precondition(lambda self: self.is_captured)
    @rule(pick=PICK, amount=AMOUNT, heard=st.booleans())
    def refund_unasked(self, pick: int, amount: int, heard: bool) -> None:
        """Somebody else gives money back: the customer is not asked for it again."""
        account = self.account(pick)
        if heard:
            self.fact_at_any_time(News(account.payment_id, account.report).tell)
        before, known = self.asked_for, len(self.payments.news)
        self.payments.refund_unasked(account, amount)
        self.hear(heard)
        if heard and len(self.payments.news) > known and not account.taken_by_bank:
            self.require_not_asked_again(before)

    @precondition(lambda self: self.is_captured)
    @rule(pick=PICK, which=PICK, succeeds=st.booleans(), heard=st.booleans())
    def settle_refund(self, pick: int, which: int, succeeds: bool, heard: bool) -> None:
        """A refund is done at last, or the bank sends it back."""
        self.payments.settle_refund(self.account(pick), which, succeeds=succeeds)
        self.hear(heard)

    @precondition(lambda self: self.is_captured)
    @rule(pick=PICK, amount=AMOUNT, heard=st.booleans())
    def dispute(self, pick: int, amount: int, heard: bool) -> None:
        self.payments.dispute(self.account(pick), amount)
        self.hear(heard)

    @precondition(lambda self: self.is_captured)
    @rule(
        pick=PICK,
        which=PICK,
        status=st.sampled_from([DisputeStatus.WON, DisputeStatus.LOST]),
        heard=st.booleans(),
    )
    def close_dispute(self, pick: int, which: int, status: DisputeStatus, heard: bool) -> None:
        account = self.account(pick)
        if not account.report.disputes:
            self.payments.dispute(account, 10 * (which + 1))
            self.hear(heard)
        self.payments.close_dispute(account, which, status)
        self.hear(heard)

    @precondition(lambda self: self.payments.news)
    @rule(pick=st.integers(0, 20))
    def webhook(self, pick: int) -> None:
        """Any report there ever was arrives."""
        self.fact_at_any_time(newest(self.payments.news, pick).tell)

    @precondition(lambda self: self.payments.news and self.steps > 12)
    @rule(pick=PICK, wrong=st.sampled_from(CONTRADICTIONS))
    def contradict(self, pick: int, wrong: dict[str, Any]) -> None:
        news = newest(self.payments.news, pick)
        self.payments.contradicted.add(news.payment_id)
        self.fact_at_any_time(replace(news, report=replace(news.report, **wrong)).tell)
        assert self.state.ledger.payment(news.payment_id).status is PaymentStatus.REVIEW

    def require_not_asked_again(self, before: int) -> None:
        """Nothing is to be paid again, as far as credits may reach.

        While a refund of ours is under way, what the payment service counts may be that one. An
        ended order shows what it lost.
        """
        totals = self.state.totals
        if not totals.pending_refunds and self.state.status not in invariants.ENDED:
            is_known = self.asked_for <= before or not totals.creditable
            assert is_known, "refunded, and asked for again"

    @property
    def asked_for(self) -> int:
        """What the customer has to pay besides what is authorised."""
        return max(0, self.state.totals.outstanding - self.state.totals.authorized)

    def hear(self, at_once: bool) -> None:
        """Of what has just happened, at once; or whenever a webhook comes."""
        if at_once and self.payments.news:
            self.webhook(0)

    def account(self, pick: int) -> Account:
        """One of the payment service's accounts."""
        return newest(list(self.payments.accounts.values()), pick)

    @property
    def is_captured(self) -> bool:
        """Whether the payment service has ever taken money."""
        return any(account.report.captured for account in self.payments.accounts.values())
