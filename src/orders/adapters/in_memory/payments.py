"""`PaymentGateway` in memory. It moves money once per reference."""

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
    """How a payment goes.

    The first `lost_calls` calls change nothing and get no response. The next `lost_responses`
    calls are carried out, but get no response.
    """

    decline_code: str | None = None
    refund_decline_code: str | None = None
    pending: bool = False
    lost_calls: int = 0
    lost_responses: int = 0


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "tok_ok": Scenario(),
        "tok_slow": Scenario(),
        "tok_declined": Scenario(decline_code="card_declined"),
        "tok_insufficient_funds": Scenario(decline_code="insufficient_funds"),
        "tok_timeout_booked": Scenario(lost_responses=1),
        "tok_timeout_unbooked": Scenario(lost_calls=1),
        "tok_flaky": Scenario(lost_calls=2),
        "tok_pending": Scenario(pending=True),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
    }
)
"""The scenario of each payment method of the sandbox, without its delays."""


@dataclass(slots=True)
class _Account:
    """A payment, its scenario, and the result of each reference that moved its money."""

    report: PaymentReport
    scenario: Scenario
    capture: bool
    released: int = 0
    results: dict[str, tuple[object, PaymentReport]] = field(default_factory=dict)

    @property
    def capturable(self) -> int:
        if self.report.status not in _REVERSIBLE:
            return 0
        return self.report.amount.minor - self.report.captured - self.released


class InMemoryPayments:
    """A payment service with the payment methods of the sandbox.

    `calls` counts the calls by reference, lost ones included. While `unavailable` is true, every
    call changes nothing and raises `PaymentUnavailable`.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self.calls: dict[str, int] = {}
        self._accounts: dict[str, _Account] = {}

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Authorise an amount, and capture it at once if `capture` is true."""
        call = self._count_call(reference)
        scenario = SCENARIOS.get(method)
        if scenario is None or amount.minor < 1:
            raise PaymentRefused("no such payment method, or nothing to pay")
        if call <= scenario.lost_calls:
            raise PaymentUnavailable("the request was lost")
        account = self._accounts.get(reference)
        if account is None:
            account = self._accounts[reference] = self._new_account(
                reference, amount, scenario, capture
            )
        elif (account.report.amount, account.scenario, account.capture) != (
            amount,
            scenario,
            capture,
        ):
            raise PaymentRefused("the reference was used for another payment")
        if call <= scenario.lost_calls + scenario.lost_responses:
            raise PaymentUnavailable("the response was lost")
        if account.report.decline_code is not None:
            raise PaymentDeclined(account.report.decline_code)
        return account.report

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Capture some or all of the authorised amount."""
        account, earlier = self._find_for_move(provider_id, reference, amount)
        if earlier is not None:
            return earlier
        if not 0 < amount.minor <= account.capturable:
            raise PaymentRefused("more than is authorised")
        captured = account.report.captured + amount.minor
        return self._record_move(
            account, reference, amount, captured=captured, status=ProviderStatus.CAPTURED
        )

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Release the part of the authorised amount that is not captured."""
        account, earlier = self._find_for_move(provider_id, reference, None)
        if earlier is not None:
            return earlier
        report = account.report
        if report.status is ProviderStatus.DECLINED:
            raise PaymentRefused("the payment was declined")
        status = ProviderStatus.CAPTURED if report.captured else ProviderStatus.VOIDED
        account.released += account.capturable
        return self._record_move(account, reference, None, status=status)

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Refund some or all of the captured amount."""
        account, earlier = self._find_for_move(provider_id, reference, amount)
        if earlier is not None:
            return earlier
        if account.scenario.refund_decline_code is not None:
            raise PaymentDeclined(account.scenario.refund_decline_code)
        refunded = account.report.refunded + amount.minor
        if not 0 < amount.minor <= account.report.captured - account.report.refunded:
            raise PaymentRefused("more than was captured")
        return self._record_move(account, reference, amount, refunded=refunded)

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment that `authorize` made with this reference; None if there is none."""
        if self.unavailable:
            raise PaymentUnavailable("the payment service is switched off")
        account = self._accounts.get(reference)
        return None if account is None else account.report

    def decide(self, reference: str) -> PaymentReport:
        """Let a pending payment succeed. Returns the report that a webhook would carry."""
        account = self._accounts[reference]
        account.report = _approved(account.report, capture=account.capture)
        return account.report

    def _count_call(self, reference: str) -> int:
        if self.unavailable:
            raise PaymentUnavailable("the payment service is switched off")
        self.calls[reference] = self.calls.get(reference, 0) + 1
        return self.calls[reference]

    def _new_account(
        self, reference: str, amount: Money, scenario: Scenario, capture: bool
    ) -> _Account:
        report = PaymentReport(
            provider_id=f"pay_{len(self._accounts) + 1}",
            reference=reference,
            status=ProviderStatus.DECLINED if scenario.decline_code else ProviderStatus.PENDING,
            amount=amount,
            captured=0,
            refunded=0,
            decline_code=scenario.decline_code,
        )
        if not scenario.pending and scenario.decline_code is None:
            report = _approved(report, capture=capture)
        return _Account(report, scenario, capture)

    def _find_for_move(
        self, provider_id: str, reference: str, amount: Money | None
    ) -> tuple[_Account, PaymentReport | None]:
        """The payment, and the result if this reference has moved its money before."""
        self._count_call(reference)
        for account in self._accounts.values():
            if account.report.provider_id == provider_id:
                break
        else:
            raise PaymentRefused("there is no such payment")
        if amount is not None and amount.currency != account.report.amount.currency:
            raise PaymentRefused("another currency than the payment's")
        before = account.results.get(reference)
        if before is not None and before[0] != amount:
            raise PaymentRefused("the reference was used for another amount")
        return account, before and before[1]

    def _record_move(
        self, account: _Account, reference: str, amount: Money | None, **changes: object
    ) -> PaymentReport:
        account.report = replace(account.report, **changes)  # type: ignore[arg-type]
        account.results[reference] = (amount, account.report)
        return account.report


def _approved(report: PaymentReport, *, capture: bool) -> PaymentReport:
    if capture:
        return replace(report, status=ProviderStatus.CAPTURED, captured=report.amount.minor)
    return replace(report, status=ProviderStatus.AUTHORIZED)
