"""Paying: the commands that reserve calls to the payment service, and the facts it answers.

Commands may be refused. Facts never are: what the payment service says happened is booked, on
an ended order too, and money nobody owes any more goes back by itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events as happened
from orders.domain.actions import Action
from orders.domain.aggregate import Changing
from orders.domain.errors import (
    AmountExceedsAuthorized,
    AmountExceedsDue,
    AmountExceedsRefundable,
    IllegalStep,
    PaymentInFlight,
)
from orders.domain.guards import capturable, payable
from orders.domain.identifiers import PROVIDER, SYSTEM, Actor
from orders.domain.lifecycle import ENDED_UNPAID, OrderStatus
from orders.domain.parts import amount_within, next_id, part
from orders.domain.payments import (
    CALL_LEASE,
    IN_FLIGHT,
    CallKind,
    Payment,
    PaymentCall,
    PaymentReport,
    PaymentStatus,
    Refund,
    RefundStatus,
    authorization_key,
    capture_key,
    refund_key,
    void_key,
)
from orders.domain.state import Hold, OrderState
from orders.domain.values import code, method_token

REVIEW_HOLD = "payment-mismatch"
"""The hold on an order whose payment contradicts what was asked."""


class Paying(Changing):
    """What payers, finance and the payment service tell an order."""

    __slots__ = ()

    def start_payment(
        self,
        method: str,
        *,
        amount: int | None = None,
        capture: bool = False,
        by: Actor,
        now: datetime,
    ) -> PaymentCall:
        """Reserve a payment: what is still needed, or a part of it.

        Returns:
            The call to make. Its key is for this attempt alone, and never changes.
        """
        self._require(Action.PAY, now)
        wanted = amount_within(amount, payable(self._state), AmountExceedsDue)
        payment = Payment(
            id=next_id(self._state.ledger.payments),
            amount=wanted,
            method=method_token(method, "method"),
            capture=capture,
            created_at=now,
        )
        call = PaymentCall(
            key=authorization_key(self.id, payment.id),
            kind=CallKind.AUTHORIZE,
            payment_id=payment.id,
            amount=wanted,
            due_at=now + CALL_LEASE,
        )
        started = happened.PaymentStarted(payment_id=payment.id, amount=wanted)
        ledger = self._state.ledger.with_payment(payment).with_call(call)
        self._change(by, now, started, ledger=ledger)
        return call

    def capture(
        self, payment_id: str, *, amount: int | None = None, by: Actor, now: datetime
    ) -> PaymentCall:
        """Reserve taking authorised money: what is outstanding, or a part of it."""
        self._require(Action.CAPTURE, now)
        ledger = self._state.ledger
        payment = self._open_payment(payment_id)
        left = payment.open - ledger.capturing(payment_id)
        needed = capturable(self._state)
        wanted = amount_within(
            amount, min(left, needed) if amount is None else needed, AmountExceedsDue
        )
        if wanted > left:
            raise AmountExceedsAuthorized(wanted=wanted, available=left)
        payment = replace(payment, captures=payment.captures + 1)
        call = PaymentCall(
            key=capture_key(self.id, payment.id, payment.captures),
            kind=CallKind.CAPTURE,
            payment_id=payment.id,
            amount=wanted,
            due_at=now + CALL_LEASE,
        )
        self._change(by, now, ledger=ledger.with_payment(payment).with_call(call))
        return call

    def void(self, payment_id: str, *, by: Actor, now: datetime) -> None:
        """Reserve giving an authorisation back."""
        self._require(Action.VOID, now)
        payment = self._open_payment(payment_id)
        if self._state.ledger.capturing(payment_id):
            raise PaymentInFlight
        self._void(payment, by=by, now=now)

    def refund(self, *, amount: int | None = None, reason: str, by: Actor, now: datetime) -> None:
        """Reserve giving back what is owed, or a part of it, over as many payments as it takes."""
        self._require(Action.REFUND, now)
        code(reason, "reason")
        totals = self._state.totals
        most = min(totals.refund_due, totals.refundable)
        wanted = amount_within(amount, most, AmountExceedsRefundable)
        self._refund(wanted, reason, by=by, now=now)

    # -- facts ----------------------------------------------------------------------------

    def book(self, report: PaymentReport, payment_id: str, *, now: datetime) -> None:
        """Book what the payment service says of a payment. Twice is once."""
        ledger = self._state.ledger
        payment = ledger.payment(payment_id)
        if payment.status is PaymentStatus.REVIEW:
            return
        key = authorization_key(self.id, payment.id)
        if payment.contradicts(report, reference=key, currency=self._state.currency):
            self._review(payment, now=now)
            return
        after = payment.after(report)
        if after.status not in IN_FLIGHT:
            ledger = ledger.without_call(key)
        if after is not payment:
            self._change(PROVIDER, now, *_news(payment, after), ledger=ledger.with_payment(after))

    def book_charge_back(self, payment_id: str, *, now: datetime) -> None:
        """Book that the payer's bank took back what we kept of a payment. Twice is once."""
        payment = self._state.ledger.payment(payment_id)
        if payment.charged_back or payment.kept <= 0:
            return
        after = replace(payment, charged_back=payment.kept)
        lost = happened.PaymentChargedBack(payment_id=payment.id, amount=after.charged_back)
        self._change(PROVIDER, now, lost, ledger=self._state.ledger.with_payment(after))

    def settle(self, key: str, report: PaymentReport, *, now: datetime) -> None:
        """Book the answer to a call. Settling a call twice is settling it once."""
        call = self._state.ledger.call(key)
        if call is None:
            return
        self.book(report, call.payment_id, now=now)
        ledger = self._state.ledger
        payment = ledger.payment(call.payment_id)
        if payment.status is PaymentStatus.REVIEW or ledger.call(key) is None:
            return
        match call.kind:
            case CallKind.AUTHORIZE:
                # The payment service has it, and has not decided yet.
                self._change(PROVIDER, now, ledger=ledger.with_call(call.postponed(now)))
            case CallKind.CAPTURE:
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
                ledger = ledger.with_payment(declined).without_call(key)
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

    # -- what both need -------------------------------------------------------------------

    def _open_payment(self, payment_id: str) -> Payment:
        payment = self._state.ledger.payment(payment_id)
        if not payment.open or self._state.ledger.is_voiding(payment_id):
            raise IllegalStep("payment", payment_id, payment.status)
        return payment

    def _void(self, payment: Payment, *, by: Actor, now: datetime) -> None:
        call = PaymentCall(
            key=void_key(self.id, payment.id),
            kind=CallKind.VOID,
            payment_id=payment.id,
            amount=payment.open,
            due_at=now + CALL_LEASE,
        )
        self._change(by, now, ledger=self._state.ledger.with_call(call))

    def _refund(self, amount: int, reason: str, *, by: Actor, now: datetime) -> None:
        for payment in self._state.ledger.payments:
            ledger = self._state.ledger
            share = min(amount, ledger.refundable(payment))
            if share <= 0:
                continue
            amount -= share
            refund = Refund(
                id=next_id(ledger.refunds),
                payment_id=payment.id,
                amount=share,
                reason=reason,
                created_at=now,
            )
            call = PaymentCall(
                key=refund_key(self.id, refund.id),
                kind=CallKind.REFUND,
                payment_id=payment.id,
                amount=share,
                due_at=now + CALL_LEASE,
                refund_id=refund.id,
            )
            requested = happened.RefundRequested(
                refund_id=refund.id, payment_id=payment.id, amount=share
            )
            self._change(by, now, requested, ledger=ledger.with_refund(refund).with_call(call))

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

    def _send_back(self, before: OrderState, now: datetime) -> None:
        """Reserve giving back money that nobody owes any more, once for each time it comes."""
        state = self._state
        ended = state.status in ENDED_UNPAID
        just_ended = ended and before.status not in ENDED_UNPAID
        for payment in state.ledger.payments:
            old = next((p for p in before.ledger.payments if p.id == payment.id), None)
            came = payment.captured + payment.open - (old.captured + old.open if old else 0)
            if ended and came > 0 and not just_ended:
                late = happened.PaymentReceivedLate(payment_id=payment.id, amount=came)
                self._change(PROVIDER, now, late)
            if (just_ended or (ended and came > 0) or _fully_paid_since(before, state)) and (
                payment.open and not self._state.ledger.is_voiding(payment.id)
            ):
                self._void(payment, by=SYSTEM, now=now)
        captured = state.totals.captured > before.totals.captured
        if ended and (just_ended or captured) and (owed := self._state.totals.refund_due):
            self._refund(owed, "order-ended", by=SYSTEM, now=now)


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
    if after.released and not before.released:
        news.extend(_voided(after))
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


def _fully_paid_since(before: OrderState, state: OrderState) -> bool:
    """Whether the order now has all it will ever need, and had not before."""
    return _needs_no_more(state) and not _needs_no_more(before)


def _needs_no_more(state: OrderState) -> bool:
    delivered = all(line.delivered == line.live for line in state.lines if line.shippable)
    return (
        state.status is OrderStatus.CONFIRMED
        and delivered
        and state.totals.net >= state.totals.due
        and not state.ledger.calls
    )
