"""The commands that change what was ordered, in two steps: propose, then apply or decline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    ChangeOutdated,
    IllegalStep,
    InvalidValue,
    TotalChanged,
    WouldCancelWholeOrder,
)
from orders.domain.identifiers import Actor
from orders.domain.lines import (
    EXCLUDED_BY_LINE,
    DraftLine,
    Items,
    Line,
    lines_of,
    move_units,
    read_only_items,
    require_metadata_room,
    require_units,
    taxed_at,
)
from orders.domain.order._parts import next_id, part, replaced
from orders.domain.order._state_change import Steps, changed
from orders.domain.order_changes import Change, ChangeStatus, ShippingChange
from orders.domain.pricing import LineTotals, taxed_shipping, totals_of
from orders.domain.rules import cancellable_units, require_allowed
from orders.domain.state import OrderState
from orders.domain.validation import (
    OrderLimits,
    Shipping,
    validate_code,
    validate_kind,
    validate_whole,
)


def propose_change(
    state: OrderState,
    removed: Items,
    added: Sequence[DraftLine],
    shipping: ShippingChange | None,
    reason: str,
    expected_total: int | None,
    by: Actor,
    now: datetime,
    limits: OrderLimits,
) -> Steps[None]:
    """Work out what the order would cost with units removed, lines added, or another shipping."""
    require_allowed(state, Action.PROPOSE_CHANGE, now=now)
    _require_kind(shipping)
    lines = _numbered(state, added, limits)
    after = _lines_with(state, removed, lines)
    shipping = _taxed(shipping, state, after)
    if not removed and not added and _shipping_with(state, shipping) == state.shipping:
        raise InvalidValue("items", "must remove units, add a line or change the shipping")
    gross = _gross_of(state, after, _shipping_with(state, shipping))
    if expected_total is not None and validate_whole(expected_total, "expected_total") != gross:
        raise TotalChanged(stated=expected_total, actual=gross)
    change = Change(
        id=next_id(state.changes),
        removed=read_only_items(removed),
        added=lines,
        reason=validate_code(reason, "reason"),
        base_version=state.version,
        gross=gross,
        created_at=now,
        shipping=shipping,
        proposed_by=by.kind,
    )
    proposed = events.OrderChangeProposed(
        change_id=change.id,
        removed=change.removed,
        added=len(lines),
        gross=gross,
        shipping_method=_method_of(change),
    )
    yield changed(proposed, changes=(*state.changes, change))


def apply_change(state: OrderState, change_id: str, now: datetime) -> Steps[None]:
    """Apply a proposed change at the price at which it was proposed."""
    change = _open_change(state, Action.APPLY_CHANGE, change_id, now)
    lines = _lines_with(state, change.removed, change.added)
    shipping = _shipping_with(state, change.shipping)
    gross = _gross_of(state, lines, shipping)
    if gross != change.gross:
        raise ChangeOutdated(change_id, agreed=change.gross, actual=gross)
    applied = events.OrderChanged(
        change_id=change.id,
        removed=change.removed,
        added=len(change.added),
        gross=gross,
        shipping_method=_method_of(change),
    )
    changes = with_change_status(state, change, ChangeStatus.APPLIED)
    yield changed(applied, changes=changes, lines=lines, shipping=shipping)


def decline_change(state: OrderState, change_id: str, now: datetime) -> Steps[None]:
    """Drop a proposed change."""
    change = _open_change(state, Action.DECLINE_CHANGE, change_id, now)
    declined = events.OrderChangeDeclined(change_id=change.id)
    yield changed(declined, changes=with_change_status(state, change, ChangeStatus.DECLINED))


def _open_change(state: OrderState, action: Action, change_id: str, now: datetime) -> Change:
    require_allowed(state, action, now=now)
    change = part(state.changes, "change", change_id)
    if change.status is not ChangeStatus.PROPOSED:
        raise IllegalStep("change", change_id, change.status)
    return change


def with_change_status(
    state: OrderState, change: Change, status: ChangeStatus
) -> tuple[Change, ...]:
    """The order's changes with one in another status."""
    return replaced(state.changes, replace(change, status=status))


def _lines_with(state: OrderState, removed: Items, added: tuple[Line, ...]) -> tuple[Line, ...]:
    lines = state.lines
    # An empty mapping removes nothing; anything else must be units by line.
    if removed != {}:
        require_units(lines, removed, cancellable_units(state))
        lines = move_units(lines, removed, cancelled=1)
    if added:
        lines = (*lines, *added)
    if not any(line.live for line in lines):
        raise WouldCancelWholeOrder
    return lines


def _require_kind(change: ShippingChange | None) -> None:
    if change is not None:
        validate_kind(change, ShippingChange, "shipping")
        validate_code(change.method, "shipping/method")


def _shipping_with(state: OrderState, change: ShippingChange | None) -> Shipping | None:
    return state.shipping if change is None else change.applied_to(state.shipping)


def _taxed(
    change: ShippingChange | None, state: OrderState, lines: tuple[Line, ...]
) -> ShippingChange | None:
    """The change with its tax, as the order with these lines would have it."""
    if change is None:
        return None
    policy = state.tax_policy or EXCLUDED_BY_LINE
    taxed = taxed_shipping(change.applied_to(state.shipping), lines, policy)
    return replace(change, tax=taxed.tax, tax_rate=taxed.tax_rate) if taxed else None


def _method_of(change: Change) -> str | None:
    return None if change.shipping is None else change.shipping.method


def _gross_of(state: OrderState, lines: tuple[Line, ...], shipping: Shipping | None) -> int:
    policy = state.tax_policy
    return totals_of(LineTotals.of(lines, policy), shipping=shipping, policy=policy).gross


def _taxed_so_far(state: OrderState) -> Counter[str]:
    taxed = taxed_at(state.lines)
    if state.shipping and state.shipping.tax_rate is not None:
        taxed[state.shipping.tax_rate] += state.shipping.price
    return taxed


def _numbered(
    state: OrderState, added: Sequence[DraftLine], limits: OrderLimits
) -> tuple[Line, ...]:
    """The added lines, checked, with the ids that follow the existing ones."""
    if not isinstance(added, list | tuple):
        raise InvalidValue("lines", "must be a tuple or list of DraftLine")
    if not added:
        return ()
    after = len(state.lines)
    # Declined lines count: they are kept, and could otherwise be proposed without end.
    declined = sum(len(each.added) for each in state.changes if not each.is_applied)
    if after + declined + len(added) > limits.lines:
        raise InvalidValue(
            "lines", f"an order has at most {limits.lines} lines, declined ones included"
        )
    lines = lines_of(
        added,
        order_discount=0,
        limits=limits,
        policy=state.tax_policy or EXCLUDED_BY_LINE,
        taxed=_taxed_so_far(state),
    )
    kept = (line for each in state.changes for line in each.added)
    # Twice: once applied, the change and the order both hold them.
    require_metadata_room((*state.lines, *kept, *lines, *lines))
    return tuple(
        replace(line, id=str(number)) for number, line in enumerate(lines, start=after + 1)
    )
