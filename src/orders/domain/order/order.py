"""The order: the one aggregate. Its commands on money, shipments, returns and what was ordered are
in `paying`, `fulfilling`, `returning` and `amending`, facts about money in `booking`; how any of
them takes effect is in `aggregate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import AlreadyShipped, IllegalStep, InvalidValue, WouldCancelWholeOrder
from orders.domain.identifiers import SYSTEM, Actor, ActorKind, OrderId
from orders.domain.lifecycle import (
    OrderPaymentStatus,
    OrderStatus,
    derive_fulfillment_status,
    derive_return_status,
)
from orders.domain.lines import Items, Line, move_units, require_units
from orders.domain.order._changes import Amending
from orders.domain.order._payments import Paying
from orders.domain.order._returns import Returning
from orders.domain.order._shipments import Fulfilling
from orders.domain.parts import next_id, part, replaced
from orders.domain.pricing import OrderDraft, quote
from orders.domain.rules import (
    cancellable_units,
    is_packed,
    payments_to_void_before_expiry,
    refusals,
)
from orders.domain.state import Hold, Note, OrderState, ProcessedRequest
from orders.domain.validation import (
    MAX_NOTE,
    OrderLimits,
    Shipping,
    validate_code,
    validate_metadata,
    validate_reference,
    validate_text,
)

CANCEL_REASONS: Final = ("customer", "declined", "fraud", "inventory", "staff", "other")
KEPT_REQUESTS: Final = 256
"""How many answered requests an order remembers; the oldest are forgotten first."""


class Order(Paying, Fulfilling, Returning, Amending):
    """An order. Every change goes through a method that either keeps all the rules and records
    events, or raises an `OrderError` and changes nothing.

    Commands take who acts (`by`) and the time (`now`, aware UTC); ids of new parts count up
    from "1". After each change the order confirms and completes itself when it may.
    """

    __slots__ = ()

    @classmethod
    def place(
        cls,
        draft: OrderDraft,
        *,
        order_id: OrderId,
        number: str,
        tenant: str,
        customer_id: str | None,
        expires_at: datetime,
        by: Actor,
        now: datetime,
        limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
    ) -> Order:
        """Start an order. One that costs nothing is confirmed at once.

        Raises:
            InvalidValue: If the draft holds something that cannot be ordered.
            TotalChanged: If it does not cost what the caller expects.
        """
        priced = quote(draft, limits=limits)
        order = cls(
            OrderState(
                id=order_id,
                tenant=tenant,
                number=number,
                placed_by=by.subject,
                customer_id=customer_id,
                currency=draft.currency,
                lines=priced.lines,
                shipping=draft.shipping,
                external_reference=draft.external_reference,
                note=draft.note,
                metadata=dict(draft.metadata),
                created_at=now,
                updated_at=now,
                expires_at=expires_at,
                status=OrderStatus.PENDING,
                payment_status=OrderPaymentStatus.UNPAID,
                fulfillment_status=derive_fulfillment_status(priced.lines),
                return_status=derive_return_status(priced.lines, ()),
                totals=priced.totals,
            )
        )
        created = events.OrderCreated(
            number=number,
            currency=draft.currency,
            lines=len(priced.lines),
            gross=priced.totals.gross,
        )
        order._change(by, now, created)
        return order

    def confirm(self, *, by: Actor, now: datetime) -> None:
        """Commit to fulfilling the order."""
        self._move(Action.CONFIRM, events.OrderConfirmed(), by=by, now=now)

    def complete(self, *, by: Actor, now: datetime) -> None:
        """Close the order: everything is delivered and paid."""
        self._move(Action.COMPLETE, events.OrderCompleted(), by=by, now=now)

    def expire(self, *, now: datetime) -> None:
        """End an order that nobody paid in time.

        What is authorised or undecided is voided first. The order stays pending meanwhile, and
        is due again once nothing can come any more. May be repeated.

        Raises:
            NotYetExpired: If the time to pay is not over.
            PaymentInFlight: If money is kept for the order, covers it, or may come still.
        """
        self._require(Action.EXPIRE, now)
        if unwanted := payments_to_void_before_expiry(self._state.ledger):
            self._void_all(unwanted, now)
            return
        self._move(
            Action.EXPIRE, events.OrderExpired(), by=SYSTEM, now=now, lines=self._all_cancelled()
        )

    def cancel(self, reason: str, *, by: Actor, now: datetime) -> None:
        """Call the order off. What is authorised is voided, what was captured goes back."""
        if reason not in CANCEL_REASONS:
            raise InvalidValue("reason", f"must be one of {', '.join(CANCEL_REASONS)}")
        self._move(
            Action.CANCEL,
            events.OrderCancelled(reason=reason),
            by=by,
            now=now,
            lines=self._all_cancelled(),
            cancel_reason=reason,
        )

    def cancel_items(self, items: Items, reason: str, *, by: Actor, now: datetime) -> None:
        """Call some units off that are in no shipment."""
        self._require(Action.CANCEL_ITEMS, now)
        validate_code(reason, "reason")
        require_units(self._state.lines, items, cancellable_units(self._state))
        if sum(items.values()) >= sum(line.live for line in self._state.lines):
            raise WouldCancelWholeOrder
        cancelled = events.OrderItemsCancelled(items=dict(items), reason=reason)
        lines = move_units(self._state.lines, items, cancelled=1)
        self._change(by, now, cancelled, lines=lines)

    def edit(self, changes: Mapping[str, Any], *, by: Actor, now: datetime) -> None:
        """Change `note`, `metadata`, `external_reference` or the shipping `address`.

        `changes` holds the new values; None removes one. Nothing is recorded if nothing differs.
        A new address is for parcels to come: each that is packed keeps the one it was packed for.

        Raises:
            InvalidValue: If a value cannot be, or is none that can be edited.
            AlreadyShipped: If a customer changes the address when something is packed.
        """
        self._require(Action.EDIT, now)
        edited: dict[str, Any] = {}
        for name, value in changes.items():
            match name:
                case "note":
                    edited[name] = (
                        None if value is None else validate_text(value, name, most=MAX_NOTE)
                    )
                case "metadata":
                    edited[name] = {} if value is None else validate_metadata(value, name)
                case "external_reference":
                    edited[name] = None if value is None else validate_reference(value, name)
                case "address":
                    shipping = self._state.shipping or Shipping()
                    edited["shipping"] = replace(shipping, address=value)
                case _:
                    raise InvalidValue(name, "cannot be edited")
        edited = {name: new for name, new in edited.items() if getattr(self._state, name) != new}
        if "shipping" in edited and by.kind is ActorKind.CUSTOMER and is_packed(self._state):
            raise AlreadyShipped
        if edited:
            self._change(by, now, events.OrderEdited(fields=tuple(sorted(edited))), **edited)

    def add_note(self, content: str, *, by: Actor, now: datetime) -> None:
        """Write a note for staff."""
        self._require(Action.ADD_NOTE, now)
        note = Note(
            id=next_id(self._state.notes),
            text=validate_text(content, "text", most=MAX_NOTE),
            author=by.subject,
            created_at=now,
        )
        added = events.NoteAdded(note_id=note.id)
        self._change(by, now, added, notes=(*self._state.notes, note))

    def hold(self, reason: str, *, by: Actor, now: datetime) -> None:
        """Hold the order back for a named reason; many may stand at once."""
        self._require(Action.HOLD, now)
        hold = Hold(
            id=next_id(self._state.holds), reason=validate_code(reason, "reason"), placed_at=now
        )
        held = events.OrderHeld(hold_id=hold.id, reason=hold.reason)
        self._change(by, now, held, holds=(*self._state.holds, hold))

    def release(self, hold_id: str, *, by: Actor, now: datetime) -> None:
        """Lift one hold."""
        self._require(Action.RELEASE, now)
        hold = part(self._state.holds, "hold", hold_id)
        if hold.released_at is not None:
            raise IllegalStep("hold", hold_id, "released")
        holds = replaced(self._state.holds, replace(hold, released_at=now))
        self._change(by, now, events.OrderReleased(hold_id=hold.id), holds=holds)

    def find_request(self, key: str) -> ProcessedRequest | None:
        """The request with this key's digest, if the order has answered one."""
        return next((r for r in self._state.requests if r.key == key), None)

    def record_request(self, request: ProcessedRequest) -> None:
        """Keep a request's key, in the same write as what it changed."""
        kept = (*self._state.requests, request)[-KEPT_REQUESTS:]
        self._state = replace(self._state, requests=kept)

    def _all_cancelled(self) -> tuple[Line, ...]:
        return tuple(replace(line, cancelled=line.quantity) for line in self._state.lines)

    def _follow_up(self, before: OrderState, now: datetime) -> None:
        self._send_back(before, now)
        for action, event in (
            (Action.CONFIRM, events.OrderConfirmed()),
            (Action.COMPLETE, events.OrderCompleted()),
        ):
            if not refusals(self._state, action, now=now):
                self._move(action, event, by=SYSTEM, now=now)
                return
