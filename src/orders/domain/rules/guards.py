"""The rules that forbid a command because of the order's state.

`refusals` returns every rule that forbids an action, not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    ChangeOpen,
    HasCustomer,
    IllegalTransition,
    NotDelivered,
    NothingDue,
    NotSettled,
    NotYetExpired,
    OnHold,
    OrderError,
    OrderNotClosed,
    PaymentInFlight,
    PaymentNotCovered,
    TooManyDeclines,
    TooManyParts,
)
from orders.domain.lifecycle import TRANSITIONS
from orders.domain.payments import DisputeStatus, PaymentStatus
from orders.domain.returns import AWAITED
from orders.domain.rules.bounds import in_flight, payable
from orders.domain.rules.cover import covered_amount, is_covered, time_acts
from orders.domain.state import OrderState
from orders.domain.validation import OrderLimits

DECLINE_WINDOW: Final = timedelta(hours=1)
"""How long a declined payment counts."""
MAX_PARTS: Final = 250
"""The most parts of each kind that commands can add. An order without a bound would grow too large
to be stored, and then reports of the payment service could not be recorded.
"""
MAX_FACTS: Final = 2 * MAX_PARTS
"""The most parts of a kind with those that staff record as facts, such as manual payments."""


def refusals(
    state: OrderState,
    action: Action,
    *,
    now: datetime,
    limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
) -> list[OrderError]:
    """Every rule that forbids the action now; empty if it is allowed."""
    if (state.status, action) not in TRANSITIONS:
        return [IllegalTransition(state.status, action)]
    errors = [error for guard in _GUARDS.get(action, ()) if (error := guard(state, now))]
    if action is Action.PAY and (too_many := _declines_within(limits, state, now)):
        errors.append(too_many)
    return errors


def require_allowed(
    state: OrderState,
    action: Action,
    *,
    now: datetime,
    limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
) -> None:
    """Refuse an action that a rule forbids now.

    Raises:
        OrderError: The first rule that forbids it; its `also` has the others.
    """
    if errors := refusals(state, action, now=now, limits=limits):
        first, *others = errors
        first.also = tuple(others)
        raise first


def _is_a_guests(state: OrderState, _: datetime) -> OrderError | None:
    return HasCustomer() if state.customer_id is not None else None


def _no_hold(state: OrderState, _: datetime) -> OrderError | None:
    return OnHold(len(state.open_holds)) if state.open_holds else None


def _covered(state: OrderState, _: datetime) -> OrderError | None:
    ledger, totals = state.ledger, state.totals
    if is_covered(ledger, totals, state.terms):
        return None
    return PaymentNotCovered(covered=covered_amount(ledger, totals), due=totals.due)


def _past_its_time(state: OrderState, now: datetime) -> OrderError | None:
    return NotYetExpired() if now < state.expires_at else None


def _nobody_pays(state: OrderState, _: datetime) -> OrderError | None:
    return None if time_acts(state.ledger, state.totals, state.terms) else PaymentInFlight()


def _nothing_packed(state: OrderState, _: datetime) -> OrderError | None:
    return AlreadyShipped() if is_packed(state) else None


def is_packed(state: OrderState) -> bool:
    """Whether any unit is packed or was sent."""
    return any(line.allocated or line.shipped for line in state.lines)


def _no_open_change(state: OrderState, _: datetime) -> OrderError | None:
    return ChangeOpen(state.open_changes[0].id) if state.open_changes else None


def _something_to_pay(state: OrderState, _: datetime) -> OrderError | None:
    if payable(state):
        return None
    return PaymentInFlight() if in_flight(state) else NothingDue()


def _declines_within(limits: OrderLimits, state: OrderState, now: datetime) -> OrderError | None:
    """Refuse if payments of the last hour were declined, or may still be, as often as allowed.

    Without those that may still be, many small payments at once would all be sent.
    """
    started = sorted(
        payment.created_at
        for payment in state.ledger.payments
        if payment.status is PaymentStatus.DECLINED or payment.is_undecided
    )
    if not 0 < limits.declines <= len(started):
        return None
    wait = started[-limits.declines] + DECLINE_WINDOW - now
    seconds = ceil(wait.total_seconds())
    return TooManyDeclines(retry_after_seconds=seconds) if seconds > 0 else None


def _delivered(state: OrderState, _: datetime) -> OrderError | None:
    done = all(line.delivered == line.deliverable for line in state.lines if line.shippable)
    return None if done else NotDelivered()


def _settled(state: OrderState, _: datetime) -> OrderError | None:
    totals = state.totals
    # More went back than was ever owed: nobody pays that, and no credit can settle it.
    is_lost = totals.net < 0 == totals.due and state.ledger.dispute_status is not DisputeStatus.OPEN
    if is_lost or totals.net == totals.due:
        return None
    return NotSettled(net=totals.net, due=totals.due)


def _nothing_open(state: OrderState, _: datetime) -> OrderError | None:
    open_parts = {
        "payment": in_flight(state) or state.ledger.operations,
        "authorization": state.totals.authorized,
        "return": any(a_return.status in AWAITED for a_return in state.returns),
        "hold": state.open_holds,
        "change": [each for each in state.open_changes if not each.waits_for_customer],
    }
    names = [name for name, is_open in open_parts.items() if is_open]
    return OrderNotClosed(", ".join(names)) if names else None


def _room_for(kind: str, *, most: int = MAX_PARTS) -> Guard:
    def guard(state: OrderState, _: datetime) -> OrderError | None:
        there = len(getattr(state.ledger if kind in _OF_THE_LEDGER else state, kind))
        return TooManyParts(kind, most=most) if there >= most else None

    return guard


Guard = Callable[[OrderState, datetime], OrderError | None]
_OF_THE_LEDGER: Final = ("payments", "refunds")
_GUARDS: Mapping[Action, tuple[Guard, ...]] = {
    Action.CONFIRM: (_no_hold, _covered),
    Action.EXPIRE: (_past_its_time, _nobody_pays),
    Action.CANCEL: (_nothing_packed,),
    Action.PROPOSE_CHANGE: (_no_open_change, _room_for("changes")),
    Action.ASSIGN_CUSTOMER: (_is_a_guests,),
    Action.ADD_NOTE: (_room_for("notes"),),
    Action.HOLD: (_room_for("holds"),),
    Action.PAY: (_something_to_pay, _room_for("payments")),
    # Money that has moved is recorded even if commands have used up their parts.
    Action.RECORD_PAYMENT: (_room_for("payments", most=MAX_FACTS),),
    Action.RECORD_REFUND: (_room_for("refunds", most=MAX_FACTS),),
    # This bounds commands only: refunds that follow from a report are always made.
    Action.REFUND: (_room_for("refunds"),),
    Action.GRANT_CREDIT: (_room_for("credits"),),
    Action.WRITE_OFF: (_room_for("credits", most=MAX_FACTS),),
    Action.REQUEST_RETURN: (_room_for("returns"),),
    # A hold stops packing and sending. What stops or reports a shipment stays possible.
    Action.CREATE_SHIPMENT: (_no_hold, _covered, _room_for("shipments")),
    Action.RECORD_LATE_SHIPMENT: (_room_for("shipments"),),
    Action.DISPATCH: (_no_hold, _covered),
    Action.COMPLETE: (_delivered, _settled, _nothing_open),
}
