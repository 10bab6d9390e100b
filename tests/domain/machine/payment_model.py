"""A payment service as a model: it does each call once per key, and remembers all it ever said.

It is the truth that an order learns of late, twice, out of order or not at all. One service lists
refunds and disputes in its reports, another one knows neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    OperationKind,
    PaymentOperation,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)

FATES: Final = (
    ProviderStatus.AUTHORIZED,
    ProviderStatus.CAPTURED,
    ProviderStatus.DECLINED,
    ProviderStatus.PENDING,
    ProviderStatus.REQUIRES_ACTION,
)
WAITING: Final = {ProviderStatus.PENDING, ProviderStatus.REQUIRES_ACTION}
UNDECIDED: Final = WAITING | {ProviderStatus.DECLINED}
HOLDING: Final = {ProviderStatus.AUTHORIZED, ProviderStatus.CAPTURED}
PAGE: Final = NextAction(type="redirect", url="https://bank.example/3ds?payment=1")


@dataclass
class Account:
    """One payment as it really is. Amounts are minor units."""

    payment_id: str
    amount: int
    report: PaymentReport
    taken_by_bank: int = 0
    """What a service that lists no disputes calls charged back."""
    released: bool = False
    """Whether what was not captured is the payer's again."""

    @property
    def charged_back(self) -> int:
        """What the payer's bank has."""
        if not self.report.disputes:
            return self.taken_by_bank
        return sum(d.amount for d in self.report.disputes if d.status is not DisputeStatus.WON)

    @property
    def kept(self) -> int:
        """What can still be refunded: not what is on its way back already."""
        pending = sum(
            refund.amount
            for refund in self.report.refunds
            if refund.status is ReportedRefundStatus.PENDING
        )
        return self.report.captured - self.report.refunded - pending - self.charged_back

    @property
    def held(self) -> int:
        """What is authorised and can still be captured."""
        if self.released or self.report.status not in HOLDING:
            return 0
        return self.amount - self.report.captured


@dataclass(frozen=True)
class News:
    """What a webhook says of a payment."""

    payment_id: str
    report: PaymentReport
    charged_back: bool = False

    def tell(self, order: Order) -> None:
        """Record it."""
        order.record_payment_report(
            self.report,
            self.payment_id,
            charged_back=self.charged_back,
            now=order.state.updated_at + timedelta(milliseconds=1),
        )


@dataclass(frozen=True)
class Answer:
    """What a call brought: a report, or a final no."""

    call: PaymentOperation
    report: PaymentReport | None
    refusal: str = ""

    def tell(self, order: Order) -> None:
        """Record it, as the service does with a call's outcome."""
        now = order.state.updated_at
        if self.report is None:
            order.record_operation_failure(self.call.key, self.refusal, now=now)
        else:
            order.record_operation_result(self.call.key, self.report, now=now)


