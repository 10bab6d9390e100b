"""Booking: the facts that the payment service tells, as answers or by itself.

Facts are never refused: what happened is booked, on an ended order too. Booking one twice, late
or out of order changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events as happened
from orders.domain.identifiers import PROVIDER
from orders.domain.order._core import Changing
from orders.domain.parts import next_id, part
from orders.domain.payments import (
    DECIDING_SECONDS,
    IN_FLIGHT,
    CallKind,
    Payment,
    PaymentCall,
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

    def book(
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
            ledger = ledger.without_call(key)
        if not after.is_voidable:
            ledger = ledger.without_voids(payment.id)
        for step in _steps(payment, after):
            self._change(PROVIDER, now, *_news(payment, step), ledger=ledger.with_payment(step))
            payment, ledger = step, self._state.ledger

    def settle(self, key: str, report: PaymentReport, *, now: datetime) -> None:
        """Book the answer to a call. Settling a call twice is settling it once."""
        call = self._state.ledger.call(key)
        if call is None:
            # A webhook was faster. What the answer adds to it still counts.
            payment_id = payment_of_reference(report.reference)
            if any(payment.id == payment_id for payment in self._state.ledger.payments):
                self.book(report, payment_id, now=now)
            return
        self.book(report, call.payment_id, now=now)
        ledger = self._state.ledger
        payment = ledger.payment(call.payment_id)
        if payment.status is PaymentStatus.REVIEW or ledger.call(key) is None:
            return
        match call.kind:
            case CallKind.AUTHORIZE:
                # The payment service has it, and has not decided yet.
                later = call.postponed(now, DECIDING_SECONDS)
                self._change(PROVIDER, now, ledger=ledger.with_call(later))
            case CallKind.CAPTURE:
                self._change(PROVIDER, now, ledger=ledger.without_call(key))
            case CallKind.VOID if payment.is_undecided:
                # It was taken. What becomes of the payment, the look-ups of its start will tell.
                self._change(PROVIDER, now, ledger=ledger.without_call(key))
            case CallKind.VOID:
                news = () if payment.released else _voided(payment)
                released = ledger.with_payment(replace(payment, released=True))
                self._change(PROVIDER, now, *news, ledger=released.without_call(key))
            case CallKind.REFUND:
                self._refunded(call, RefundStatus.SUCCEEDED, now=now)

    def fail(self, key: str, failure_code: str, *, now: datetime) -> None:
        """Book that the payment service refused a call for good. Twice is once."""
        ledger = self._state.ledger
        call = ledger.call(key)
        if call is None:
            return
        payment = ledger.payment(call.payment_id)
        match call.kind:
            case CallKind.AUTHORIZE:
                declined = replace(
                    payment, status=PaymentStatus.DECLINED, decline_code=failure_code, method=None
                )
                news = happened.PaymentDeclined(payment_id=payment.id, decline_code=failure_code)
                ledger = ledger.with_payment(declined).without_call(key).without_voids(payment.id)
                self._change(PROVIDER, now, news, ledger=ledger)
            case CallKind.CAPTURE | CallKind.VOID:
                refused = happened.PaymentOperationFailed(
                    payment_id=payment.id, operation=call.kind, failure_code=failure_code
                )
                self._change(PROVIDER, now, refused, ledger=ledger.without_call(key))
            case CallKind.REFUND:
                self._refunded(call, RefundStatus.FAILED, failure_code, now=now)

    def postpone(self, key: str, *, now: datetime) -> None:
        """Note that a call brought no answer that can be trusted: look again later."""
        call = self._state.ledger.call(key)
        if call is not None:
            ledger = self._state.ledger.with_call(call.postponed(now))
            self._change(PROVIDER, now, ledger=ledger)

    def put_off(self, key: str, *, now: datetime) -> None:
        """Note that a call was not made: try again soon, without growing patience."""
        call = self._state.ledger.call(key)
        if call is not None:
            ledger = self._state.ledger.with_call(call.put_off(now))
            self._change(PROVIDER, now, ledger=ledger)

    def _refunded(
        self,
        call: PaymentCall,
        status: RefundStatus,
        failure_code: str | None = None,
        *,
        now: datetime,
    ) -> None:
        ledger = self._state.ledger.without_call(call.key)
        refund = part(ledger.refunds, "refund", call.refund_id or "")
        ledger = ledger.with_refund(replace(refund, status=status, failure_code=failure_code))
        if status is RefundStatus.SUCCEEDED:
            # Even if the answer did not count it: what is believed unrefunded is refunded twice.
            payment = ledger.payment(call.payment_id)
            refunded = max(payment.refunded, ledger.given_back(payment.id))
            ledger = ledger.with_payment(replace(payment, refunded=refunded))
        self._change(PROVIDER, now, _refund_news(refund, failure_code), ledger=ledger)

    def _review(self, payment: Payment, *, now: datetime) -> None:
        """Touch no money until a person has looked: the accounts of it contradict each other."""
        ledger = self._state.ledger.with_payment(replace(payment, status=PaymentStatus.REVIEW))
        for call in ledger.calls:
            if call.payment_id == payment.id:
                ledger = ledger.without_call(call.key)
        hold = Hold(id=next_id(self._state.holds), reason=REVIEW_HOLD, placed_at=now)
        self._change(
            PROVIDER,
            now,
            happened.PaymentUnderReview(payment_id=payment.id),
            happened.OrderHeld(hold_id=hold.id, reason=hold.reason),
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


def _news(before: Payment, after: Payment) -> list[happened.OrderEvent]:
    """What a report has told that was not known."""
    news: list[happened.OrderEvent] = []
    if after.status is PaymentStatus.DECLINED is not before.status:
        declined = after.decline_code or "declined"
        news.append(happened.PaymentDeclined(payment_id=after.id, decline_code=declined))
    if after.status is PaymentStatus.AUTHORIZED is not before.status:
        news.append(happened.PaymentAuthorized(payment_id=after.id, amount=after.amount))
    if after.captured > before.captured:
        taken = after.captured - before.captured
        news.append(happened.PaymentCaptured(payment_id=after.id, amount=taken))
    if after.refunded > before.refunded:
        returned = after.refunded - before.refunded
        news.append(happened.PaymentRefunded(payment_id=after.id, amount=returned))
    if after.released and not before.released:
        news.extend(_voided(after))
    if after.charged_back > before.charged_back:
        lost = after.charged_back - before.charged_back
        news.append(happened.PaymentChargedBack(payment_id=after.id, amount=lost))
    return news


def _voided(payment: Payment) -> tuple[happened.OrderEvent, ...]:
    return (happened.PaymentVoided(payment_id=payment.id),)


def _refund_news(refund: Refund, failure_code: str | None) -> happened.OrderEvent:
    if failure_code is None:
        return happened.RefundSucceeded(
            refund_id=refund.id, payment_id=refund.payment_id, amount=refund.amount
        )
    return happened.RefundFailed(
        refund_id=refund.id,
        payment_id=refund.payment_id,
        amount=refund.amount,
        failure_code=failure_code,
    )
