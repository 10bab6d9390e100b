"""Returns and credits: the commands that take units back and let the customer owe less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import CreditExceedsAvailable, IllegalStep, InvalidValue
from orders.domain.identifiers import PartId
from orders.domain.lines import (
    Items,
    TaxedPart,
    move_units,
    read_only_items,
    reduced,
    require_units,
    tax_lines,
)
from orders.domain.order._parts import amount_within, next_id, part, replaced
from orders.domain.order._state_change import StateChange, Steps, changed
from orders.domain.returns import RETURN_STEPS, WRITE_OFF, Credit, Return
from orders.domain.rules import require_allowed, returnable_units
from orders.domain.state import OrderState
from orders.domain.validation import validate_code, validate_whole


def grant_credit(state: OrderState, amount: int, reason: str, now: datetime) -> Steps[None]:
    """Let the customer owe `amount` less."""
    require_allowed(state, Action.GRANT_CREDIT, now=now)
    if validate_code(reason, "reason") == WRITE_OFF:
        raise InvalidValue("reason", "is for amounts that are written off")
    validate_whole(amount, "amount")
    granted = amount_within(amount, state.totals.creditable, CreditExceedsAvailable)
    yield granted_credit(state, granted, reason, now)


def request_return(state: OrderState, items: Items, reason: str, now: datetime) -> Steps[None]:
    """Ask to send delivered units back."""
    require_allowed(state, Action.REQUEST_RETURN, now=now)
    require_units(state.lines, items, returnable_units(state))
    a_return = Return(
        id=next_id(state.returns),
        items=read_only_items(items),
        reason=validate_code(reason, "reason"),
        created_at=now,
    )
    requested = events.ReturnRequested(
        return_id=a_return.id, items=a_return.items, reason=a_return.reason
    )
    yield changed(requested, returns=(*state.returns, a_return))


def approve_return(state: OrderState, return_id: str, now: datetime) -> Steps[None]:
    """Let the customer send the units."""
    a_return = _after_step(state, Action.APPROVE_RETURN, return_id, now)
    approved = events.ReturnApproved(return_id=a_return.id)
    yield changed(approved, returns=replaced(state.returns, a_return))


def decline_return(state: OrderState, return_id: str, now: datetime) -> Steps[None]:
    """Refuse to take the units back."""
    a_return = _after_step(state, Action.DECLINE_RETURN, return_id, now)
    declined = events.ReturnDeclined(return_id=a_return.id)
    yield changed(declined, returns=replaced(state.returns, a_return))


def close_return(state: OrderState, return_id: str, now: datetime) -> Steps[None]:
    """End a return."""
    a_return = _after_step(state, Action.CLOSE_RETURN, return_id, now)
    closed = events.ReturnClosed(return_id=a_return.id)
    yield changed(closed, returns=replaced(state.returns, a_return))


def receive_return(state: OrderState, return_id: str, now: datetime) -> Steps[None]:
    """Take the units in, then credit what was charged for them."""
    a_return = _after_step(state, Action.RECEIVE_RETURN, return_id, now)
    parts = _parts_of(state, a_return)
    # What was charged for the units, as far as it is not credited already.
    most = state.totals.creditable
    received = replace(a_return, credited=min(sum(part.gross for part in parts), most))
    state = yield changed(
        events.ReturnReceived(
            return_id=received.id, items=received.items, credited=received.credited
        ),
        returns=replaced(state.returns, received),
        lines=move_units(state.lines, received.items, returned=1),
    )
    if received.credited:
        yield granted_credit(
            state, received.credited, "return", now, return_id=received.id, parts=parts
        )


def _parts_of(state: OrderState, a_return: Return) -> Sequence[TaxedPart]:
    """What was charged for the units of a return, by line."""
    return [
        line.taxed_part(units, after=line.returned)
        for line in state.lines
        if (units := a_return.items.get(line.id, 0))
    ]


def _after_step(state: OrderState, action: Action, return_id: str, now: datetime) -> Return:
    """The return with the status that it has after the step."""
    require_allowed(state, action, now=now)
    a_return = part(state.returns, "return", return_id)
    befores, after = RETURN_STEPS[action]
    if a_return.status not in befores:
        raise IllegalStep("return", return_id, a_return.status)
    return replace(a_return, status=after)


def granted_credit(
    state: OrderState,
    amount: int,
    reason: str,
    now: datetime,
    *,
    return_id: PartId | None = None,
    parts: Sequence[TaxedPart] = (),
) -> StateChange:
    """Add a credit, whatever its amount."""
    credit = Credit(
        id=next_id(state.credits),
        amount=amount,
        reason=reason,
        created_at=now,
        return_id=return_id,
        tax_lines=tax_lines(reduced(parts, amount)),
    )
    granted = events.CreditGranted(
        credit_id=credit.id, amount=amount, reason=reason, tax=credit.tax
    )
    return changed(granted, credits=(*state.credits, credit))
