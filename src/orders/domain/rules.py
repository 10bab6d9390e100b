"""When the order's own state forbids a command: every rule that says no, not only the first.

What depends on a command's arguments (this many units, this much money) is checked where the
command is; the bounds are here, so that a caller can be told them beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    ChangeOpen,
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
from orders.domain.lifecycle import TRANSITIONS
from orders.domain.operations import Ledger
from orders.domain.payments import IN_FLIGHT, Payment, PaymentStatus
from orders.domain.returns import AWAITED, RETURN_STEPS, awaited_units
from orders.domain.shipments import SHIPMENT_STEPS
from orders.domain.state import OrderState
from orders.domain.totals import Totals

MAX_PARTS: Final = 250
"""How many of each kind of part commands give an order. One that grew without end could no longer
be stored one day: not even what the payment service says of it.
"""


def refusals(state: OrderState, action: Action, *, now: datetime) -> list[OrderError]:
    """Every rule that forbids the action as the order stands; empty if it is allowed."""
    if (state.status, action) not in TRANSITIONS:
        return [IllegalTransition(state.status, action)]
    return [error for guard in _GUARDS.get(action, ()) if (error := guard(state, now))]


def _no_hold(state: OrderState, _: datetime) -> OrderError | None:
    return OnHold(len(state.open_holds)) if state.open_holds else None


def _covered(state: OrderState, _: datetime) -> OrderError | None:
    covered, due = _cover(state, state.totals), state.totals.due
    return PaymentNotCovered(covered=covered, due=due) if covered < due else None


def _cover(state: OrderState, totals: Totals) -> int:
    """What pays for the order: kept, or authorised and not about to be voided."""
    return totals.authorized - state.ledger.pending_voids + totals.net


def _past_its_time(state: OrderState, now: datetime) -> OrderError | None:
    return NotYetExpired() if now < state.expires_at else None


def _nobody_pays(state: OrderState, _: datetime) -> OrderError | None:
    return None if _ends_by_time(state, state.totals) else PaymentInFlight()


def _ends_by_time(state: OrderState, totals: Totals) -> bool:
    """Whether the end of the time to pay ends the order, or voids what could still bring money.

    Not if it is paid: then it waits for staff. What was voided in vain is the payment service's.
    """
    may_come = any(p.capturable_amount or p.status in IN_FLIGHT for p in state.ledger.payments)
    return is_unpaid(state, totals) and (
        not may_come or any(payments_to_void_before_expiry(state.ledger))
    )


def is_unpaid(state: OrderState, totals: Totals) -> bool:
    """Whether no money is kept for the order, nor would cover it."""
    return not (
        totals.net > 0 or state.ledger.pending_captures() or _cover(state, totals) >= totals.due
    )


def payments_to_void_before_expiry(ledger: Ledger) -> Sequence[Payment]:
    """Payments of an order past its time that have to be voided first; each is tried once."""
    return [payment for payment in ledger.payments_to_void if not payment.voids]


def _nothing_packed(state: OrderState, _: datetime) -> OrderError | None:
    return AlreadyShipped() if is_packed(state) else None


def is_packed(state: OrderState) -> bool:
    """Whether any unit is in a parcel, or was sent in one."""
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
    Action.ADD_NOTE: (_room_for("notes"),),
    Action.HOLD: (_room_for("holds"),),
    Action.PAY: (_something_to_pay, _room_for("payments")),
    # What goes back by itself always may: it follows from a fact.
    Action.REFUND: (_room_for("refunds"),),
    Action.GRANT_CREDIT: (_room_for("credits"),),
    Action.REQUEST_RETURN: (_room_for("returns"),),
    # A hold stops what sends; it must not stop what stops sending, or tells what was sent.
    Action.CREATE_SHIPMENT: (_no_hold, _covered, _room_for("shipments")),
    Action.DISPATCH: (_no_hold, _covered),
    Action.COMPLETE: (_delivered, _settled, _nothing_open),
}


def in_flight(state: OrderState) -> int:
    """What payments of unknown outcome may still bring, in minor units."""
    return sum(p.amount for p in state.ledger.payments if p.status in IN_FLIGHT)


def payable(state: OrderState) -> int:
    """What may still be asked of the payer: not what is authorised or in flight already."""
    totals = state.totals
    return max(0, totals.outstanding - totals.authorized - in_flight(state))


def next_action_at(state: OrderState, totals: Totals) -> datetime | None:
    """When time asks for something: the next look at a call, or the end of the time to pay.

    `totals` are those of the state, which may not hold them yet.
    """
    times = [call.next_attempt_at for call in state.ledger.operations]
    if (state.status, Action.EXPIRE) in TRANSITIONS and _ends_by_time(state, totals):
        times.append(state.expires_at)
    return min(times, default=None)


def ready_to_ship(state: OrderState) -> bool | None:
    """Whether the order's units may be packed and sent now; None if there are none to send."""
    if (state.status, Action.DISPATCH) not in TRANSITIONS:
        return None
    if all(line.shipped == line.live for line in state.lines if line.shippable):
        return None
    return not any(guard(state, state.updated_at) for guard in _GUARDS[Action.DISPATCH])


