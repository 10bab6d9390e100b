"""The rules that forbid a command because of the order's state, and the bounds of arguments.

`refusals` returns every rule that forbids an action, not only the first. The commands check their
arguments; the bounds are here, so that callers can see them before they give a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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
    TooManyParts,
)
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from orders.domain.operations import Ledger
from orders.domain.payments import IN_FLIGHT, Payment
from orders.domain.pricing import Totals
from orders.domain.returns import AWAITED, RETURN_STEPS, awaited_units
from orders.domain.shipments import SHIPMENT_STEPS
from orders.domain.state import OrderState

MAX_PARTS: Final = 250
"""The most parts of each kind that commands can add. An order without a bound would grow too large
to be stored, and then reports of the payment service could not be recorded.
"""


def refusals(state: OrderState, action: Action, *, now: datetime) -> list[OrderError]:
    """Every rule that forbids the action now; empty if it is allowed."""
    if (state.status, action) not in TRANSITIONS:
        return [IllegalTransition(state.status, action)]
    return [error for guard in _GUARDS.get(action, ()) if (error := guard(state, now))]


def require_allowed(state: OrderState, action: Action, *, now: datetime) -> None:
    """Refuse an action that a rule forbids now.

    Raises:
        OrderError: The first rule that forbids it; its `also` has the others.
    """
    if errors := refusals(state, action, now=now):
        first, *others = errors
        first.also = tuple(others)
        raise first


def _is_a_guests(state: OrderState, _: datetime) -> OrderError | None:
    return HasCustomer() if state.customer_id is not None else None


def _no_hold(state: OrderState, _: datetime) -> OrderError | None:
    return OnHold(len(state.open_holds)) if state.open_holds else None


def _covered(state: OrderState, _: datetime) -> OrderError | None:
    covered, due = _cover(state.ledger, state.totals), state.totals.due
    return PaymentNotCovered(covered=covered, due=due) if covered < due else None


def _cover(ledger: Ledger, totals: Totals) -> int:
    """What pays for the order: captured, or authorised without a pending void."""
    return totals.authorized - ledger.amount_being_voided + totals.net


def _past_its_time(state: OrderState, now: datetime) -> OrderError | None:
    return NotYetExpired() if now < state.expires_at else None


def _nobody_pays(state: OrderState, _: datetime) -> OrderError | None:
    return None if _time_acts(state.ledger, state.totals) else PaymentInFlight()


def _time_acts(ledger: Ledger, totals: Totals) -> bool:
    """Whether a pending order, when its time to pay is over, expires or has payments to void.

    Not if it is paid: staff decide then. A void that was refused is not tried again.
    """
    may_come = any(p.capturable_amount or p.status in IN_FLIGHT for p in ledger.payments)
    return is_unpaid(ledger, totals) and (
        not may_come or any(payments_to_void_before_expiry(ledger))
    )


def is_unpaid(ledger: Ledger, totals: Totals) -> bool:
    """Whether nothing is captured or being captured, and authorised money does not cover it."""
    return not (totals.net > 0 or ledger.pending_captures() or _cover(ledger, totals) >= totals.due)


def payments_to_void_before_expiry(ledger: Ledger) -> Sequence[Payment]:
    """Payments to void before an order can expire; each is voided once."""
    return [payment for payment in ledger.payments_to_void if not payment.voids]


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


def _delivered(state: OrderState, _: datetime) -> OrderError | None:
    done = all(line.delivered == line.live for line in state.lines if line.shippable)
    return None if done else NotDelivered()


def _settled(state: OrderState, _: datetime) -> OrderError | None:
    totals = state.totals
    return None if totals.net == totals.due else NotSettled(net=totals.net, due=totals.due)


def _nothing_open(state: OrderState, _: datetime) -> OrderError | None:
    open_parts = {
        "payment": in_flight(state) or state.ledger.operations,
        "authorization": state.totals.authorized,
        "return": any(a_return.status in AWAITED for a_return in state.returns),
        "hold": state.open_holds,
        "change": state.open_changes,
    }
    names = [name for name, is_open in open_parts.items() if is_open]
    return OrderNotClosed(", ".join(names)) if names else None


def _room_for(kind: str) -> Guard:
    def guard(state: OrderState, _: datetime) -> OrderError | None:
        there = len(getattr(state.ledger if kind in _OF_THE_LEDGER else state, kind))
        return TooManyParts(kind, most=MAX_PARTS) if there >= MAX_PARTS else None

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
    # This bounds commands only: refunds that follow from a report are always made.
    Action.REFUND: (_room_for("refunds"),),
    Action.GRANT_CREDIT: (_room_for("credits"),),
    Action.REQUEST_RETURN: (_room_for("returns"),),
    # A hold stops packing and sending. Cancelling a shipment and deliveries stay possible.
    Action.CREATE_SHIPMENT: (_no_hold, _covered, _room_for("shipments")),
    Action.DISPATCH: (_no_hold, _covered),
    Action.COMPLETE: (_delivered, _settled, _nothing_open),
}


def in_flight(state: OrderState) -> int:
    """The sum of payments without an outcome, in minor units."""
    return sum(p.amount for p in state.ledger.payments if p.status in IN_FLIGHT)


def payable(state: OrderState) -> int:
    """What can still be paid, in minor units: not what is authorised or in flight already."""
    totals = state.totals
    return max(0, totals.outstanding - totals.authorized - in_flight(state))


def next_action_at(
    status: OrderStatus, expires_at: datetime, ledger: Ledger, totals: Totals
) -> datetime | None:
    """When a worker has to act: at the next attempt of an operation, or when the order expires."""
    times = [operation.next_attempt_at for operation in ledger.operations]
    if (status, Action.EXPIRE) in TRANSITIONS and _time_acts(ledger, totals):
        times.append(expires_at)
    return min(times, default=None)


def ready_to_ship(state: OrderState) -> bool | None:
    """Whether the order's units may be packed and sent now; None if none are left to send."""
    if (state.status, Action.DISPATCH) not in TRANSITIONS:
        return None
    if all(line.shipped == line.live for line in state.lines if line.shippable):
        return None
    return not any(guard(state, state.updated_at) for guard in _GUARDS[Action.DISPATCH])


