"""`PaymentGateway` in memory: a ledger that moves money once per reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus

_REVERSIBLE = frozenset({ProviderStatus.AUTHORIZED, ProviderStatus.CAPTURED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a payment goes. The first `lost_calls` book nothing, and have no answer."""

    decline_code: str | None = None
    refund_decline_code: str | None = None
    pending: bool = False
    lost_calls: int = 0
    lost_answers: int = 0


FATES: Mapping[str, Scenario] = MappingProxyType(
    {
        "tok_ok": Scenario(),
        "tok_slow": Scenario(),
        "tok_declined": Scenario(decline_code="card_declined"),
        "tok_insufficient_funds": Scenario(decline_code="insufficient_funds"),
        "tok_timeout_booked": Scenario(lost_answers=1),
        "tok_timeout_unbooked": Scenario(lost_calls=1),
        "tok_flaky": Scenario(lost_calls=2),
        "tok_pending": Scenario(pending=True),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
    }
)
"""What each method of the payment sandbox does, without its waiting."""


@dataclass(slots=True)
class _Account:
    """A payment, how it goes, and what it answered to each reference that moved it."""

    report: PaymentReport
    fate: Scenario
    capture: bool
    released: int = 0
    answers: dict[str, tuple[object, PaymentReport]] = field(default_factory=dict)

    @property
    def open(self) -> int:
        if self.report.status not in _REVERSIBLE:
            return 0
        return self.report.amount.minor - self.report.captured - self.released


class InMemoryPayments:
    """A payment service whose methods act out the fates of the sandbox's.

    `calls` counts the calls by reference, lost ones too. While `unavailable` is set, nothing
    is booked and nothing answered.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self.calls: dict[str, int] = {}
        self._accounts: dict[str, _Account] = {}

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Ask for an amount to be held, or taken at once with `capture`."""
        call = self._called(reference)
        fate = FATES.get(method)
        if fate is None or amount.minor < 1:
            raise PaymentRefused("no such payment method, or nothing to pay")
        if call <= fate.lost_calls:
            raise PaymentUnavailable("the call was lost")
        account = self._accounts.get(reference)
        if account is None:
            account = self._accounts[reference] = self._opened(reference, amount, fate, capture)
        elif (account.report.amount, account.fate, account.capture) != (amount, fate, capture):
            raise PaymentRefused("the reference was used for another payment")
        if call <= fate.lost_calls + fate.lost_answers:
            raise PaymentUnavailable("the answer was lost")
        if account.report.decline_code is not None:
            raise PaymentDeclined(account.report.decline_code)
        return account.report

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Take a part of what is held."""
        account, answer = self._moving(provider_id, reference, amount)
        if answer is not None:
            return answer
        if not 0 < amount.minor <= account.open:
            raise PaymentRefused("more than is authorised")
        captured = account.report.captured + amount.minor
        return self._moved(
            account, reference, amount, captured=captured, status=ProviderStatus.CAPTURED
        )

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Give back what is held and not taken."""
        account, answer = self._moving(provider_id, reference, None)
        if answer is not None:
            return answer
        report = account.report
        if report.status is ProviderStatus.DECLINED:
            raise PaymentRefused("the payment was declined")
        status = ProviderStatus.CAPTURED if report.captured else ProviderStatus.VOIDED
        account.released += account.open
        return self._moved(account, reference, None, status=status)

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Give back a part of what was taken."""
        account, answer = self._moving(provider_id, reference, amount)
        if answer is not None:
            return answer
        if account.fate.refund_decline_code is not None:
            raise PaymentDeclined(account.fate.refund_decline_code)
        refunded = account.report.refunded + amount.minor
        if not 0 < amount.minor <= account.report.captured - account.report.refunded:
            raise PaymentRefused("more than was captured")
        return self._moved(account, reference, amount, refunded=refunded)

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment that `authorize` started with this reference; None if there is none."""
        if self.unavailable:
            raise PaymentUnavailable("the payment service is switched off")
        account = self._accounts.get(reference)
        return None if account is None else account.report

    def decide(self, reference: str) -> PaymentReport:
        """Let a pending payment succeed, and return what a webhook would say of it."""
        account = self._accounts[reference]
        account.report = _granted(account.report, capture=account.capture)
        return account.report

    def _called(self, reference: str) -> int:
        if self.unavailable:
            raise PaymentUnavailable("the payment service is switched off")
        self.calls[reference] = self.calls.get(reference, 0) + 1
        return self.calls[reference]

    def _opened(self, reference: str, amount: Money, fate: Scenario, capture: bool) -> _Account:
        report = PaymentReport(
            provider_id=f"pay_{len(self._accounts) + 1}",
            reference=reference,
            status=ProviderStatus.DECLINED if fate.decline_code else ProviderStatus.PENDING,
            amount=amount,
            captured=0,
            refunded=0,
            decline_code=fate.decline_code,
        )
        if not fate.pending and fate.decline_code is None:
            report = _granted(report, capture=capture)
        return _Account(report, fate, capture)

    def _moving(
        self, provider_id: str, reference: str, amount: Money | None
    ) -> tuple[_Account, PaymentReport | None]:
        """The payment to move, and the answer if this reference has moved it before."""
        self._called(reference)
        for account in self._accounts.values():
            if account.report.provider_id == provider_id:
                break
        else:
            raise PaymentRefused("there is no such payment")
        if amount is not None and amount.currency != account.report.amount.currency:
            raise PaymentRefused("another currency than the payment's")
        before = account.answers.get(reference)
        if before is not None and before[0] != amount:
            raise PaymentRefused("the reference was used for another amount")
        return account, before and before[1]

    def _moved(
        self, account: _Account, reference: str, amount: Money | None, **changes: object
    ) -> PaymentReport:
        account.report = replace(account.report, **changes)  # type: ignore[arg-type]
        account.answers[reference] = (amount, account.report)
        return account.report


def _granted(report: PaymentReport, *, capture: bool) -> PaymentReport:
    if capture:
        return replace(report, status=ProviderStatus.CAPTURED, captured=report.amount.minor)
    return replace(report, status=ProviderStatus.AUTHORIZED)
