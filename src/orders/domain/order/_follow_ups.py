"""What follows from a change without a command: money that nobody owes goes back, and an order
that may be confirmed or completed is.

Each of these changes may have another as its consequence. That ends, because `steps_left` is a
whole number that is never below 0, and each of these changes makes it smaller:

- a void adds a pending void to a payment that had none;
- a refund reserves money that was refundable;
- confirming and completing move the status forward, and nothing here moves it back.

Nothing here makes it larger: only commands and reports bring money, end an operation or add lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from orders.domain.actions import Action
from orders.domain.events import (
    OrderConfirmed,
    OrderEvent,
    PaymentReceivedLate,
)
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import ENDED_UNPAID, OrderStatus
from orders.domain.order._lifecycle import completed
from orders.domain.order._payments import refunds_of, voids_of
from orders.domain.order._state_change import Steps, moved
from orders.domain.payments import Ledger, RefundStatus
from orders.domain.pricing import Confirmation
from orders.domain.rules import is_unpaid, refundable, refusals
from orders.domain.state import OrderState

_MOVES_LEFT: Final[Mapping[OrderStatus, int]] = MappingProxyType(
    {OrderStatus.PENDING: 2, OrderStatus.CONFIRMED: 1}
)


def steps_left(state: OrderState) -> int:
    """A bound of how many more changes can follow: see above why it falls."""
    ledger = state.ledger
    voids = sum(ledger.can_void(payment) for payment in ledger.payments)
    return _MOVES_LEFT.get(state.status, 0) + voids + ledger.total_refundable


def is_nearer_the_end(before: OrderState, after: OrderState) -> bool:
    """Whether fewer changes can follow in the state `after`."""
    if before.ledger is after.ledger:
        return _MOVES_LEFT.get(after.status, 0) < _MOVES_LEFT.get(before.status, 0)
    return steps_left(after) < steps_left(before)


def late_payments(before: Ledger, after: Ledger) -> tuple[OrderEvent, ...]:
    """An event for each payment that brought money to an order that has ended."""
    came = _money_that_came(before, after)
    return tuple(PaymentReceivedLate(payment_id=id_, amount=came[id_]) for id_ in came)


def follow_ups(before: OrderState, state: OrderState, now: datetime) -> Steps[None]:
    """What follows from the change that has led from `before` to `state`."""
    came = _money_that_came(before.ledger, state.ledger)
    if _has_to_void(before, state, now, came=bool(came)):
        state = yield from voids_of(state, state.ledger.payments_to_void, now)
    if _has_to_refund(before, state, came=bool(came)):
        payments = state.ledger.by_refund_preference
        state = yield from refunds_of(state, refundable(state), "order-ended", payments, now)
    confirms_itself = state.confirmation is Confirmation.AUTOMATIC
    if confirms_itself and not refusals(state, Action.CONFIRM, now=now):
        yield moved(state, Action.CONFIRM, OrderConfirmed(), now)
    elif not refusals(state, Action.COMPLETE, now=now):
        yield completed(state, now)


def _has_to_void(before: OrderState, state: OrderState, now: datetime, *, came: bool) -> bool:
    """Whether the order now voids every payment that it can void.

    It does so when it is cancelled or expires, or when all is delivered and paid. After that, it
    does so again each time a payment brings money or the payment service names an undecided
    payment. It does not repeat a void only because the payment service refused it.
    """
    if not state.ledger.payments:
        return False
    if state.status in ENDED_UNPAID:
        is_new = before.status not in ENDED_UNPAID
    elif _needs_no_more(state):
        is_new = not _needs_no_more(before)
    else:
        # At `expires_at` the order voids each payment once. The payment service may refuse that
        # while a payment is undecided. If the payment brings money later, the order voids it again,
        # unless the order is covered then.
        return came and _is_too_late_to_pay(state, now)
    return is_new or came or bool(_undecided(state.ledger) - _undecided(before.ledger))


def _has_to_refund(before: OrderState, state: OrderState, *, came: bool) -> bool:
    """Whether the order now refunds captured money that nobody owes.

    It does so when it is cancelled or expires, and after that each time money comes, a dispute is
    won or a refund succeeds. It does not repeat a refund only because it was refused or failed: it
    would fail again.
    """
    if state.status not in ENDED_UNPAID:
        return False
    has_ended = before.status not in ENDED_UNPAID
    won_back = state.totals.charged_back < before.totals.charged_back
    refunded = _refunds_done(state.ledger) > _refunds_done(before.ledger)
    return has_ended or came or won_back or refunded


def _money_that_came(before: Ledger, after: Ledger) -> dict[PartId, int]:
    """The minor units that each payment has brought between the two states.

    It counts what was newly authorised and what was newly captured, even if the captured money was
    authorised before.
    """
    if before is after:
        return {}
    known = {payment.id: payment for payment in before.payments}
    came: dict[PartId, int] = {}
    for payment in after.payments:
        old = known.get(payment.id)
        if old is payment:
            continue
        captured = payment.captured - (old.captured if old else 0)
        held = payment.capturable_amount - (old.capturable_amount if old else 0)
        if amount := max(0, captured) + max(0, held):
            came[payment.id] = amount
    return came


def _undecided(ledger: Ledger) -> set[PartId]:
    """Payments that the payment service has, and that may still bring money."""
    return {p.id for p in ledger.payments if p.is_undecided and p.provider_id is not None}


def _refunds_done(ledger: Ledger) -> int:
    return sum(
        refund.status is RefundStatus.SUCCEEDED and not refund.recorded for refund in ledger.refunds
    )


def _is_too_late_to_pay(state: OrderState, now: datetime) -> bool:
    is_over = state.status is OrderStatus.PENDING and now >= state.expires_at
    return is_over and is_unpaid(state.ledger, state.totals, state.terms)


def _needs_no_more(state: OrderState) -> bool:
    return (
        state.status in {OrderStatus.CONFIRMED, OrderStatus.COMPLETED}
        and state.totals.net >= state.totals.due
        and not state.ledger.pending_captures()
        and all(line.delivered == line.deliverable for line in state.lines if line.shippable)
    )