def cancellable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be cancelled."""
    return {line.id: line.unallocated for line in state.lines}


def shippable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be packed."""
    return {line.id: line.unallocated for line in state.lines if line.shippable}


def returnable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be returned: delivered, and in no other return."""
    return {
        line.id: line.delivered - line.returned - awaited_units(state.returns, line.id)
        for line in state.lines
    }


Bound = int | dict[PartId, int] | tuple[PartId, ...]


def argument_bounds(state: OrderState, action: Action) -> dict[str, Bound]:
    """The bounds of an action's arguments, by name.

    `amount` is the most minor units, `items` the most units by line id. `payments`, `holds`,
    `shipments`, `returns` and `changes` are the ids of the parts that the action is possible for.
    """
    if action in SHIPMENT_STEPS:
        before = SHIPMENT_STEPS[action][0]
        return {"shipments": tuple(s.id for s in state.shipments if s.status is before)}
    if action in RETURN_STEPS:
        befores = RETURN_STEPS[action][0]
        return {"returns": tuple(r.id for r in state.returns if r.status in befores)}
    return {name: bound(state) for name, bound in _LIMITS.get(action, {}).items()}


def refundable(state: OrderState, payment_id: str | None = None) -> int:
    """What can be refunded, of one payment or of all, in minor units.

    It is what is owed, as far as payments that are not under review still have it.

    Raises:
        PartNotFound: If the order has no such payment.
    """
    ledger = state.ledger
    if payment_id is not None:
        return min(state.totals.refund_due, ledger.refundable(ledger.payment(payment_id)))
    return min(state.totals.refund_due, ledger.total_refundable)


def capturable(state: OrderState) -> int:
    """What can still be captured, in minor units: never more than what is outstanding."""
    pending, totals = state.ledger.pending_captures(), state.totals
    return max(0, min(totals.authorized, totals.outstanding) - pending)


def _cancellable_but_one(state: OrderState) -> dict[PartId, int]:
    """One unit must be left: cancelling the last one is cancelling the order."""
    most = sum(line.live for line in state.lines) - 1
    return {line_id: min(units, most) for line_id, units in cancellable_units(state).items()}


def _open_change_ids(state: OrderState) -> tuple[PartId, ...]:
    return tuple(change.id for change in state.open_changes)


def _some(units: dict[PartId, int]) -> dict[PartId, int]:
    return {line_id: count for line_id, count in units.items() if count > 0}


_LIMITS: Mapping[Action, Mapping[str, Callable[[OrderState], Bound]]] = {
    Action.PAY: {"amount": payable},
    Action.CAPTURE: {"amount": capturable, "payments": lambda state: state.ledger.capturable_ids},
    Action.VOID: {"payments": lambda state: state.ledger.voidable_ids},
    Action.DISMISS_PAYMENT: {"payments": lambda state: state.ledger.doubtful_ids},
    Action.REFUND: {"amount": refundable, "payments": lambda state: state.ledger.refundable_ids},
    Action.GRANT_CREDIT: {"amount": lambda state: state.totals.creditable},
    Action.CANCEL_ITEMS: {"items": lambda state: _some(_cancellable_but_one(state))},
    Action.APPLY_CHANGE: {"changes": _open_change_ids},
    Action.DECLINE_CHANGE: {"changes": _open_change_ids},
    Action.CREATE_SHIPMENT: {"items": lambda state: _some(shippable_units(state))},
    Action.REQUEST_RETURN: {"items": lambda state: _some(returnable_units(state))},
    Action.RELEASE: {"holds": lambda state: tuple(hold.id for hold in state.open_holds)},
}
