"""Returns and credits: the commands that take units back and let the customer owe less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import CreditExceedsAvailable, IllegalStep, InvalidValue
from orders.domain.identifiers import PartId
from orders.domain.lines import (
    Items,
    TaxedPart,
    move_units,
    read_only_items,
    require_units,
    tax_lines,
)
from orders.domain.money import allocate
from orders.domain.order._parts import amount_within, next_id, part, replaced
from orders.domain.order._state_change import Fields, StateChange, Steps, changed
from orders.domain.read_only import ReadOnlyDict
from orders.domain.returns import (
    REFUNDED_ELSEWHERE,
    RETURN_STEPS,
    WRITE_OFF,
    Credit,
    Return,
    credited_by_line,
    credited_tax_by_line,
)
from orders.domain.rules import (
    creditable_by_line,
    require_allowed,
    returnable_units,
    revocable_credit_ids,
    undeliverable_units,
)
from orders.domain.state import OrderState
from orders.domain.validation import validate_amount, validate_code, validate_whole

_RESERVED: Final = (WRITE_OFF, REFUNDED_ELSEWHERE)
"""Reasons by which the order knows the credits that it gives for something else."""
NOTHING: Final[Mapping[PartId, Any]] = ReadOnlyDict()


def grant_credit(
    state: OrderState,
    amount: int,
    reason: str,
    now: datetime,
    *,
    line_id: str | None,
    undeliverable: int,
) -> Steps[None]:
    """Let the customer owe `amount` less: for the order, or for a line and units of it."""
    require_allowed(state, Action.GRANT_CREDIT, now=now)
    if validate_code(reason, "reason") in _RESERVED:
        raise InvalidValue("reason", f"{reason} is for credits of another kind")
    validate_whole(amount, "amount")
    validate_amount(undeliverable, "undeliverable")
    if line_id is None:
        if undeliverable:
            raise InvalidValue("undeliverable", "needs the line_id of the units")
        granted = amount_within(amount, state.totals.creditable, CreditExceedsAvailable)
        yield granted_credit(state, granted, reason, now)
        return
    line = part(state.lines, "line", line_id)
    units = {line.id: undeliverable} if undeliverable else {}
    if units:
        require_units(state.lines, units, undeliverable_units(state))
    most = creditable_by_line(state)[line.id]
    # Units may have been credited before it was known that they cannot be delivered.
    least = 0 if units else 1
    granted = amount_within(amount, most, CreditExceedsAvailable, least=least)
    lines = {line.id: granted} if granted else {}
    yield granted_credit(state, granted, reason, now, lines=lines, undeliverable=units)


def revoke_credit(state: OrderState, credit_id: str, now: datetime) -> Steps[None]:
    """Take a credit back that was not paid out."""
    require_allowed(state, Action.REVOKE_CREDIT, now=now)
    credit = part(state.credits, "credit", credit_id)
    if credit.revoked_at is not None:
        raise IllegalStep("credit", credit_id, "revoked")
    if credit_id not in revocable_credit_ids(state):
        raise IllegalStep("credit", credit_id, "paid out")
    fields: Fields = {"credits": replaced(state.credits, replace(credit, revoked_at=now))}
    if credit.undeliverable:
        fields["lines"] = move_units(state.lines, credit.undeliverable, undeliverable=-1)
    if credit.return_id is not None:
        a_return = part(state.returns, "return", credit.return_id)
        fields["returns"] = replaced(state.returns, replace(a_return, credited=0))
    revoked = events.CreditRevoked(credit_id=credit.id, amount=credit.amount)
    yield changed(revoked, **fields)


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


def receive_return(
    state: OrderState, return_id: str, items: Items | None, credit: int | None, now: datetime
) -> Steps[None]:
    """Take the units in that came, then credit what was charged for them, or less."""
    a_return = _after_step(state, Action.RECEIVE_RETURN, return_id, now)
    came = a_return.items if items is None else items
    require_units(state.lines, came, a_return.items)
    charged = _charged_for(state, came)
    most = min(sum(charged.values()), state.totals.creditable)
    if credit is not None:
        validate_amount(credit, "credit")
    amount = amount_within(credit, most, CreditExceedsAvailable, least=0)
    received = replace(a_return, received=read_only_items(came), credited=amount)
    state = yield changed(
        events.ReturnReceived(return_id=received.id, items=read_only_items(came), credited=amount),
        returns=replaced(state.returns, received),
        lines=move_units(state.lines, came, returned=1),
    )
    if amount:
        shares = allocate(amount, list(charged.values()))
        lines = {line_id: share for line_id, share in zip(charged, shares, strict=True) if share}
        yield granted_credit(state, amount, "return", now, return_id=received.id, lines=lines)


def _charged_for(state: OrderState, items: Items) -> dict[PartId, int]:
    """What was charged for these units, as far as it is not credited already, by line."""
    credited = credited_by_line(state.credits)
    charged: dict[PartId, int] = {}
    for line in state.lines:
        if units := items.get(line.id, 0):
            # Each unit that came back or that nobody delivers has its own part of the price.
            settled = line.returned + line.undeliverable
            price = line.value_of(settled + units) - line.value_of(settled)
            charged[line.id] = max(0, min(price, line.gross - credited.get(line.id, 0)))
    return charged


def _taxed(state: OrderState, amounts: Mapping[PartId, int]) -> dict[PartId, TaxedPart]:
    """Amounts by line, each with the tax in it.

    The tax in all that is credited for a line follows from its sum. So a line that is credited
    in parts, some of them revoked, has exactly its tax credited in the end.
    """
    credited, taxed = credited_by_line(state.credits), credited_tax_by_line(state.credits)
    parts: dict[PartId, TaxedPart] = {}
    for line in state.lines:
        if amount := amounts.get(line.id, 0):
            tax = line.tax_in(credited.get(line.id, 0) + amount) - taxed.get(line.id, 0)
            parts[line.id] = line.part_of(amount, tax=max(0, min(amount, tax)))
    return parts


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
    lines: Mapping[PartId, int] = NOTHING,
    undeliverable: Items = NOTHING,
) -> StateChange:
    """Add a credit, whatever its amount."""
    parts = _taxed(state, lines)
    credit = Credit(
        id=next_id(state.credits),
        amount=amount,
        reason=reason,
        created_at=now,
        return_id=return_id,
        tax_lines=tax_lines(parts.values()),
        lines=lines,
        line_taxes={line_id: part.tax for line_id, part in parts.items() if part.tax},
        undeliverable=undeliverable,
    )
    granted = events.CreditGranted(
        credit_id=credit.id,
        amount=amount,
        reason=reason,
        tax=credit.tax,
        lines=credit.lines,
        undeliverable=credit.undeliverable,
    )
    fields: Fields = {"credits": (*state.credits, credit)}
    if undeliverable:
        fields["lines"] = move_units(state.lines, undeliverable, undeliverable=1)
    return changed(granted, **fields)
