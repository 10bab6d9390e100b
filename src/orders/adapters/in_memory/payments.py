"""`PaymentGateway` in memory. It moves money once per reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.domain.money import Money
from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)

_REVERSIBLE = frozenset({ProviderStatus.AUTHORIZED, ProviderStatus.CAPTURED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a payment goes.

    The first `lost_calls` calls change nothing and get no response. The next `lost_responses`
    calls are carried out, but get no response.
    """

    decline_code: str | None = None
    refund_decline_code: str | None = None
    undecided: ProviderStatus | None = None
    """The status of the payment until `decide`."""
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
        "tok_pending": Scenario(undecided=ProviderStatus.PENDING),
        "tok_requires_action": Scenario(undecided=ProviderStatus.REQUIRES_ACTION),
        "tok_refund_fails": Scenario(refund_decline_code="refund_failed"),
        **dict.fromkeys(
            (
                "tok_refund_fails_late",
                "tok_disputed",
                "tok_disputed_won",
                "tok_authorization_expires",
                "tok_refunded_elsewhere",
            ),
            Scenario(),
        ),
    }
)
"""The scenario of each payment method of the sandbox, without its delays.

What happens later in the sandbox happens here by `fail_refunds`, `dispute`, `lapse` and
`refund_elsewhere`. Each returns the report that a webhook would carry.
"""
_ASKED: Final = NextAction(type="redirect", url="https://bank.example/authenticate")


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
        return self._record_move(account, reference, None, status=status, next_action=None)

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Refund some or all of the captured amount."""
        account, earlier = self._find_for_move(provider_id, reference, amount)
        if earlier is not None:
            return earlier
        if account.scenario.refund_decline_code is not None:
            raise PaymentDeclined(account.scenario.refund_decline_code)
        report = account.report
        if not 0 < amount.minor <= report.captured - report.refunded:
            raise PaymentRefused("more than was captured")
        refund = ReportedRefund(
            id=f"re_{len(report.refunds) + 1}",
            reference=reference,
            amount=amount.minor,
            status=ReportedRefundStatus.SUCCEEDED,
        )
        return self._record_move(
            account,
            reference,
            amount,
            refunded=report.refunded + amount.minor,
            refunds=(*report.refunds, refund),
        )

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

    def fail_refunds(self, reference: str) -> PaymentReport:
        """Let all refunds of a payment fail after they succeeded."""
        refunds = self._accounts[reference].report.refunds
        failed = tuple(replace(each, status=ReportedRefundStatus.FAILED) for each in refunds)
        return self._change(reference, refunded=0, refunds=failed)

    def dispute(
        self, reference: str, amount: int, status: DisputeStatus = DisputeStatus.OPEN
    ) -> PaymentReport:
        """Let the payer dispute `amount` of a payment, or their bank decide it."""
        dispute = ReportedDispute(id="dp_1", amount=amount, status=status)
        return self._change(reference, disputes=(dispute,))

    def lapse(self, reference: str) -> PaymentReport:
        """Let an authorisation end that was not captured."""
        return self._change(reference, status=ProviderStatus.VOIDED)

    def refund_elsewhere(self, reference: str, amount: int) -> PaymentReport:
        """Let somebody refund `amount` of a payment without this service."""
        report = self._accounts[reference].report
        refund = ReportedRefund(
            id=f"re_{len(report.refunds) + 1}",
            amount=amount,
            status=ReportedRefundStatus.SUCCEEDED,
        )
        return self._change(
            reference, refunded=report.refunded + amount, refunds=(*report.refunds, refund)
        )

    def _change(self, reference: str, **changes: object) -> PaymentReport:
        account = self._accounts[reference]
        account.report = replace(account.report, **changes)  # type: ignore[arg-type]
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
        if scenario.undecided is not None:
            asks = scenario.undecided is ProviderStatus.REQUIRES_ACTION
            action = _ASKED if asks else None
            report = replace(report, status=scenario.undecided, next_action=action)
        elif scenario.decline_code is None:
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
    report = replace(report, status=ProviderStatus.AUTHORIZED, next_action=None)
    if capture:
        return replace(report, status=ProviderStatus.CAPTURED, captured=report.amount.minor)
    return report
