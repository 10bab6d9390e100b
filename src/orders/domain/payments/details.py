"""What only some payment services report of a payment, merged from all their reports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from orders.domain.identifiers import PartId
from orders.domain.payments.disputes import Dispute, Disputes, merged_disputes
from orders.domain.payments.reports import NextAction, PaymentReport, ReportedRefundStatus
from orders.domain.read_only import read_only


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRefund:
    """A refund that failed, ours or another's. `id` is the payment service's."""

    id: str
    amount: int


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDetails:
    """Disputes, failed refunds, how long an authorisation lasts and what the payer has to do."""

    disputes: Disputes = ()
    failed_refunds: tuple[FailedRefund, ...] = ()
    authorized_until: datetime | None = None
    next_action: NextAction | None = None
    """Until the payment is settled. If the address changes, the one that was reported last."""

    @property
    def failed_amount(self) -> int:
        """What all failed refunds add up to."""
        return sum(refund.amount for refund in self.failed_refunds)

    @property
    def charged_back(self) -> int:
        """What open and lost disputes add up to."""
        return sum(dispute.charged_back for dispute in self.disputes)

    def after(
        self, report: PaymentReport, payment_id: PartId, *, is_undecided: bool
    ) -> PaymentDetails:
        """These details with those of a report."""
        until = (self.authorized_until, report.authorized_until)
        return PaymentDetails(
            disputes=merged_disputes(self.disputes, _disputes(report, payment_id)),
            failed_refunds=_merged_failures(self.failed_refunds, _failures(report)),
            authorized_until=max((time for time in until if time is not None), default=None),
            next_action=(report.next_action or self.next_action) if is_undecided else None,
        )

    def settled(self) -> PaymentDetails | None:
        """These details once the payer has nothing left to do; None if nothing is left of them."""
        settled = replace(self, next_action=None)
        return settled if settled != NO_DETAILS else None


NO_DETAILS = PaymentDetails()


def _disputes(report: PaymentReport, payment_id: PartId) -> Disputes:
    return tuple(
        Dispute(id=each.id, payment_id=payment_id, amount=each.amount, status=each.status)
        for each in report.disputes
    )


def _failures(report: PaymentReport) -> tuple[FailedRefund, ...]:
    return tuple(
        FailedRefund(id=refund.id, amount=refund.amount)
        for refund in report.refunds
        if refund.status is ReportedRefundStatus.FAILED
    )


def _merged_failures(
    one: tuple[FailedRefund, ...], other: tuple[FailedRefund, ...]
) -> tuple[FailedRefund, ...]:
    merged: dict[str, int] = {}
    for refund in (*one, *other):
        merged[refund.id] = max(refund.amount, merged.get(refund.id, 0))
    return tuple(FailedRefund(id=each, amount=merged[each]) for each in sorted(merged))
