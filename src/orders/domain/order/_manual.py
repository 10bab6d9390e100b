"""Money that does not come or go through the payment service: staff record it as a fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    AmountExceedsRefundable,
    CreditExceedsAvailable,
    InvalidValue,
    NothingDue,
)
from orders.domain.order._parts import amount_within, in_whole_milliseconds, next_id, part
from orders.domain.order._returns import granted_credit
from orders.domain.order._state_change import Steps, changed
from orders.domain.payments import (
    Ledger,
    ManualPayment,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from orders.domain.returns import WRITE_OFF
from orders.domain.rules import recordable, require_allowed, uncollected
from orders.domain.state import OrderState
from orders.domain.validation import (
    MAX_TEXT,
    validate_amount,
    validate_code,
    validate_kind,
    validate_text,
)

LONGEST_BEFORE_PLACING: Final = timedelta(days=366)
"""How long before its order was placed money can have been received."""


def record_payment(
    state: OrderState, received: ManualPayment, amount: int | None, now: datetime
) -> Steps[None]:
    """Add a payment that is captured already."""
    require_allowed(state, Action.RECORD_PAYMENT, now=now)
    validate_kind(received, ManualPayment, "manual")
    _require_credible_time(received.received_at, state.created_at, now)
    if amount is None and not state.totals.outstanding:
        raise NothingDue
    amount = state.totals.outstanding if amount is None else amount
    payment = Payment(
        id=next_id(state.ledger.payments),
        amount=validate_amount(amount, "amount", least=1, most=recordable(state)),
        method=None,
        capture=True,
        created_at=now,
        status=PaymentStatus.CAPTURED,
        captured=amount,
        manual=replace(received, received_at=in_whole_milliseconds(received.received_at)),
    )
    recorded = events.PaymentRecorded(payment_id=payment.id, amount=amount, method=received.method)
    yield changed(recorded, ledger=state.ledger.with_payment(payment))


def record_refund(
    state: OrderState,
    reference: str,
    amount: int | None,
    payment_id: str | None,
    reason: str,
    now: datetime,
) -> Steps[None]:
    """Add refunds that were made already, over as many payments as it takes: manual ones first."""
    require_allowed(state, Action.RECORD_REFUND, now=now)
    validate_code(reason, "reason")
    validate_text(reference, "reference", most=MAX_TEXT)
    ledger, recorded = state.ledger, list[events.OrderEvent]()
    payments = sorted(ledger.by_refund_preference, key=lambda each: each.manual is None)
    if payment_id is not None:
        payments = [part(ledger.payments, "payment", payment_id)]
    most = sum(ledger.held(payment) for payment in payments)
    if amount is None:
        most = min(most, state.totals.refund_due)
    left = amount_within(amount, most, AmountExceedsRefundable)
    for payment in payments:
        if share := min(left, ledger.held(payment)):
            left -= share
            ledger, event = _with_refund(ledger, payment, share, reason, reference, now)
            recorded.append(event)
    yield changed(*recorded, ledger=ledger)


def write_off(state: OrderState, amount: int | None, now: datetime) -> Steps[None]:
    """Give up `amount`, or all that is still to be paid."""
    require_allowed(state, Action.WRITE_OFF, now=now)
    given_up = amount_within(amount, uncollected(state), CreditExceedsAvailable)
    yield granted_credit(state, given_up, WRITE_OFF, now)


def _with_refund(
    ledger: Ledger, payment: Payment, amount: int, reason: str, reference: str, now: datetime
) -> tuple[Ledger, events.OrderEvent]:
    refund = Refund(
        id=next_id(ledger.refunds),
        payment_id=payment.id,
        amount=amount,
        reason=reason,
        created_at=now,
        status=RefundStatus.SUCCEEDED,
        reference=reference,
    )
    payment = replace(payment, refunded_elsewhere=payment.refunded_elsewhere + amount)
    event = events.RefundRecorded(refund_id=refund.id, payment_id=payment.id, amount=amount)
    return ledger.with_payment(payment).with_refund(refund), event


def _require_credible_time(received_at: datetime, placed_at: datetime, now: datetime) -> None:
    if received_at > now:
        raise InvalidValue("manual/received_at", "must not be in the future")
    if received_at < placed_at - LONGEST_BEFORE_PLACING:
        raise InvalidValue(
            "manual/received_at",
            f"must be at most {LONGEST_BEFORE_PLACING.days} days before the order was placed",
        )
