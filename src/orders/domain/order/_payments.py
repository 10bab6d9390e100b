"""Paying: the commands that reserve operations at the payment service.

An order reserves an operation and is stored with it. Only then is the payment service called.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    RefundMustBeRecorded,
)
from orders.domain.order._parts import amount_within, next_id, part
from orders.domain.order._state_change import StateChange, Steps, changed
from orders.domain.payments import (
    OPERATION_LEASE,
    Ledger,
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
from orders.domain.rules import capturable, payable, refundable, require_allowed
from orders.domain.state import OrderState
from orders.domain.validation import (
    OrderLimits,
    validate_code,
    validate_flag,
    validate_method_token,
)


def start_payment(
    state: OrderState,
    method: str,
    amount: int | None,
    now: datetime,
    *,
    capture: bool,
    limits: OrderLimits,
) -> Steps[PaymentOperation]:
    """Reserve a payment of `amount`, or of all that can be paid."""
    require_allowed(state, Action.PAY, now=now, limits=limits)
    wanted = amount_within(amount, payable(state), AmountExceedsDue)
    payment = Payment(
        id=next_id(state.ledger.payments),
        amount=wanted,
        method=validate_method_token(method, "method"),
        capture=validate_flag(capture, "capture"),
        created_at=now,
    )
    operation = PaymentOperation(
        key=authorization_key(state.id, payment.id),
        kind=OperationKind.AUTHORIZE,
        payment_id=payment.id,
        amount=wanted,
        next_attempt_at=now + OPERATION_LEASE,
    )
    started = events.PaymentStarted(payment_id=payment.id, amount=wanted)
    yield changed(started, ledger=state.ledger.with_payment(payment).with_operation(operation))
    return operation


def capture(
    state: OrderState, payment_id: str, amount: int | None, now: datetime
) -> Steps[PaymentOperation]:
    """Reserve a capture of `amount`, or of all that is outstanding and authorised."""
    require_allowed(state, Action.CAPTURE, now=now)
    ledger = state.ledger
    payment = part(ledger.payments, "payment", payment_id)
    if not payment.capturable_amount or ledger.has_pending_void(payment_id):
        raise IllegalStep("payment", payment_id, payment.status)
    left = payment.capturable_amount - ledger.pending_captures(payment_id)
    needed = capturable(state)
    wanted = amount_within(
        amount, min(left, needed) if amount is None else needed, AmountExceedsDue
    )
    if wanted > left:
        raise AmountExceedsAuthorized(wanted=wanted, available=left)
    payment = replace(payment, captures=payment.captures + 1)
    operation = PaymentOperation(
        key=capture_key(state.id, payment.id, payment.captures),
        kind=OperationKind.CAPTURE,
        payment_id=payment.id,
        amount=wanted,
        next_attempt_at=now + OPERATION_LEASE,
    )
    yield changed(ledger=ledger.with_payment(payment).with_operation(operation))
    return operation


def void(state: OrderState, payment_id: str, now: datetime) -> Steps[None]:
    """Reserve the void of one payment."""
    require_allowed(state, Action.VOID, now=now)
    payment = part(state.ledger.payments, "payment", payment_id)
    if not state.ledger.can_void(payment):
        raise IllegalStep("payment", payment_id, payment.status)
    if state.ledger.pending_captures(payment_id):
        raise PaymentInFlight
    yield _voided(state, payment, now)


def dismiss_payment(state: OrderState, payment_id: str, now: datetime) -> Steps[None]:
    """End the review of a payment, with what was recorded before it."""
    require_allowed(state, Action.DISMISS_PAYMENT, now=now)
    payment = part(state.ledger.payments, "payment", payment_id)
    if payment.status is not PaymentStatus.REVIEW:
        raise IllegalStep("payment", payment_id, payment.status)
    status = PaymentStatus.CAPTURED if payment.captured else PaymentStatus.FAILED
    details = payment.details and payment.details.settled()
    dismissed = replace(payment, status=status, released=True, method=None, details=details)
    ledger = _with_failed_refunds(state.ledger.with_payment(dismissed), payment)
    yield changed(events.PaymentDismissed(payment_id=payment.id), ledger=ledger)


def refund(
    state: OrderState, amount: int | None, payment_id: str | None, reason: str, now: datetime
) -> Steps[None]:
    """Reserve refunds of `amount`, or of all that is owed, over as many payments as it takes.

    Of those that the payment service knows: it cannot refund what did not come through it.
    """
    require_allowed(state, Action.REFUND, now=now)
    validate_code(reason, "reason")
    payments = state.ledger.by_refund_preference
    if payment_id is not None:
        payments = [part(state.ledger.payments, "payment", payment_id)]
    if any(map(state.ledger.held, payments)) and not any(map(state.ledger.refundable, payments)):
        raise RefundMustBeRecorded
    wanted = amount_within(amount, refundable(state, payment_id), AmountExceedsRefundable)
    yield from refunds_of(state, wanted, reason, payments, now)


def voids_of(state: OrderState, payments: Iterable[Payment], now: datetime) -> Steps[OrderState]:
    """Reserve the void of each of these payments, which can all be voided."""
    for payment in payments:
        state = yield _voided(state, payment, now)
    return state


def refunds_of(
    state: OrderState, amount: int, reason: str, payments: Iterable[Payment], now: datetime
) -> Steps[OrderState]:
    """Reserve refunds that add up to `amount`, as far as these payments have the money."""
    for payment in payments:
        share = min(amount, state.ledger.refundable(payment))
        if share <= 0:
            continue
        amount -= share
        state = yield _refund_requested(state, payment, share, reason, now)
    return state


def _voided(state: OrderState, payment: Payment, now: datetime) -> StateChange:
    payment = replace(payment, voids=payment.voids + 1)
    operation = PaymentOperation(
        key=void_key(state.id, payment.id, payment.voids),
        kind=OperationKind.VOID,
        payment_id=payment.id,
        amount=payment.capturable_amount,
        next_attempt_at=now + OPERATION_LEASE,
    )
    return changed(ledger=state.ledger.with_payment(payment).with_operation(operation))


def _refund_requested(
    state: OrderState, payment: Payment, amount: int, reason: str, now: datetime
) -> StateChange:
    refund = Refund(
        id=next_id(state.ledger.refunds),
        payment_id=payment.id,
        amount=amount,
        reason=reason,
        created_at=now,
    )
    operation = PaymentOperation(
        key=refund_key(state.id, refund.id),
        kind=OperationKind.REFUND,
        payment_id=payment.id,
        amount=amount,
        next_attempt_at=now + OPERATION_LEASE,
        refund_id=refund.id,
    )
    requested = events.RefundRequested(refund_id=refund.id, payment_id=payment.id, amount=amount)
    return changed(requested, ledger=state.ledger.with_refund(refund).with_operation(operation))


def _with_failed_refunds(ledger: Ledger, payment: Payment) -> Ledger:
    """The ledger with the refunds of a payment that have no outcome counted as failed."""
    for refund in ledger.refunds:
        if refund.payment_id == payment.id and refund.status is RefundStatus.REQUESTED:
            failed = replace(refund, status=RefundStatus.FAILED, failure_code="dismissed")
            ledger = ledger.with_refund(failed)
    return ledger