def cancellable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be called off."""
    return {line.id: line.unallocated for line in state.lines}


def shippable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be packed."""
    return {line.id: line.unallocated for line in state.lines if line.shippable}


def returnable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be sent back: delivered, and in no other return."""
    return {
        line.id: line.delivered - line.returned - awaited_units(state.returns, line.id)
        for line in state.lines
    }


Bound = int | dict[PartId, int] | tuple[PartId, ...]


def argument_bounds(state: OrderState, action: Action) -> dict[str, Bound]:
    """The bounds of an action's arguments.

    `amount` is the most minor units, `items` the most units by line id; `payments`, `holds`,
    `shipments`, `returns` and `changes` name the parts that the action fits.
    """
    if action in SHIPMENT_STEPS:
        before = SHIPMENT_STEPS[action][0]
        return {"shipments": tuple(s.id for s in state.shipments if s.status is before)}
    if action in RETURN_STEPS:
        befores = RETURN_STEPS[action][0]
        return {"returns": tuple(r.id for r in state.returns if r.status in befores)}
    return {name: bound(state) for name, bound in _LIMITS.get(action, {}).items()}


def refundable(state: OrderState, payment_id: str | None = None) -> int:
    """What may be given back, of one payment or of all: what is owed, as far as it is held and
    not in doubt.

    Raises:
        PartNotFound: If there is no such payment.
    """
    ledger = state.ledger
    if payment_id is not None:
        return min(state.totals.refund_due, ledger.refundable(ledger.payment(payment_id)))
    return min(state.totals.refund_due, ledger.total_refundable)


def capturable(state: OrderState) -> int:
    """What may still be taken of the authorisations: never more than is outstanding."""
    under_way = state.ledger.pending_captures()
    totals = state.totals
    return max(0, min(totals.authorized, totals.outstanding) - under_way)


def _capturable_payments(state: OrderState) -> tuple[PartId, ...]:
    ledger = state.ledger
    return tuple(
        payment.id
        for payment in ledger.payments
        if payment.capturable_amount > ledger.pending_captures(payment.id)
        and not ledger.has_pending_void(payment.id)
    )


def _doubtful_payments(state: OrderState) -> tuple[PartId, ...]:
    payments = state.ledger.payments
    return tuple(p.id for p in payments if p.status is PaymentStatus.REVIEW)


def _voidable_payments(state: OrderState) -> tuple[PartId, ...]:
    ledger = state.ledger
    return tuple(
        p.id for p in ledger.payments if ledger.can_void(p) and not ledger.pending_captures(p.id)
    )


def _refundable_payments(state: OrderState) -> tuple[PartId, ...]:
    ledger = state.ledger
    return tuple(p.id for p in ledger.payments if ledger.refundable(p))


def _cancellable_but_one(state: OrderState) -> dict[PartId, int]:
    """Cancelling the last unit of all is cancelling the order."""
    most = sum(line.live for line in state.lines) - 1
    return {line_id: min(units, most) for line_id, units in cancellable_units(state).items()}


def _open_change_ids(state: OrderState) -> tuple[PartId, ...]:
    return tuple(change.id for change in state.open_changes)


def _some(units: dict[PartId, int]) -> dict[PartId, int]:
    return {line_id: count for line_id, count in units.items() if count > 0}


_LIMITS: Mapping[Action, Mapping[str, Callable[[OrderState], Bound]]] = {
    Action.PAY: {"amount": payable},
    Action.CAPTURE: {"amount": capturable, "payments": _capturable_payments},
    Action.VOID: {"payments": _voidable_payments},
    Action.DISMISS_PAYMENT: {"payments": _doubtful_payments},
    Action.REFUND: {"amount": refundable, "payments": _refundable_payments},
    Action.GRANT_CREDIT: {"amount": lambda state: state.totals.creditable},
    Action.CANCEL_ITEMS: {"items": lambda state: _some(_cancellable_but_one(state))},
    Action.APPLY_CHANGE: {"changes": _open_change_ids},
    Action.DECLINE_CHANGE: {"changes": _open_change_ids},
    Action.CREATE_SHIPMENT: {"items": lambda state: _some(shippable_units(state))},
    Action.REQUEST_RETURN: {"items": lambda state: _some(returnable_units(state))},
    Action.RELEASE: {"holds": lambda state: tuple(hold.id for hold in state.open_holds)},
}
