"""The bounds of the arguments of commands.

The commands check their arguments; the bounds are here, so that callers can see them before they
give a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orders.domain.actions import Action
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import Line
from orders.domain.money import AMOUNT_LIMIT
from orders.domain.payments import IN_FLIGHT
from orders.domain.returns import RETURN_STEPS, Credit, awaited_units, credited_by_line
from orders.domain.shipments import SHIPMENT_STEPS, ShipmentStatus, surplus_units
from orders.domain.state import OrderState


def in_flight(state: OrderState) -> int:
    """The sum of payments without an outcome, in minor units."""
    return sum(p.amount for p in state.ledger.payments if p.status in IN_FLIGHT)


def payable(state: OrderState) -> int:
    """What can still be paid, in minor units: not what is authorised or in flight already."""
    totals = state.totals
    return max(0, totals.outstanding - totals.authorized - in_flight(state))


def cancellable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be cancelled: what is left of the line is worth its credits."""
    credited = credited_by_line(state.credits)
    return {line.id: _cancellable(line, credited.get(line.id, 0)) for line in state.lines}


def _cancellable(line: Line, credited: int) -> int:
    if not credited:
        return line.unallocated
    needed, most = 0, line.live
    while needed < most:
        middle = (needed + most) // 2
        if line.value_of(middle) < credited:
            needed = middle + 1
        else:
            most = middle
    return min(line.unallocated, line.live - needed)


def shippable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be packed."""
    return {line.id: line.unallocated for line in state.lines if line.shippable}


def returnable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that can still be returned: delivered, and in no other return."""
    return {
        line.id: line.delivered - line.returned - awaited_units(state.returns, line.id)
        for line in state.lines
    }


