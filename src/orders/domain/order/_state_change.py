"""What a command makes of an order's state: typed changes, each with its events."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, TypeVar, Unpack

from orders.domain.actions import Action
from orders.domain.events import OrderEvent
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from orders.domain.lines import Line
from orders.domain.order_changes import Change
from orders.domain.payments import Ledger
from orders.domain.returns import Credit, Return
from orders.domain.rules import require_allowed
from orders.domain.shipments import Shipment
from orders.domain.state import Hold, Note, OrderState
from orders.domain.validation import Billing, Contact, Shipping

R = TypeVar("R")


class Fields(TypedDict, total=False):
    """The fields of the state that a command may set. All others are derived from them."""

    status: OrderStatus
    customer_id: str | None
    lines: tuple[Line, ...]
    shipping: Shipping | None
    external_reference: str | None
    note: str | None
    metadata: Mapping[str, str]
    contact: Contact | None
    billing: Billing | None
    gift_message: str | None
    cancel_reason: str | None
    ledger: Ledger
    shipments: tuple[Shipment, ...]
    returns: tuple[Return, ...]
    credits: tuple[Credit, ...]
    holds: tuple[Hold, ...]
    notes: tuple[Note, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class StateChange:
    """Fields with their new values, and the events that say what happened."""

    events: tuple[OrderEvent, ...]
    fields: Fields


Steps = Generator[StateChange, OrderState, R]
"""A command: it yields each change, and gets the state that the change has led to.

It raises before its first change or not at all, so that a refused command changes nothing.
"""


def changed(*new_events: OrderEvent, **fields: Unpack[Fields]) -> StateChange:
    """A change of these fields."""
    return StateChange(new_events, fields)


def moved(
    state: OrderState,
    action: Action,
    event: OrderEvent,
    now: datetime,
    **fields: Unpack[Fields],
) -> StateChange:
    """A change of these fields and of the status, along the transition table.

    Raises:
        OrderError: If a rule forbids the action now.
    """
    require_allowed(state, action, now=now)
    fields["status"] = TRANSITIONS[state.status, action]
    return StateChange((event,), fields)