@dataclass
class PaymentModel:
    """All accounts, every answer by key, and every report that a webhook could bring.

    `contradicted` are the payments of which somebody said what is not in these books.
    """

    lists_parts: bool = True
    """Whether its reports list refunds and disputes."""
    accounts: dict[str, Account] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    contradicted: set[str] = field(default_factory=set)
    parts: int = 0

    def carry_out(
        self, order: Order, call: PaymentOperation, fate: ProviderStatus | None
    ) -> Answer:
        """Do the call, or repeat what was said to its key. No fate: refuse it for good."""
        if call.key not in self.answers:
            self.answers[call.key] = self._answer(order, call, fate)
        answer = self.answers[call.key]
        # Asked again, it says how the payment stands now.
        return replace(answer, report=answer.report and self.accounts[call.payment_id].report)

    def decide(self, account: Account, fate: ProviderStatus) -> None:
        """Make up its mind about a payment that waits, or change it about one it declined."""
        if account.report.status in UNDECIDED:
            captured = account.amount if fate is ProviderStatus.CAPTURED else 0
            self._tell(account, status=fate, captured=captured)

    def capture_unasked(self, account: Account, amount: int) -> None:
        """Take held money because somebody said so elsewhere."""
        if account.held:
            captured = account.report.captured + min(account.held, amount)
            self._tell(account, status=ProviderStatus.CAPTURED, captured=captured)

    def expire(self, account: Account) -> None:
        """Let an authorisation end that was not captured in time."""
        if account.held:
            account.released = True
            if not account.report.captured:
                self._tell(account, status=ProviderStatus.VOIDED)

    def refund_unasked(self, account: Account, amount: int) -> None:
        """Give money back because somebody said so elsewhere."""
        if (amount := min(amount, account.kept)) > 0:
            self._refund(account, amount, None, ReportedRefundStatus.SUCCEEDED)

    def settle_refund(self, account: Account, pick: int, *, succeeds: bool) -> None:
        """Decide a refund that is pending; or send one back that had succeeded."""
        refunds = account.report.refunds
        if not refunds:
            return
        refund = refunds[-1 - pick % len(refunds)]
        status = ReportedRefundStatus.SUCCEEDED if succeeds else ReportedRefundStatus.FAILED
        if refund.status is ReportedRefundStatus.FAILED or refund.status is status:
            return
        counted = account.report.refunded
        if succeeds:
            counted += refund.amount
        elif refund.status is ReportedRefundStatus.SUCCEEDED:
            counted -= refund.amount
        newer = replace(refund, status=status)
        others = tuple(newer if each is refund else each for each in refunds)
        self._tell(account, refunds=others, refunded=counted)

    def dispute(self, account: Account, amount: int) -> None:
        """Let the payer's bank take money, also such as was refunded already."""
        free = account.report.captured - sum(each.amount for each in account.report.disputes)
        if not self.lists_parts:
            if (lost := account.report.captured - account.report.refunded) > 0:
                account.taken_by_bank = max(account.taken_by_bank, lost)
                self.news.append(News(account.payment_id, account.report, charged_back=True))
        elif (amount := min(amount, free)) > 0:
            self.parts += 1
            opened = ReportedDispute(
                id=f"dp_{self.parts}", amount=amount, status=DisputeStatus.OPEN
            )
            self._tell(account, disputes=(*account.report.disputes, opened))

    def close_dispute(self, account: Account, pick: int, status: DisputeStatus) -> None:
        """Let the bank decide; a dispute that was won may still be lost."""
        disputes = account.report.disputes
        if not disputes:
            return
        dispute = disputes[-1 - pick % len(disputes)]
        if dispute.status is DisputeStatus.LOST:
            return
        newer = replace(dispute, status=status)
        others = tuple(newer if each is dispute else each for each in disputes)
        self._tell(account, disputes=others)

    def _answer(self, order: Order, call: PaymentOperation, fate: ProviderStatus | None) -> Answer:
        if call.kind is OperationKind.AUTHORIZE:
            return self._open(order, call, fate)
        account = self.accounts[call.payment_id]
        report = account.report
        match call.kind:
            case OperationKind.CAPTURE if fate and call.amount <= account.held:
                captured = report.captured + call.amount
                self._tell(account, status=ProviderStatus.CAPTURED, captured=captured)
            case OperationKind.VOID if fate and (report.status in WAITING or account.held):
                account.released = True
                voided = ProviderStatus.CAPTURED if report.captured else ProviderStatus.VOIDED
                self._tell(account, status=voided)
            case OperationKind.REFUND if fate and call.amount <= account.kept:
                waits = self.lists_parts and fate in WAITING
                status = ReportedRefundStatus.PENDING if waits else ReportedRefundStatus.SUCCEEDED
                self._refund(account, call.amount, call.key, status)
            case _:
                return Answer(call, None, "refused")
        return Answer(call, account.report)

    def _open(self, order: Order, call: PaymentOperation, fate: ProviderStatus | None) -> Answer:
        if fate is None:
            return Answer(call, None, "refused")
        report = PaymentReport(
            provider_id=f"pay_{call.payment_id}",
            reference=call.key,
            status=ProviderStatus.PENDING,
            amount=Money(call.amount, order.state.currency),
            captured=0,
            refunded=0,
        )
        account = Account(call.payment_id, call.amount, report)
        self.accounts[call.payment_id] = account
        self.decide(account, fate)
        if fate is ProviderStatus.DECLINED:
            return Answer(call, None, "insufficient_funds")
        return Answer(call, account.report)

    def _refund(
        self, account: Account, amount: int, reference: str | None, status: ReportedRefundStatus
    ) -> None:
        refunded, refunds = account.report.refunded, account.report.refunds
        if status is ReportedRefundStatus.SUCCEEDED:
            refunded += amount
        if self.lists_parts:
            self.parts += 1
            made = ReportedRefund(
                id=f"re_{self.parts}", amount=amount, status=status, reference=reference
            )
            refunds = (*refunds, made)
        self._tell(account, refunded=refunded, refunds=refunds)

    def _tell(
        self,
        account: Account,
        *,
        status: ProviderStatus | None = None,
        captured: int | None = None,
        refunded: int | None = None,
        refunds: tuple[ReportedRefund, ...] | None = None,
        disputes: tuple[ReportedDispute, ...] | None = None,
    ) -> None:
        old = account.report
        status = status or old.status
        account.report = replace(
            old,
            status=status,
            captured=old.captured if captured is None else captured,
            refunded=old.refunded if refunded is None else refunded,
            decline_code="do_not_honor" if status is ProviderStatus.DECLINED else None,
            refunds=old.refunds if refunds is None else refunds,
            disputes=old.disputes if disputes is None else disputes,
            next_action=PAGE if status is ProviderStatus.REQUIRES_ACTION else None,
        )
        self.news.append(News(account.payment_id, account.report))
