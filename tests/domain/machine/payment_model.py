"""A payment service as a model: it does each call once per key, and remembers all it ever said.

It is the truth that an order learns of late, twice, out of order or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.payments import OperationKind, PaymentOperation, PaymentReport, ProviderStatus

FATES = (
    ProviderStatus.AUTHORIZED,
    ProviderStatus.CAPTURED,
    ProviderStatus.DECLINED,
    ProviderStatus.PENDING,
    ProviderStatus.REQUIRES_ACTION,
)
WAITING = {ProviderStatus.PENDING, ProviderStatus.REQUIRES_ACTION}
UNDECIDED = WAITING | {ProviderStatus.DECLINED}
HOLDING = {ProviderStatus.AUTHORIZED, ProviderStatus.CAPTURED}


@dataclass
class Account:
    """One payment as it really is. Amounts are minor units."""

    payment_id: str
    amount: int
    report: PaymentReport
    charged_back: int = 0
    released: bool = False
    """Whether what was not captured is the payer's again."""

    @property
    def kept(self) -> int:
        return self.report.captured - self.report.refunded - self.charged_back

    @property
    def held(self) -> int:
        """What is authorised and can still be captured."""
        if self.released or self.report.status not in HOLDING:
            return 0
        return self.amount - self.report.captured


@dataclass(frozen=True)
class Answer:
    """What a call brought: a report, or a final no."""

    call: PaymentOperation
    report: PaymentReport | None
    refusal: str = ""

    def tell(self, order: Order) -> None:
        """Book it, as the service does with a call's outcome."""
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

    accounts: dict[str, Account] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    news: list[tuple[str, PaymentReport]] = field(default_factory=list)
    contradicted: set[str] = field(default_factory=set)

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
                self._tell(account, refunded=report.refunded + call.amount)
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

    def _tell(
        self,
        account: Account,
        *,
        status: ProviderStatus | None = None,
        captured: int | None = None,
        refunded: int | None = None,
    ) -> None:
        old = account.report
        account.report = replace(
            old,
            status=status or old.status,
            captured=old.captured if captured is None else captured,
            refunded=old.refunded if refunded is None else refunded,
            decline_code="do_not_honor" if status is ProviderStatus.DECLINED else None,
        )
        self.news.append((account.payment_id, account.report))
