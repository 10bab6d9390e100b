"""Booking: the facts that the payment service tells, as answers or by itself.

Facts are never refused: what happened is booked, on an ended order too. Booking one twice, late
or out of order changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.identifiers import PROVIDER
from orders.domain.order._core import Changing
from orders.domain.parts import next_id, part
from orders.domain.payments import (
    IN_FLIGHT,
    PENDING_POLL_SECONDS,
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentReport,
    PaymentStatus,
    Refund,
    RefundStatus,
    authorization_key,
    payment_of_reference,
)
from orders.domain.state import Hold

REVIEW_HOLD = "payment-mismatch"
"""The hold on an order whose payment contradicts what was asked."""


class Booking(Changing):
    """What the payment service tells an order."""

    __slots__ = ()

    def record_payment_report(
        self,
        report: PaymentReport,
        payment_id: str,
        *,
        charged_back: bool = False,
        now: datetime,
    ) -> None:
        """Book what the payment service says of a payment. Twice is once.

        `charged_back`: the payer's bank took back all that the report counts as kept.
        """
        ledger = self._state.ledger
        payment = ledger.payment(payment_id)
        if payment.status is PaymentStatus.REVIEW:
            return
        key = authorization_key(self.id, payment.id)
        if payment.contradicts(report, reference=key, currency=self._state.currency):
            self._review(payment, now=now)
            return
        after = payment.after(report, charged_back=charged_back)
        if after.status not in IN_FLIGHT:
            ledger = ledger.without_operation(key)
        if not after.is_voidable:
            ledger = ledger.without_voids(payment.id)
        for step in _steps(payment, after):
            self._change(
                PROVIDER, now, *_new_events(payment, step), ledger=ledger.with_payment(step)
            )
            payment, ledger = step, self._state.ledger

    def record_operation_result(self, key: str, report: PaymentReport, *, now: datetime) -> None:
        """Book the answer to a call. Settling a call twice is settling it once."""
        call = self._state.ledger.operation(key)
        if call is None:
            # A webhook was faster. What the answer adds to it still counts.
            payment_id = payment_of_reference(report.reference)
            if any(payment.id == payment_id for payment in self._state.ledger.payments):
                self.record_payment_report(report, payment_id, now=now)
            return
        self.record_payment_report(report, call.payment_id, now=now)
        ledger = self._state.ledger
        payment = ledger.payment(call.payment_id)
        if payment.status is PaymentStatus.REVIEW or ledger.operation(key) is None:
            return
        match call.kind:
            case OperationKind.AUTHORIZE:
                # The payment service has it, and has not decided yet.
                later = call.after_unknown_outcome(now, PENDING_POLL_SECONDS)
                self._change(PROVIDER, now, ledger=ledger.with_operation(later))
            case OperationKind.CAPTURE:
                self._change(PROVIDER, now, ledger=ledger.without_operation(key))
            case OperationKind.VOID if payment.is_undecided:
                # It was taken. What becomes of the payment, the look-ups of its start will tell.
                self._change(PROVIDER, now, ledger=ledger.without_operation(key))
            case OperationKind.VOID:
                new_events = () if payment.released else _voided(payment)
                released = ledger.with_payment(replace(payment, released=True))
                self._change(PROVIDER, now, *new_events, ledger=released.without_operation(key))
            case OperationKind.REFUND:
                self._refunded(call, RefundStatus.SUCCEEDED, now=now)

    def record_operation_failure(self, key: str, failure_code: str, *, now: datetime) -> None:
        """Book that the payment service refused a call for good. Twice is once."""
        ledger = self._state.ledger
        call = ledger.operation(key)
        if call is None:
            return
        payment = ledger.payment(call.payment_id)
        match call.kind:
            case OperationKind.AUTHORIZE:
                declined = replace(
                    payment, status=PaymentStatus.DECLINED, decline_code=failure_code, method=None
                )
                new_events = events.PaymentDeclined(
                    payment_id=payment.id, decline_code=failure_code
                )
                ledger = (
                    ledger.with_payment(declined).without_operation(key).without_voids(payment.id)
                )
                self._change(PROVIDER, now, new_events, ledger=ledger)
            case OperationKind.CAPTURE | OperationKind.VOID:
                refused = events.PaymentOperationFailed(
                    payment_id=payment.id, operation=call.kind, failure_code=failure_code
                )
                self._change(PROVIDER, now, refused, ledger=ledger.without_operation(key))
            case OperationKind.REFUND:
                self._refunded(call, RefundStatus.FAILED, failure_code, now=now)

    def record_unknown_outcome(self, key: str, *, now: datetime) -> None:
        """Note that a call brought no answer that can be trusted: look again later."""
        call = self._state.ledger.operation(key)
        if call is not None:
            ledger = self._state.ledger.with_operation(call.after_unknown_outcome(now))
            self._change(PROVIDER, now, ledger=ledger)

    def record_not_attempted(self, key: str, *, now: datetime) -> None:
        """Note that a call was not made: try again soon, without growing patience."""
        call = self._state.ledger.operation(key)
        if call is not None:
            ledger = self._state.ledger.with_operation(call.after_no_attempt(now))
            self._change(PROVIDER, now, ledger=ledger)

    def _refunded(
        self,
        call: PaymentOperation,
        status: RefundStatus,
        failure_code: str | None = None,
        *,
        now: datetime,
    ) -> None:
        ledger = self._state.ledger.without_operation(call.key)
        refund = part(ledger.refunds, "refund", call.refund_id or "")
        ledger = ledger.with_refund(replace(refund, status=status, failure_code=failure_code))
        if status is RefundStatus.SUCCEEDED:
            # Even if the answer did not count it: what is believed unrefunded is refunded twice.
            payment = ledger.payment(call.payment_id)
            refunded = max(payment.refunded, ledger.refunded_by_us(payment.id))
            ledger = ledger.with_payment(replace(payment, refunded=refunded))
        self._change(PROVIDER, now, _refund_event(refund, failure_code), ledger=ledger)

    def _review(self, payment: Payment, *, now: datetime) -> None:
        """Touch no money until a person has looked: the accounts of it contradict each other."""
        ledger = self._state.ledger.with_payment(replace(payment, status=PaymentStatus.REVIEW))
        for call in ledger.operations:
            if call.payment_id == payment.id:
                ledger = ledger.without_operation(call.key)
        hold = Hold(id=next_id(self._state.holds), reason=REVIEW_HOLD, placed_at=now)
        self._change(
            PROVIDER,
            now,
            events.PaymentUnderReview(payment_id=payment.id),
            events.OrderHeld(hold_id=hold.id, reason=hold.reason),
            ledger=ledger,
            holds=(*self._state.holds, hold),
        )


def _steps(before: Payment, after: Payment) -> list[Payment]:
    """What was refunded was captured first: the order may confirm itself in between.

    What was charged back was not: money that is gone already must not be sent back as well.
    """
    refunded_later = replace(after, refunded=before.refunded)
    if after.charged_back > before.charged_back or refunded_later == before:
        return [after] if after != before else []
    return [refunded_later, after] if refunded_later != after else [after]


def _new_events(before: Payment, after: Payment) -> list[events.OrderEvent]:
    """What a report has told that was not known."""
    new_events: list[events.OrderEvent] = []
    if after.status is PaymentStatus.DECLINED is not before.status:
        declined = after.decline_code or "declined"
        new_events.append(events.PaymentDeclined(payment_id=after.id, decline_code=declined))
    if after.status is PaymentStatus.AUTHORIZED is not before.status:
        new_events.append(events.PaymentAuthorized(payment_id=after.id, amount=after.amount))
    if after.captured > before.captured:
        taken = after.captured - before.captured
        new_events.append(events.PaymentCaptured(payment_id=after.id, amount=taken))
    if after.refunded > before.refunded:
        returned = after.refunded - before.refunded
        new_events.append(events.PaymentRefunded(payment_id=after.id, amount=returned))
    if after.released and not before.released:
        new_events.extend(_voided(after))
    if after.charged_back > before.charged_back:
        lost = after.charged_back - before.charged_back
        new_events.append(events.PaymentChargedBack(payment_id=after.id, amount=lost))
    return new_events


def _voided(payment: Payment) -> tuple[events.OrderEvent, ...]:
    return (events.PaymentVoided(payment_id=payment.id),)


def _refund_event(refund: Refund, failure_code: str | None) -> events.OrderEvent:
    if failure_code is None:
        return events.RefundSucceeded(
            refund_id=refund.id, payment_id=refund.payment_id, amount=refund.amount
        )
    return events.RefundFailed(
        refund_id=refund.id,
        payment_id=refund.payment_id,
        amount=refund.amount,
        failure_code=failure_code,
    )
