"""One payment, and how the reports about it are merged into it.

Each report has the totals so far, and the payment keeps the highest of each; disputes and failed
refunds are merged by their ids. So a repeated or older report changes nothing, a newer one counts
even if the order has ended, and the order in which reports arrive makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orders.domain.identifiers import PartId
from orders.domain.money import Money
from orders.domain.payments.details import NO_DETAILS, PaymentDetails
from orders.domain.payments.disputes import Disputes
from orders.domain.payments.manual import ManualPayment
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
    details: PaymentDetails | None = None
    """What only some payment services report; None if nothing of it was reported."""
    refunded_elsewhere: int = 0
    """What staff recorded as refunded without the payment service. `refunded` lacks it."""
    manual: ManualPayment | None = None
    """How staff recorded a payment that the payment service knows nothing of."""

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
    def total_refunded(self) -> int:
        """What was refunded, by the payment service or without it."""
        return self.refunded + self.refunded_elsewhere

    @property
    def net_captured(self) -> int:
        """What was captured and neither refunded nor charged back."""
        return self.captured - self.total_refunded - self.charged_back

    def contradicts(self, report: PaymentReport, *, reference: str, currency: str) -> bool:
        """Whether the report cannot be about this payment: by its amounts, names or status."""
        return (
            report.contradicts_itself
            or report.reference != reference
            or report.amount != Money(self.amount, currency)
            or not 0 <= report.refunded <= report.captured <= self.amount
            or (self.provider_id is not None and report.provider_id != self.provider_id)
        )

    @property
    def disputes(self) -> Disputes:
        """The disputes about this payment."""
        return self.details.disputes if self.details else ()

    def after(self, report: PaymentReport, *, charged_back: bool = False) -> Payment:
        """This payment with the report merged in; the same object if nothing is new.

        `charged_back`: the payer's bank took back all that is captured and not refunded. It counts
        only while the payment service lists no dispute: the list says it exactly.
        """
        status = max(self.status, PaymentStatus(report.status), key=_PROGRESS.index)
        if report.captured:
            status = PaymentStatus.CAPTURED
        details = self._details_after(report, is_undecided=status in _UNDECIDED)
        lost = report.captured - report.refunded if charged_back else 0
        merged = replace(
            self,
            status=status,
            provider_id=self.provider_id or report.provider_id,
            method=self.method if status in IN_FLIGHT else None,
            captured=max(self.captured, report.captured),
            refunded=self._refunded_after(report, details),
            charged_back=(
                details.charged_back
                if details and details.disputes
                else max(self.charged_back, lost)
            ),
            released=self.released or report.status is ProviderStatus.VOIDED,
            decline_code=(report.decline_code or self.decline_code) if status in _REFUSED else None,
            details=details,
        )
        return self if merged == self else merged

    def _details_after(self, report: PaymentReport, *, is_undecided: bool) -> PaymentDetails | None:
        if self.details is None and not report.has_details:
            return None
        details = (self.details or NO_DETAILS).after(report, self.id, is_undecided=is_undecided)
        return details if details != NO_DETAILS else None

    def _refunded_after(self, report: PaymentReport, details: PaymentDetails | None) -> int:
        """What has been refunded and did not come back, whatever order reports arrive in.

        A refund that fails late makes the total smaller, so the highest total is not the newest.
        But the total together with all failed refunds never falls: what a failure takes from one,
        it adds to the other. So the highest of these sums is the newest; all failures that were
        reported are taken from it.
        """
        if self.details is None is details:
            return max(self.refunded, report.refunded)
        failed_before = self.details.failed_amount if self.details else 0
        ever = max(self.refunded + failed_before, report.refunded + report.failed_amount)
        return max(0, ever - details.failed_amount) if details else ever
