"""The commands on the order as a whole: confirming, ending, editing, assigning, holding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypedDict, cast

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import (
    AlreadyShipped,
    IllegalStep,
    InvalidValue,
    PartNotFound,
    WouldCancelWholeOrder,
)
from orders.domain.identifiers import Actor, ActorKind, PartId
from orders.domain.lines import (
    Items,
    Line,
    move_units,
    read_only_items,
    read_only_metadata,
    require_metadata_room,
    require_units,
)
from orders.domain.order._changes import with_change_status
from orders.domain.order._parts import next_id, part, replaced
from orders.domain.order._payments import voids_of
from orders.domain.order._state_change import Fields, StateChange, Steps, changed, moved
from orders.domain.order_changes import ChangeStatus
from orders.domain.rules import (
    cancellable_units,
    is_packed,
    payments_to_void_before_expiry,
    require_allowed,
)
from orders.domain.state import Hold, Note, OrderState
from orders.domain.validation import (
    MAX_NOTE,
    Address,
    Billing,
    Contact,
    Shipping,
    validate_billing,
    validate_code,
    validate_contact,
    validate_kind,
    validate_message,
    validate_metadata,
    validate_reference,
    validate_str,
    validate_text,
)

CANCEL_REASONS: Final = ("customer", "declined", "fraud", "inventory", "staff", "other")
LineMetadata = Mapping[PartId, Mapping[str, str] | None]
"""The new metadata of some lines, by line id; None for none."""


class Unchanged(Enum):
    """The one value that says: leave this field as it is. None removes the field's value."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Edits(TypedDict):
    """The new values of an edit, by name."""

    note: str | None | Unchanged
    external_reference: str | None | Unchanged
    metadata: Mapping[str, str] | None | Unchanged
    address: Address | None | Unchanged
    instructions: str | None | Unchanged
    contact: Contact | None | Unchanged
    billing: Billing | None | Unchanged
    gift_message: str | None | Unchanged
    line_metadata: LineMetadata | Unchanged


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


def edit(state: OrderState, by: Actor, now: datetime, edits: Edits) -> Steps[None]:
    """Change what is not money, if anything differs."""
    require_allowed(state, Action.EDIT, now=now)
    fields = {
        name: _REMOVED.get(name) if value is None else _CHECKED[name](value)
        for name, value in edits.items()
        if value is not UNCHANGED and name in _CHECKED
    }
    fields["shipping"] = _shipping(state.shipping, edits)
    fields["lines"] = _lines(state, edits["line_metadata"])
    fields = {name: new for name, new in fields.items() if getattr(state, name) != new}
    if by.kind is ActorKind.CUSTOMER and is_packed(state) and _IN_THE_PARCEL & fields.keys():
        raise AlreadyShipped
    if fields:
        edited = events.OrderEdited(fields=tuple(sorted(fields)))
        yield StateChange((edited,), cast("Fields", fields))


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


def _shipping(shipping: Shipping | None, edits: Edits) -> Shipping | None:
    address, instructions = edits["address"], edits["instructions"]
    if address is not UNCHANGED:
        if address is not None:
            validate_kind(address, Address, "address")
        shipping = replace(shipping or Shipping(), address=address)
    if instructions is not UNCHANGED:
        if instructions is not None:
            validate_message(instructions, "shipping/instructions")
        shipping = replace(shipping or Shipping(), instructions=instructions)
    return shipping


def _lines(state: OrderState, edited: LineMetadata | Unchanged) -> tuple[Line, ...]:
    if edited is UNCHANGED:
        return state.lines
    if not isinstance(edited, Mapping):
        raise InvalidValue("lines", "must be metadata by line id")
    new = {
        validate_str(line_id, "lines"): read_only_metadata(
            {} if metadata is None else metadata, f"lines/{line_id}/metadata"
        )
        for line_id, metadata in edited.items()
    }
    for line_id in new.keys() - {line.id for line in state.lines}:
        raise PartNotFound("line", line_id)
    lines = tuple(
        replace(line, metadata=new[line.id]) if line.id in new else line for line in state.lines
    )
    require_metadata_room((*lines, *(line for change in state.changes for line in change.added)))
    return lines


_REMOVED: Final[Mapping[str, object]] = {"metadata": {}}
"""What a field holds whose value is removed, if it is not None."""
_IN_THE_PARCEL: Final = frozenset({"shipping", "gift_message", "lines"})
"""What a customer cannot change once something is packed: it is on the parcel, or in it."""
_CHECKED: Final[Mapping[str, Callable[[Any], object]]] = {
    "note": lambda note: validate_text(note, "note", most=MAX_NOTE),
    "external_reference": lambda reference: validate_reference(reference, "external_reference"),
    "metadata": lambda metadata: validate_metadata(metadata, "metadata"),
    "contact": validate_contact,
    "billing": validate_billing,
    "gift_message": lambda message: validate_message(message, "gift_message"),
}
