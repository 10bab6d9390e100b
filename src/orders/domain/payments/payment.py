"""One payment, and how the reports about it are merged into it.

Each report has the totals so far, and the payment keeps the highest of each. So a repeated or older
report changes nothing, and a newer one counts even if the order has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orders.domain.identifiers import PartId
from orders.domain.money import Money
from orders.domain.payments.reports import PaymentReport, ProviderStatus
from orders.domain.read_only import read_only


class PaymentStatus(StrEnum):
    """How far one payment has come.

    DECLINED: the payment service refused it. FAILED: staff dismissed the review, and nothing was
    captured. REVIEW: a report contradicts itself or what was requested.
    """

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    DECLINED = "declined"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    VOIDED = "voided"
    CAPTURED = "captured"
    REVIEW = "review"


IN_FLIGHT = frozenset({PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION, PaymentStatus.REVIEW})
"""Payments that may still bring money: they are undecided or under review."""
_UNDECIDED = IN_FLIGHT - {PaymentStatus.REVIEW}
_REFUSED = frozenset({PaymentStatus.DECLINED, PaymentStatus.FAILED})
_CAPTURABLE = frozenset({PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED})
# A report never moves the status to the left. REVIEW is outside: only `dismiss_payment` ends it.
_PROGRESS = (
    PaymentStatus.PENDING,
    PaymentStatus.REQUIRES_ACTION,
    PaymentStatus.DECLINED,
    PaymentStatus.FAILED,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.VOIDED,
    PaymentStatus.CAPTURED,
)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt to pay. Amounts are minor units of the order's currency."""

    id: PartId
    amount: int
    method: str | None
    """The token of the payment method until the outcome is known, then None. Never card data."""
    capture: bool
    """Whether the payment service captures at once, without a separate operation."""
    created_at: datetime
    status: PaymentStatus = PaymentStatus.PENDING
    provider_id: str | None = None
    captures: int = 0
    """How many captures were reserved. It numbers their keys."""
    voids: int = 0
    """How many voids were reserved. It numbers their keys: a refused key would be refused again."""
    captured: int = 0
    refunded: int = 0
    charged_back: int = 0
    released: bool = False
    """Whether what was not captured has been released to the payer."""
    decline_code: str | None = None

    @property
    def capturable_amount(self) -> int:
        """What is authorised and can still be captured."""
        if self.status not in _CAPTURABLE or self.released:
            return 0
        return max(0, self.amount - self.captured)

    @property
    def is_undecided(self) -> bool:
        """Whether the payment service or the payer still has to decide."""
        return self.status in _UNDECIDED

    @property
    def is_voidable(self) -> bool:
        """Whether a void would release money, or stop a payment that is not decided."""
        return self.capturable_amount > 0 or self.is_undecided

    @property
    def net_captured(self) -> int:
        """What was captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    def contradicts(self, report: PaymentReport, *, reference: str, currency: str) -> bool:
        """Whether the report cannot be about this payment: by its amounts, names or status."""
        return (
            report.contradicts_itself
            or report.reference != reference
            or report.amount != Money(self.amount, currency)
            or not 0 <= report.refunded <= report.captured <= self.amount
            or (self.provider_id is not None and report.provider_id != self.provider_id)
        )

    def after(self, report: PaymentReport, *, charged_back: bool = False) -> Payment:
        """This payment with the report merged in; the same object if nothing is new.

        `charged_back`: the payer's bank took back all that is captured and not refunded.
        """
        status = max(self.status, PaymentStatus(report.status), key=_PROGRESS.index)
        if report.captured:
            status = PaymentStatus.CAPTURED
        settled = status not in IN_FLIGHT
        lost = report.captured - report.refunded if charged_back else 0
        merged = replace(
            self,
            status=status,
            provider_id=self.provider_id or report.provider_id,
            method=None if settled else self.method,
            captured=max(self.captured, report.captured),
            refunded=max(self.refunded, report.refunded),
            charged_back=max(self.charged_back, lost),
            released=self.released or report.status is ProviderStatus.VOIDED,
            decline_code=(report.decline_code or self.decline_code) if status in _REFUSED else None,
        )
        return self if merged == self else merged
