"""Paying: the commands that reserve calls to the payment service, and money that goes back.

A command may be refused. Money that nobody owes any more goes back by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    AmountExceedsAuthorized,
    AmountExceedsDue,
    AmountExceedsRefundable,
    IllegalStep,
    PaymentInFlight,
)
from orders.domain.identifiers import PROVIDER, SYSTEM, Actor, PartId
from orders.domain.lifecycle import ENDED_UNPAID, OrderStatus
from orders.domain.order._payment_reports import Booking
from orders.domain.parts import amount_within, next_id
from orders.domain.payments import (
    OPERATION_LEASE,
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentStatus,
    Refund,
    RefundStatus,
    authorization_key,
    capture_key,
    refund_key,
    void_key,
)
from orders.domain.rules import capturable, is_unpaid, payable, refundable
from orders.domain.state import OrderState
from orders.domain.validation import validate_code, validate_method_token


class Paying(Booking):
    """What payers and finance tell an order."""

    __slots__ = ()

    def start_payment(
        self,
        method: str,
        *,
        amount: int | None = None,
        capture: bool = False,
        by: Actor,
        now: datetime,
    ) -> PaymentOperation:
        """Reserve a payment: what is still needed, or a part of it.

        Returns:
            The call to make. Its key is for this attempt alone, and never changes.
        """
        self._require(Action.PAY, now)
        wanted = amount_within(amount, payable(self._state), AmountExceedsDue)
        payment = Payment(
            id=next_id(self._state.ledger.payments),
            amount=wanted,
            method=validate_method_token(method, "method"),
            capture=capture,
            created_at=now,
        )
        call = PaymentOperation(
            key=authorization_key(self.id, payment.id),
            kind=OperationKind.AUTHORIZE,
            payment_id=payment.id,
            amount=wanted,
            next_attempt_at=now + OPERATION_LEASE,
        )
        started = events.PaymentStarted(payment_id=payment.id, amount=wanted)
        ledger = self._state.ledger.with_payment(payment).with_operation(call)
        self._change(by, now, started, ledger=ledger)
        return call

    def capture(
        self, payment_id: str, *, amount: int | None = None, by: Actor, now: datetime
    ) -> PaymentOperation:
        """Reserve taking authorised money: what is outstanding, or a part of it."""
        self._require(Action.CAPTURE, now)
        ledger = self._state.ledger
        payment = ledger.payment(payment_id)
        if not payment.capturable_amount or ledger.has_pending_void(payment_id):
            raise IllegalStep("payment", payment_id, payment.status)
        left = payment.capturable_amount - ledger.pending_captures(payment_id)
        needed = capturable(self._state)
        wanted = amount_within(
            amount, min(left, needed) if amount is None else needed, AmountExceedsDue
        )
        if wanted > left:
            raise AmountExceedsAuthorized(wanted=wanted, available=left)
        payment = replace(payment, captures=payment.captures + 1)
        call = PaymentOperation(
            key=capture_key(self.id, payment.id, payment.captures),
            kind=OperationKind.CAPTURE,
            payment_id=payment.id,
            amount=wanted,
            next_attempt_at=now + OPERATION_LEASE,
        )
        self._change(by, now, ledger=ledger.with_payment(payment).with_operation(call))
        return call

    def void(self, payment_id: str, *, by: Actor, now: datetime) -> None:
        """Reserve giving an authorisation back, or calling off a payment that is in flight.

        Another way to pay is open once the payment service has said that it is voided.

        Raises:
            PartNotFound: If there is no such payment.
            IllegalStep: If it holds nothing, or is being voided.
            PaymentInFlight: If a capture of it is under way.
        """
        self._require(Action.VOID, now)
        ledger = self._state.ledger
        payment = ledger.payment(payment_id)
        if not ledger.can_void(payment):
            raise IllegalStep("payment", payment_id, payment.status)
        if ledger.pending_captures(payment_id):
            raise PaymentInFlight
        self._void(payment, by=by, now=now)

    def dismiss_payment(self, payment_id: str, *, by: Actor, now: datetime) -> None:
        """End the review of a payment: go on with what was booked before the contradiction.

        What the payment service holds beyond that has to be settled with it by other means.
        Refunds of the payment that nobody knows the fate of count as failed.
        """
        self._require(Action.DISMISS_PAYMENT, now)
        ledger = self._state.ledger
        payment = ledger.payment(payment_id)
        if payment.status is not PaymentStatus.REVIEW:
            raise IllegalStep("payment", payment_id, payment.status)
        status = PaymentStatus.CAPTURED if payment.captured else PaymentStatus.FAILED
        ledger = ledger.with_payment(replace(payment, status=status, released=True, method=None))
        for refund in ledger.refunds:
            if refund.payment_id == payment.id and refund.status is RefundStatus.REQUESTED:
                failed = replace(refund, status=RefundStatus.FAILED, failure_code="dismissed")
                ledger = ledger.with_refund(failed)
        self._change(by, now, events.PaymentDismissed(payment_id=payment.id), ledger=ledger)

    def refund(
        self,
        *,
        amount: int | None = None,
        payment_id: str | None = None,
        reason: str,
        by: Actor,
        now: datetime,
    ) -> None:
        """Reserve giving back what is owed, or a part of it.

        It goes to the payment that is named, or over as many as it takes: those whose last refund
        was refused come last. `amount` is minor units, at least 1.

        Raises:
            PartNotFound: If there is no such payment.
            AmountExceedsRefundable: If less is owed back, or less is held by the payment.
        """
        self._require(Action.REFUND, now)
        validate_code(reason, "reason")
        most = refundable(self._state, payment_id)
        wanted = amount_within(amount, most, AmountExceedsRefundable)
        ledger = self._state.ledger
        payments = ledger.by_refund_preference
        if payment_id is not None:
            payments = [ledger.payment(payment_id)]
        self._refund(wanted, reason, payments, by=by, now=now)

    def _void(self, payment: Payment, *, by: Actor, now: datetime) -> None:
        payment = replace(payment, voids=payment.voids + 1)
        call = PaymentOperation(
            key=void_key(self.id, payment.id, payment.voids),
            kind=OperationKind.VOID,
            payment_id=payment.id,
            amount=payment.capturable_amount,
            next_attempt_at=now + OPERATION_LEASE,
        )
        ledger = self._state.ledger.with_payment(payment).with_operation(call)
        self._change(by, now, ledger=ledger)

    def _refund(
        self, amount: int, reason: str, payments: Sequence[Payment], *, by: Actor, now: datetime
    ) -> None:
        for payment in payments:
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
            call = PaymentOperation(
                key=refund_key(self.id, refund.id),
                kind=OperationKind.REFUND,
                payment_id=payment.id,
                amount=share,
                next_attempt_at=now + OPERATION_LEASE,
                refund_id=refund.id,
            )
            requested = events.RefundRequested(
                refund_id=refund.id, payment_id=payment.id, amount=share
            )
            self._change(by, now, requested, ledger=ledger.with_refund(refund).with_operation(call))

    def _send_back(self, before: OrderState, now: datetime) -> None:
        """Reserve giving back money that nobody owes any more, once for each time it comes."""
        state = self._state
        came = _money_that_came(before, state)
        new_events = came or _undecided(state) - _undecided(before)
        if state.status in ENDED_UNPAID:
            just_ended = before.status not in ENDED_UNPAID
            if not just_ended:
                for payment_id, amount in came.items():
                    late = events.PaymentReceivedLate(payment_id=payment_id, amount=amount)
                    self._change(PROVIDER, now, late)
            if just_ended or new_events:
                self._void_all(state.ledger.payments_to_void, now)
            # A refund that failed is not begun anew: it would fail for ever.
            if just_ended or came or _refunds_done(state) > _refunds_done(before):
                owed = refundable(self._state)
                payments = self._state.ledger.by_refund_preference
                self._refund(owed, "order-ended", payments, by=SYSTEM, now=now)
        elif _needs_no_more(state) and (new_events or not _needs_no_more(before)):
            self._void_all(state.ledger.payments_to_void, now)
        elif came and _is_too_late_to_pay(state, now):
            # Also what the payment service would not void before it had decided.
            self._void_all(state.ledger.payments_to_void, now)

    def _void_all(self, payments: Sequence[Payment], now: datetime) -> None:
        for payment in payments:
            self._void(payment, by=SYSTEM, now=now)


def _money_that_came(before: OrderState, state: OrderState) -> dict[PartId, int]:
    """What is newly authorised or captured, by payment; captured counts though it was held."""
    known = {payment.id: payment for payment in before.ledger.payments}
    came = {}
    for payment in state.ledger.payments:
        old = known.get(payment.id)
        captured = payment.captured - (old.captured if old else 0)
        held = payment.capturable_amount - (old.capturable_amount if old else 0)
        came[payment.id] = max(0, captured) + max(0, held)
    return {payment_id: amount for payment_id, amount in came.items() if amount}


def _undecided(state: OrderState) -> set[PartId]:
    """Payments that the payment service has, and that may still bring money."""
    payments = state.ledger.payments
    return {p.id for p in payments if p.is_undecided and p.provider_id is not None}


def _refunds_done(state: OrderState) -> int:
    return sum(refund.status is RefundStatus.SUCCEEDED for refund in state.ledger.refunds)


def _is_too_late_to_pay(state: OrderState, now: datetime) -> bool:
    is_over = state.status is OrderStatus.PENDING and now >= state.expires_at
    return is_over and is_unpaid(state, state.totals)


def _needs_no_more(state: OrderState) -> bool:
    return (
        state.status in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}
        and state.totals.net >= state.totals.due
        and not state.ledger.pending_captures()
        and all(line.delivered == line.live for line in state.lines if line.shippable)
    )
