"""The ledger: all payments and refunds of an order, and the calls under way for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orders.domain.errors import PartNotFound
from orders.domain.payments import (
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentStatus,
    Refund,
    RefundStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All payments and refunds of an order and the calls under way."""

    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    operations: tuple[PaymentOperation, ...] = ()

    def payment(self, payment_id: str) -> Payment:
        """One payment.

        Raises:
            PartNotFound: If there is none with this id.
        """
        for payment in self.payments:
            if payment.id == payment_id:
                return payment
        raise PartNotFound("payment", payment_id)

    def operation(self, key: str) -> PaymentOperation | None:
        """The call under way with this key; None once it is settled."""
        return next((call for call in self.operations if call.key == key), None)

    def operations_since(self, before: Ledger) -> tuple[str, ...]:
        """The keys of calls that were reserved after `before`."""
        known = {call.key for call in before.operations}
        return tuple(call.key for call in self.operations if call.key not in known)

    def pending_captures(self, payment_id: str | None = None) -> int:
        """What captures under way will take, of one payment or of all."""
        return sum(
            call.amount
            for call in self.operations
            if call.kind is OperationKind.CAPTURE and payment_id in (None, call.payment_id)
        )

    def pending_refunds(self, payment_id: str | None = None) -> int:
        """What refunds whose outcome is not known give back, of one payment or of all."""
        return self._refunds(RefundStatus.REQUESTED, payment_id)

    def refunded_by_us(self, payment_id: str) -> int:
        """What the refunds of a payment that succeeded add up to."""
        return self._refunds(RefundStatus.SUCCEEDED, payment_id)

    @property
    def pending_voids(self) -> int:
        """What is authorised and will not be, once the voids under way are answered."""
        leaving = {call.payment_id for call in self.operations if call.kind is OperationKind.VOID}
        return sum(payment.capturable_amount for payment in self.payments if payment.id in leaving)

    def has_pending_void(self, payment_id: str) -> bool:
        """Whether a void of the payment is under way."""
        return any(
            c.kind is OperationKind.VOID and c.payment_id == payment_id for c in self.operations
        )

    def can_void(self, payment: Payment) -> bool:
        """Whether there is something to void, and no void under way."""
        return payment.is_voidable and not self.has_pending_void(payment.id)

    @property
    def payments_to_void(self) -> Sequence[Payment]:
        """What to void once nobody owes anything: payments that the payment service has named."""
        return [p for p in self.payments if p.provider_id is not None and self.can_void(p)]

    def refundable(self, payment: Payment) -> int:
        """What can still be given back of a payment: nothing while a person must look at it."""
        if payment.status is PaymentStatus.REVIEW:
            return 0
        return max(0, payment.net_captured - self.pending_refunds(payment.id))

    @property
    def total_refundable(self) -> int:
        """What can still be given back."""
        return sum(self.refundable(payment) for payment in self.payments)

    @property
    def by_refund_preference(self) -> Sequence[Payment]:
        """All payments; those whose last refund was refused come last, the latest refusal behind.

        A bank that has refused once would refuse again while another payment could be refunded.
        """
        refused = {
            refund.payment_id: place if refund.status is RefundStatus.FAILED else -1
            for place, refund in enumerate(self.refunds)
        }
        return sorted(self.payments, key=lambda payment: refused.get(payment.id, -1))

    def with_payment(self, payment: Payment) -> Ledger:
        """The ledger with one payment replaced, or added."""
        others = tuple(p for p in self.payments if p.id != payment.id)
        if len(others) == len(self.payments):
            return replace(self, payments=(*self.payments, payment))
        payments = tuple(payment if p.id == payment.id else p for p in self.payments)
        return replace(self, payments=payments)

    def with_refund(self, refund: Refund) -> Ledger:
        """The ledger with one refund replaced, or added."""
        if any(r.id == refund.id for r in self.refunds):
            refunds = tuple(refund if r.id == refund.id else r for r in self.refunds)
            return replace(self, refunds=refunds)
        return replace(self, refunds=(*self.refunds, refund))

    def with_operation(self, call: PaymentOperation) -> Ledger:
        """The ledger with one call replaced, or added."""
        return replace(self, operations=(*self.without_operation(call.key).operations, call))

    def without_operation(self, key: str) -> Ledger:
        """The ledger once a call is settled."""
        return replace(self, operations=tuple(call for call in self.operations if call.key != key))

    def without_voids(self, payment_id: str) -> Ledger:
        """The ledger once there is nothing left of a payment to void."""
        return replace(
            self,
            operations=tuple(
                call
                for call in self.operations
                if call.kind is not OperationKind.VOID or call.payment_id != payment_id
            ),
        )

    def _refunds(self, status: RefundStatus, payment_id: str | None) -> int:
        return sum(
            refund.amount
            for refund in self.refunds
            if refund.status is status and payment_id in (None, refund.payment_id)
        )
