"""The bounds of the arguments of commands.

The commands check their arguments; the bounds are here, so that callers can see them before they
give a command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orders.domain.actions import Action
from orders.domain.identifiers import PartId
from orders.domain.money import AMOUNT_LIMIT
from orders.domain.payments import IN_FLIGHT
from orders.domain.returns import RETURN_STEPS, awaited_units
from orders.domain.shipments import SHIPMENT_STEPS
from orders.domain.state import OrderState


def in_flight(state: OrderState) -> int:
    """The sum of payments without an outcome, in minor units."""
    return sum(p.amount for p in state.ledger.payments if p.status in IN_FLIGHT)


def payable(state: OrderState) -> int:
    """What can still be paid, in minor units: not what is authorised or in flight already."""
    totals = state.totals
    return max(0, totals.outstanding - totals.authorized - in_flight(state))


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


def _some(units: dict[PartId, int]) -> dict[PartId, int]:
    return {line_id: count for line_id, count in units.items() if count > 0}


_LIMITS: Mapping[Action, Mapping[str, Callable[[OrderState], Bound]]] = {
    Action.PAY: {"amount": payable},
    Action.RECORD_PAYMENT: {"amount": recordable},
    Action.CAPTURE: {"amount": capturable, "payments": lambda state: state.ledger.capturable_ids},
    Action.VOID: {"payments": lambda state: state.ledger.voidable_ids},
    Action.DISMISS_PAYMENT: {"payments": lambda state: state.ledger.doubtful_ids},
    Action.REFUND: {"amount": refundable, "payments": lambda state: state.ledger.refundable_ids},
    Action.RECORD_REFUND: {
        "amount": lambda state: state.ledger.total_held,
        "payments": lambda state: state.ledger.held_ids,
    },
    Action.GRANT_CREDIT: {"amount": lambda state: state.totals.creditable},
    Action.WRITE_OFF: {"amount": uncollected},
    Action.CANCEL_ITEMS: {"items": lambda state: _some(_cancellable_but_one(state))},
    Action.APPLY_CHANGE: {"changes": _open_change_ids},
    Action.DECLINE_CHANGE: {"changes": _open_change_ids},
    Action.CREATE_SHIPMENT: {"items": lambda state: _some(shippable_units(state))},
    Action.REQUEST_RETURN: {"items": lambda state: _some(returnable_units(state))},
    Action.RELEASE: {"holds": lambda state: tuple(hold.id for hold in state.open_holds)},
}
