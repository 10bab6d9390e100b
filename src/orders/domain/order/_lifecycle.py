"""The commands on the order as a whole: confirming, ending, assigning, holding."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import IllegalStep, InvalidValue, WouldCancelWholeOrder
from orders.domain.identifiers import Actor
from orders.domain.lines import Items, Line, move_units, read_only_items, require_units
from orders.domain.order._changes import with_change_status
from orders.domain.order._parts import next_id, part, replaced
from orders.domain.order._payments import voids_of
from orders.domain.order._state_change import StateChange, Steps, changed, moved
from orders.domain.order_changes import ChangeStatus
from orders.domain.rules import (
    cancellable_units,
    payments_to_void_before_expiry,
    require_allowed,
)
from orders.domain.state import Hold, Note, OrderState
from orders.domain.validation import (
    MAX_NOTE,
    validate_code,
    validate_reference,
    validate_text,
)

CANCEL_REASONS: Final = ("customer", "declined", "fraud", "inventory", "staff", "other")


def confirm(state: OrderState, now: datetime) -> Steps[None]:
    """Commit to fulfilling the order."""
    yield moved(state, Action.CONFIRM, events.OrderConfirmed(), now)


def complete(state: OrderState, now: datetime) -> Steps[None]:
    """Close the order."""
    yield completed(state, now)


def completed(state: OrderState, now: datetime) -> StateChange:
    """Close the order, and decline the change that only waits for its customer, if there is one."""
    move = moved(state, Action.COMPLETE, events.OrderCompleted(), now)
    if not state.open_changes:
        return move
    (change,) = state.open_changes
    declined = events.OrderChangeDeclined(change_id=change.id)
    changes = with_change_status(state, change, ChangeStatus.DECLINED)
    return StateChange((declined, *move.events), {**move.fields, "changes": changes})


def expire(state: OrderState, now: datetime) -> Steps[None]:
    """Void what is authorised or undecided; if there is nothing, end the order."""
    require_allowed(state, Action.EXPIRE, now=now)
    if to_void := payments_to_void_before_expiry(state.ledger):
        yield from voids_of(state, to_void, now)
        return
    expired = events.OrderExpired()
    yield moved(state, Action.EXPIRE, expired, now, lines=_all_cancelled(state))


def cancel(state: OrderState, reason: str, now: datetime) -> Steps[None]:
    """End the order and cancel all its units."""
    if reason not in CANCEL_REASONS:
        raise InvalidValue("reason", f"must be one of {', '.join(CANCEL_REASONS)}")
    cancelled = events.OrderCancelled(reason=reason)
    yield moved(
        state, Action.CANCEL, cancelled, now, lines=_all_cancelled(state), cancel_reason=reason
    )


def cancel_items(state: OrderState, items: Items, reason: str, now: datetime) -> Steps[None]:
    """Cancel some units."""
    require_allowed(state, Action.CANCEL_ITEMS, now=now)
    validate_code(reason, "reason")
    require_units(state.lines, items, cancellable_units(state))
    if sum(items.values()) >= sum(line.live for line in state.lines):
        raise WouldCancelWholeOrder
    cancelled = events.OrderItemsCancelled(items=read_only_items(items), reason=reason)
    yield changed(cancelled, lines=move_units(state.lines, items, cancelled=1))


def assign_customer(state: OrderState, customer_id: str, now: datetime) -> Steps[None]:
    """Make a guest's order a customer's, unless it is theirs already."""
    if validate_reference(customer_id, "customer_id") == state.customer_id:
        return
    require_allowed(state, Action.ASSIGN_CUSTOMER, now=now)
    yield changed(events.CustomerAssigned(), customer_id=customer_id)


def add_note(state: OrderState, content: str, by: Actor, now: datetime) -> Steps[None]:
    """Add a note for staff."""
    require_allowed(state, Action.ADD_NOTE, now=now)
    note = Note(
        id=next_id(state.notes),
        text=validate_text(content, "text", most=MAX_NOTE),
        author=by.subject,
        created_at=now,
    )
    yield changed(events.NoteAdded(note_id=note.id), notes=(*state.notes, note))


def hold(state: OrderState, reason: str, now: datetime) -> Steps[None]:
    """Add a hold."""
    require_allowed(state, Action.HOLD, now=now)
    hold = Hold(id=next_id(state.holds), reason=validate_code(reason, "reason"), placed_at=now)
    held = events.OrderHeld(hold_id=hold.id, reason=hold.reason)
    yield changed(held, holds=(*state.holds, hold))


def release(state: OrderState, hold_id: str, now: datetime) -> Steps[None]:
    """Release one hold."""
    require_allowed(state, Action.RELEASE, now=now)
    hold = part(state.holds, "hold", hold_id)
    if hold.released_at is not None:
        raise IllegalStep("hold", hold_id, "released")
    released = events.OrderReleased(hold_id=hold.id)
    yield changed(released, holds=replaced(state.holds, replace(hold, released_at=now)))


def _all_cancelled(state: OrderState) -> tuple[Line, ...]:
    return tuple(replace(line, cancelled=line.quantity, undeliverable=0) for line in state.lines)
