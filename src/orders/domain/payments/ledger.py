"""The ledger: all payments and refunds of an order, and its pending payment operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orders.domain.errors import PartNotFound
from orders.domain.identifiers import OrderId
from orders.domain.payments.disputes import Dispute, DisputeStatus
from orders.domain.payments.keys import refund_key
from orders.domain.payments.operation import OperationKind, PaymentOperation
from orders.domain.payments.payment import Payment, PaymentStatus
from orders.domain.payments.refund import Refund, RefundStatus
from orders.domain.read_only import read_only


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All payments and refunds of an order, and the operations whose outcome is not known.

    Amounts are minor units of the order's currency.
    """

    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    operations: tuple[PaymentOperation, ...] = ()

    def payment(self, payment_id: str) -> Payment:
        """The payment with this id.

        Raises:
            PartNotFound: If the order has no such payment.
        """
        for payment in self.payments:
            if payment.id == payment_id:
                return payment
        raise PartNotFound("payment", payment_id)

    def operation(self, key: str) -> PaymentOperation | None:
        """The pending operation with this key; None if its outcome is recorded."""
        return next((each for each in self.operations if each.key == key), None)

    def operations_since(self, before: Ledger) -> tuple[str, ...]:
        """The keys of the operations that were reserved after `before`."""
        known = {each.key for each in before.operations}
        return tuple(each.key for each in self.operations if each.key not in known)

    def pending_captures(self, payment_id: str | None = None) -> int:
        """The sum of pending captures, of one payment or of all."""
        return sum(
            each.amount
            for each in self.operations
            if each.kind is OperationKind.CAPTURE and payment_id in (None, each.payment_id)
        )

    def pending_refunds(self, payment_id: str | None = None) -> int:
        """The sum of refunds whose outcome is not known, of one payment or of all."""
        return self._refunds(RefundStatus.REQUESTED, payment_id)

    def refund_of_reference(self, order_id: OrderId, reference: str | None) -> Refund | None:
        """Our refund that the payment service knows by this reference; None if we made none."""
        found = (each for each in self.refunds if refund_key(order_id, each.id) == reference)
        return next(found, None)

    @property
    def disputes(self) -> Sequence[Dispute]:
        """The disputes about all payments, payment by payment."""
        return [dispute for payment in self.payments for dispute in payment.disputes]

    @property
    def dispute_status(self) -> DisputeStatus | None:
        """Open if a dispute is open, else lost if one is lost, else won; None without disputes."""
        known = {dispute.status for dispute in self.disputes}
        if not known:
            return None
        order = (DisputeStatus.OPEN, DisputeStatus.LOST, DisputeStatus.WON)
        return next(status for status in order if status in known)

    def refunded_by_us(self, payment_id: str) -> int:
        """The sum of our refunds of a payment that succeeded."""
        return self._refunds(RefundStatus.SUCCEEDED, payment_id)

    @property
    def asked_back(self) -> int:
        """The sum of our refunds that did not fail."""
        return self.pending_refunds() + self._refunds(RefundStatus.SUCCEEDED, None)

    @property
    def refunded_elsewhere(self) -> int:
        """What was refunded without a refund of ours: staff recorded it, or the payment service
        reported it.
        """
        return sum(
            payment.refunded_elsewhere
            + max(
                0,
                payment.refunded
                - self.refunded_by_us(payment.id)
                - self.pending_refunds(payment.id),
            )
            for payment in self.payments
            if payment.total_refunded
        )

    @property
    def amount_being_voided(self) -> int:
        """Minor units that pending voids will release."""
        leaving = {each.payment_id for each in self.operations if each.kind is OperationKind.VOID}
        if not leaving:
            return 0
        return sum(payment.capturable_amount for payment in self.payments if payment.id in leaving)

    def has_pending_void(self, payment_id: str) -> bool:
        """Whether a void of the payment is pending."""
        return any(
            each.kind is OperationKind.VOID and each.payment_id == payment_id
            for each in self.operations
        )

    def can_void(self, payment: Payment) -> bool:
        """Whether the payment can be voided, and no void of it is pending."""
        return payment.is_voidable and not self.has_pending_void(payment.id)

    @property
    def payments_to_void(self) -> Sequence[Payment]:
        """The payments that can be voided, have no pending void, and have a `provider_id`.

        The payment service voids a payment by that id.
        """
        return [p for p in self.payments if p.provider_id is not None and self.can_void(p)]

    @property
    def capturable_ids(self) -> tuple[str, ...]:
        """The payments of which something can be captured."""
        return tuple(
            payment.id
            for payment in self.payments
            if payment.capturable_amount > self.pending_captures(payment.id)
            and not self.has_pending_void(payment.id)
        )

    @property
    def voidable_ids(self) -> tuple[str, ...]:
        """The payments that can be voided: no capture of them is pending."""
        return tuple(
            payment.id
            for payment in self.payments
            if self.can_void(payment) and not self.pending_captures(payment.id)
        )

    @property
    def refundable_ids(self) -> tuple[str, ...]:
        """The payments of which the payment service can refund something."""
        return tuple(payment.id for payment in self.payments if self.refundable(payment))

    @property
    def held_ids(self) -> tuple[str, ...]:
        """The payments of which something is held and not on its way back."""
        return tuple(payment.id for payment in self.payments if self.held(payment))

    @property
    def doubtful_ids(self) -> tuple[str, ...]:
        """The payments that a person must review."""
        return tuple(p.id for p in self.payments if p.status is PaymentStatus.REVIEW)

    def refundable(self, payment: Payment) -> int:
        """What the payment service can still refund of a payment: nothing of a manual one."""
        return 0 if payment.manual is not None else self.held(payment)

    def held(self, payment: Payment) -> int:
        """What is held of a payment and not on its way back; 0 while a person must review it."""
        if payment.status is PaymentStatus.REVIEW:
            return 0
        return max(0, payment.net_captured - self.pending_refunds(payment.id))

    @property
    def total_refundable(self) -> int:
        """What the payment service can still refund of all payments."""
        return sum(self.refundable(payment) for payment in self.payments)

    @property
    def total_held(self) -> int:
        """What is held of all payments and not on its way back."""
        return sum(self.held(payment) for payment in self.payments)

    @property
    def by_refund_preference(self) -> Sequence[Payment]:
        """All payments; those whose last refund was refused come last, latest refusal at the end.

        A bank that has refused once would refuse again while another payment could be refunded.
        """
        refused = {
            refund.payment_id: place if refund.status is RefundStatus.FAILED else -1
            for place, refund in enumerate(self.refunds)
        }
        return sorted(self.payments, key=lambda payment: refused.get(payment.id, -1))

    def with_payment(self, payment: Payment) -> Ledger:
        """The ledger with one payment replaced or added."""
        others = tuple(p for p in self.payments if p.id != payment.id)
        if len(others) == len(self.payments):
            return replace(self, payments=(*self.payments, payment))
        payments = tuple(payment if p.id == payment.id else p for p in self.payments)
        return replace(self, payments=payments)

    def with_refund(self, refund: Refund) -> Ledger:
        """The ledger with one refund replaced or added."""
        if any(r.id == refund.id for r in self.refunds):
            refunds = tuple(refund if r.id == refund.id else r for r in self.refunds)
            return replace(self, refunds=refunds)
        return replace(self, refunds=(*self.refunds, refund))

    def with_operation(self, operation: PaymentOperation) -> Ledger:
        """The ledger with one operation replaced or added; it is the last then."""
        others = self.without_operation(operation.key).operations
        return replace(self, operations=(*others, operation))

    def without_operation(self, key: str) -> Ledger:
        """The ledger without an operation, once its outcome is recorded."""
        return replace(self, operations=tuple(each for each in self.operations if each.key != key))

    def without_voids(self, payment_id: str) -> Ledger:
        """The ledger without the voids of a payment, once nothing of it is left to void."""
        return replace(
            self,
            operations=tuple(
                each
                for each in self.operations
                if each.kind is not OperationKind.VOID or each.payment_id != payment_id
            ),
        )

    def _refunds(self, status: RefundStatus, payment_id: str | None) -> int:
        return sum(
            refund.amount
            for refund in self.refunds
            if refund.status is status
            and payment_id in (None, refund.payment_id)
            and not refund.recorded
        )
