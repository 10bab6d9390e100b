"""What the payment service reports, as the result of an operation or by webhook.

The order accepts a report in every status. A repeated or older report changes nothing. A newer one
counts even if the order has ended. While a payment is under review, the order ignores reports about
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from orders.domain import events
from orders.domain.errors import InvalidValue
from orders.domain.order._parts import next_id, part
from orders.domain.order._state_change import StateChange, Steps, changed
from orders.domain.payments import (
    IN_FLIGHT,
    PENDING_POLL_SECONDS,
    Dispute,
    DisputeStatus,
    OperationKind,
    Payment,
    PaymentOperation,
    PaymentReport,
    PaymentStatus,
    Refund,
    RefundStatus,
    ReportedRefund,
    ReportedRefundStatus,
    authorization_key,
    payment_of_reference,
    refund_key,
)
from orders.domain.state import Hold, OrderState
from orders.domain.validation import validate_flag, validate_str

REVIEW_HOLD = "payment-mismatch"
"""The reason of the hold on an order with a payment under review."""

REFUND_FAILED = "refund_failed"
"""The failure code of a refund whose failure a report tells."""
_DISPUTE_EVENTS: Final[Mapping[DisputeStatus, Callable[..., events.OrderEvent]]] = {
    DisputeStatus.OPEN: events.DisputeOpened,
    DisputeStatus.WON: events.DisputeWon,
    DisputeStatus.LOST: events.DisputeLost,
}


def payment_report(
    state: OrderState, report: PaymentReport, payment_id: str, now: datetime, *, charged_back: bool
) -> Steps[OrderState]:
    """Merge a report into its payment."""
    _require_report(report)
    validate_flag(charged_back, "charged_back")
    payment = part(state.ledger.payments, "payment", payment_id)
    if payment.status is PaymentStatus.REVIEW:
        return state
    key = authorization_key(state.id, payment.id)
    if payment.contradicts(report, reference=key, currency=state.currency):
        return (yield _under_review(state, payment, now))
    after = payment.after(report, charged_back=charged_back)
    ledger = state.ledger
    if after.status not in IN_FLIGHT:
        ledger = ledger.without_operation(key)
    if not after.is_voidable:
        ledger = ledger.without_voids(payment.id)
    for step in _steps(payment, after):
        state = yield changed(*_new_events(payment, step), ledger=ledger.with_payment(step))
        payment, ledger = step, state.ledger
    # Failures first: a refund that has failed must not be counted beside one that has succeeded.
    for refund in sorted(report.refunds, key=_is_no_failure):
        state = yield from _refund_report(state, refund, payment.id)
    return state


def operation_result(
    state: OrderState, key: str, report: PaymentReport, now: datetime
) -> Steps[None]:
    """Merge the report that an operation brought, and end the operation."""
    _require_report(report)
    operation = state.ledger.operation(validate_str(key, "key"))
    if operation is None:
        # A webhook was faster. What the report adds to it still counts.
        payment_id = payment_of_reference(report.reference)
        if any(payment.id == payment_id for payment in state.ledger.payments):
            yield from payment_report(state, report, payment_id, now, charged_back=False)
        return
    state = yield from payment_report(state, report, operation.payment_id, now, charged_back=False)
    payment = state.ledger.payment(operation.payment_id)
    if payment.status is PaymentStatus.REVIEW or state.ledger.operation(key) is None:
        return
    yield _succeeded(state, operation, report, now)


def _refund_report(state: OrderState, report: ReportedRefund, payment_id: str) -> Steps[OrderState]:
    """Record what a report says of one of our refunds. A failure is final, a success is not."""
    ours = state.ledger.refund_of_reference(state.id, report.reference)
    if ours is None or ours.payment_id != payment_id or ours.status is RefundStatus.FAILED:
        return state
    if report.status is ReportedRefundStatus.FAILED:
        return (yield _refunded(state, ours, RefundStatus.FAILED, REFUND_FAILED))
    if report.status is ReportedRefundStatus.SUCCEEDED and ours.status is RefundStatus.REQUESTED:
        return (yield _refunded(state, ours, RefundStatus.SUCCEEDED))
    return state


def _is_no_failure(refund: ReportedRefund) -> bool:
    return refund.status is not ReportedRefundStatus.FAILED


def operation_failure(state: OrderState, key: str, failure_code: str) -> Steps[None]:
    """End an operation that the payment service has refused."""
    validate_str(failure_code, "failure_code")
    operation = state.ledger.operation(validate_str(key, "key"))
    if operation is None:
        return
    payment = state.ledger.payment(operation.payment_id)
    match operation.kind:
        case OperationKind.AUTHORIZE:
            yield _declined(state, payment, key, failure_code)
        case OperationKind.CAPTURE | OperationKind.VOID:
            refused = events.PaymentOperationFailed(
                payment_id=payment.id, operation=operation.kind, failure_code=failure_code
            )
            yield changed(refused, ledger=state.ledger.without_operation(key))
        case OperationKind.REFUND:
            yield _refunded(state, _refund(state, operation), RefundStatus.FAILED, failure_code)


def unknown_outcome(state: OrderState, key: str, now: datetime) -> Steps[None]:
    """Retry an operation after a growing delay."""
    operation = state.ledger.operation(validate_str(key, "key"))
    if operation is not None:
        later = operation.after_unknown_outcome(now)
        yield changed(ledger=state.ledger.with_operation(later))


def not_attempted(state: OrderState, key: str, now: datetime) -> Steps[None]:
    """Retry an operation after a fixed delay."""
    operation = state.ledger.operation(validate_str(key, "key"))
    if operation is not None:
        yield changed(ledger=state.ledger.with_operation(operation.after_no_attempt(now)))


def _require_report(report: PaymentReport) -> None:
    if not isinstance(report, PaymentReport):
        raise InvalidValue("report", "must be a PaymentReport")


def _succeeded(
    state: OrderState, operation: PaymentOperation, report: PaymentReport, now: datetime
) -> StateChange:
    """Record that the payment service has carried out an operation, or has not decided it yet."""
    ledger = state.ledger
    payment = ledger.payment(operation.payment_id)
    match operation.kind:
        case OperationKind.AUTHORIZE:
            # The payment service has it, and has not decided yet.
            later = operation.after_unknown_outcome(now, PENDING_POLL_SECONDS)
            return changed(ledger=ledger.with_operation(later))
        case OperationKind.VOID if not payment.is_undecided:
            new_events = () if payment.released else (_void_event(payment),)
            released = ledger.with_payment(replace(payment, released=True))
            return changed(*new_events, ledger=released.without_operation(operation.key))
        case OperationKind.CAPTURE | OperationKind.VOID:
            # A void of an undecided payment: polling its authorization will tell the outcome.
            return changed(ledger=ledger.without_operation(operation.key))
        case OperationKind.REFUND:
            refund = _refund(state, operation)
            if report.refund_status(operation.key) is ReportedRefundStatus.PENDING:
                later = operation.after_unknown_outcome(now, PENDING_POLL_SECONDS)
                return changed(ledger=ledger.with_operation(later))
            return _refunded(state, refund, RefundStatus.SUCCEEDED)


def _declined(state: OrderState, payment: Payment, key: str, decline_code: str) -> StateChange:
    declined = replace(
        payment,
        status=PaymentStatus.DECLINED,
        decline_code=decline_code,
        method=None,
        details=payment.details and payment.details.settled(),
    )
    ledger = state.ledger.with_payment(declined).without_operation(key).without_voids(payment.id)
    event = events.PaymentDeclined(payment_id=payment.id, decline_code=decline_code)
    return changed(event, ledger=ledger)


def _refund(state: OrderState, operation: PaymentOperation) -> Refund:
    return part(state.ledger.refunds, "refund", operation.refund_id or "")


def _refunded(
    state: OrderState, refund: Refund, status: RefundStatus, failure_code: str | None = None
) -> StateChange:
    ledger = state.ledger.without_operation(refund_key(state.id, refund.id))
    ledger = ledger.with_refund(replace(refund, status=status, failure_code=failure_code))
    if status is RefundStatus.SUCCEEDED:
        # Also if the report did not count it: else the same money would be refunded twice.
        payment = ledger.payment(refund.payment_id)
        refunded = max(payment.refunded, ledger.refunded_by_us(payment.id))
        ledger = ledger.with_payment(replace(payment, refunded=refunded))
    return changed(_refund_event(refund, failure_code), ledger=ledger)


def _under_review(state: OrderState, payment: Payment, now: datetime) -> StateChange:
    """Stop all operations of a payment until a person has reviewed it."""
    ledger = state.ledger.with_payment(replace(payment, status=PaymentStatus.REVIEW))
    for operation in ledger.operations:
        if operation.payment_id == payment.id:
            ledger = ledger.without_operation(operation.key)
    hold = Hold(id=next_id(state.holds), reason=REVIEW_HOLD, placed_at=now)
    return changed(
        events.PaymentUnderReview(payment_id=payment.id),
        events.OrderHeld(hold_id=hold.id, reason=hold.reason),
        ledger=ledger,
        holds=(*state.holds, hold),
    )


def _steps(before: Payment, after: Payment) -> list[Payment]:
    """The states that a payment goes through: what was refunded was captured first.

    The order may confirm itself in between. Not if a bank takes money or gives it back: what others
    have refunded by then must not be refunded as well.
    """
    refunded_later = replace(after, refunded=before.refunded)
    if after.charged_back != before.charged_back or after.refunded < before.refunded:
        return [after]
    if refunded_later == before:
        return [after] if after != before else []
    return [refunded_later, after] if refunded_later != after else [after]


def _new_events(before: Payment, after: Payment) -> list[events.OrderEvent]:
    """The events that tell the difference between two states of a payment."""
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
    if after.refunded < before.refunded:
        back = before.refunded - after.refunded
        new_events.append(events.PaymentRefundReversed(payment_id=after.id, amount=back))
    # A payment that is released already may become voided: staff had dismissed it, or the answer to
    # our void did not say so yet. That can change the `payment_status` of the order.
    is_new = after.status is PaymentStatus.VOIDED is not before.status
    if after.released and (is_new or not before.released):
        new_events.append(_void_event(after))
    if after.charged_back > before.charged_back:
        lost = after.charged_back - before.charged_back
        new_events.append(events.PaymentChargedBack(payment_id=after.id, amount=lost))
    if after.details is not before.details:
        known = before.disputes
        new_events += [_dispute_event(each) for each in after.disputes if each not in known]
    return new_events


def _dispute_event(dispute: Dispute) -> events.OrderEvent:
    return _DISPUTE_EVENTS[dispute.status](
        dispute_id=dispute.id, payment_id=dispute.payment_id, amount=dispute.amount
    )


def _void_event(payment: Payment) -> events.OrderEvent:
    return events.PaymentVoided(payment_id=payment.id)


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
