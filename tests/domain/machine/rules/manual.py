"""Money that does not go through the payment service: finance writes it into its journal."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.payments import ManualMethod, ManualPayment, Payment, PaymentStatus
from tests.domain.machine import invariants
from tests.domain.machine.driving import MONEY, PICK, id_of
from tests.domain.machine.rules.reporting import Reporting
from tests.support.orders import STAFF


class ByHand(Reporting):
    """What finance records as having happened."""

    @precondition(lambda self: self.steps > 3)
    @rule(amount=MONEY, method=st.sampled_from(ManualMethod))
    def record_payment(self, amount: int | None, method: ManualMethod) -> None:
        received = ManualPayment(method=method, received_at=self.now, reference="Order 4711")
        written = self.state.totals.outstanding if amount is None else amount
        self.journal.received += written
        done = self.command(
            lambda order: order.record_payment(received, amount=amount, by=STAFF, now=self.now)
        )
        if not done:
            self.journal.received -= written

    @precondition(lambda self: self.state.totals.captured)
    @rule(amount=MONEY, pick=st.none() | PICK)
    def record_refund(self, amount: int | None, pick: int | None) -> None:
        payments = self.state.ledger.payments
        named = None if pick is None else id_of(payments, pick)
        held = sum(self.held(payment) for payment in payments if named in {None, payment.id})
        before = self.asked_for
        written = min(held, self.state.totals.refund_due) if amount is None else amount
        self.journal.paid_out += written
        done = self.command(
            lambda order: order.record_refund(
                "BANK-7", amount=amount, payment_id=named, reason="asked", by=STAFF, now=self.now
            )
        )
        if done:
            self.require_not_asked_again(before)
        else:
            self.journal.paid_out -= written

    def held(self, payment: Payment) -> int:
        """What the shop has of a payment, and is not giving back already."""
        if payment.status is PaymentStatus.REVIEW:
            return 0
        gone = payment.refunded + payment.refunded_elsewhere + payment.charged_back
        return max(0, payment.captured - gone - invariants.pending(self.state, payment))

    @rule(amount=MONEY)
    def write_off(self, amount: int | None) -> None:
        self.command(lambda order: order.write_off(amount=amount, by=STAFF, now=self.now))
