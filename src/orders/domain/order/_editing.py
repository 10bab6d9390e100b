"""Editing: the command that changes what is not money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypedDict, cast

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import AlreadyShipped, InvalidValue, PartNotFound
from orders.domain.identifiers import Actor, ActorKind, PartId
from orders.domain.lines import Line, read_only_metadata, require_metadata_room
from orders.domain.order._state_change import Fields, StateChange, Steps
from orders.domain.rules import is_packed, require_allowed
from orders.domain.state import OrderState
from orders.domain.validation import (
    MAX_NOTE,
    Address,
    Billing,
    Contact,
    Shipping,
    validate_billing,
    validate_contact,
    validate_kind,
    validate_message,
    validate_metadata,
    validate_reference,
    validate_str,
    validate_text,
)

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