def undeliverable_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that a credit can settle instead of a delivery."""
    return shippable_units(state) if state.status is OrderStatus.CONFIRMED else {}


def late_units(state: OrderState) -> dict[PartId, int]:
    """Units by line that may be in a parcel that left before a cancellation was known.

    None, if no unit is cancelled that is not in such a parcel already. Lines with such units come
    first: one of them has to be in the parcel.
    """
    lines = [line for line in state.lines if line.shippable]
    late = {line.id: line.cancelled - surplus_units(state.shipments, line.id) for line in lines}
    if not any(units > 0 for units in late.values()):
        return {}
    lines.sort(key=lambda line: late[line.id] <= 0)
    return {line.id: line.unallocated + max(0, late[line.id]) for line in lines}


def creditable_by_line(state: OrderState) -> dict[PartId, int]:
    """What is left of each line to credit, in minor units, as far as the order allows it."""
    credited = credited_by_line(state.credits)
    return {
        line.id: max(0, min(line.gross - credited.get(line.id, 0), state.totals.creditable))
        for line in state.lines
    }


def revocable_credit_ids(state: OrderState) -> tuple[PartId, ...]:
    """The credits that can be revoked: not paid out, and nothing of a closed order reopens."""
    closed = state.status is OrderStatus.COMPLETED
    return tuple(
        credit.id
        for credit in state.credits
        if credit.revoked_at is None
        and not (closed and credit.undeliverable)
        and not _is_paid_out(state, credit)
    )


def _is_paid_out(state: OrderState, credit: Credit) -> bool:
    """Whether, without the credit, money would be missing that was refunded or nobody can pay."""
    totals = state.totals
    if state.status is not OrderStatus.COMPLETED and not totals.refunded + totals.pending_refunds:
        return False
    due = max(0, totals.gross - totals.credits + credit.amount)
    return due > max(totals.due, totals.net - totals.pending_refunds)


Bound = int | dict[PartId, int] | tuple[PartId, ...]


def argument_bounds(state: OrderState, action: Action) -> dict[str, Bound]:
    """The bounds of an action's arguments, by name.

    `amount` is the most minor units, `lines` the most minor units by line id, `items` the most
    units by line id. `payments`, `holds`, `shipments`, `returns`, `credits` and `changes` are the
    ids of the parts that the action is possible for.
    """
    if action in SHIPMENT_STEPS:
        befores = SHIPMENT_STEPS[action][0]
        return {"shipments": tuple(s.id for s in state.shipments if s.status in befores)}
    if action in RETURN_STEPS:
        steps = RETURN_STEPS[action][0]
        return {"returns": tuple(r.id for r in state.returns if r.status in steps)}
    if action is Action.GRANT_CREDIT:
        return _credit_bounds(state)
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


def recordable(state: OrderState) -> int:
    """What can be recorded as received elsewhere, in minor units, so that sums stay exact."""
    return AMOUNT_LIMIT - 1 - state.totals.captured


def capturable(state: OrderState) -> int:
    """What can still be captured, in minor units: never more than what is outstanding."""
    pending, totals = state.ledger.pending_captures(), state.totals
    return max(0, min(totals.authorized, totals.outstanding) - pending)


def uncollected(state: OrderState) -> int:
    """What can be written off, in minor units: what is still to be paid."""
    return min(state.totals.outstanding, state.totals.creditable)


def _cancellable_but_one(state: OrderState) -> dict[PartId, int]:
    """One unit must be left: cancelling the last one is cancelling the order."""
    most = sum(line.live for line in state.lines) - 1
    return {line_id: min(units, most) for line_id, units in cancellable_units(state).items()}


def _open_change_ids(state: OrderState) -> tuple[PartId, ...]:
    return tuple(change.id for change in state.open_changes)


def _correctable_ids(state: OrderState) -> tuple[PartId, ...]:
    return tuple(s.id for s in state.shipments if s.status is not ShipmentStatus.CANCELLED)


def _credit_bounds(state: OrderState) -> dict[str, Bound]:
    """Lines and their units need not be named, and units can be given up without an amount."""
    amount = state.totals.creditable
    bounds: dict[str, Bound] = {
        "lines": _some(creditable_by_line(state)),
        "items": _some(undeliverable_units(state)),
    }
    bounds = {name: bound for name, bound in bounds.items() if bound}
    return bounds if bounds and not amount else {"amount": amount, **bounds}


def _some(units: dict[PartId, int]) -> dict[PartId, int]:
    return {line_id: count for line_id, count in units.items() if count > 0}


_LIMITS: Mapping[Action, Mapping[str, Callable[[OrderState], Bound]]] = {
    Action.PAY: {"amount": payable},
    Action.RECORD_PAYMENT: {"amount": recordable},
    Action.CAPTURE: {"amount": capturable, "payments": lambda state: state.ledger.capturable_ids},
    Action.VOID: {"payments": lambda state: state.ledger.voidable_ids},
    Action.DISMISS_PAYMENT: {"payments": lambda state: state.ledger.doubtful_ids},
    Action.REFUND: {"amount": refundable, "payments": lambda state: state.ledger.refundable_ids},
    Action.REVOKE_CREDIT: {"credits": revocable_credit_ids},
    Action.RECORD_REFUND: {
        "amount": lambda state: state.ledger.total_held,
        "payments": lambda state: state.ledger.held_ids,
    },
    Action.WRITE_OFF: {"amount": uncollected},
    Action.CANCEL_ITEMS: {"items": lambda state: _some(_cancellable_but_one(state))},
    Action.APPLY_CHANGE: {"changes": _open_change_ids},
    Action.DECLINE_CHANGE: {"changes": _open_change_ids},
    Action.CREATE_SHIPMENT: {"items": lambda state: _some(shippable_units(state))},
    Action.RECORD_LATE_SHIPMENT: {"items": lambda state: _some(late_units(state))},
    Action.CORRECT_SHIPMENT: {"shipments": _correctable_ids},
    Action.REQUEST_RETURN: {"items": lambda state: _some(returnable_units(state))},
    Action.RELEASE: {"holds": lambda state: tuple(hold.id for hold in state.open_holds)},
}
