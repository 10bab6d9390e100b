"""How an order changes: apply a change, derive the rest of the state, record the events."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypedDict, TypeVar

from orders.domain.errors import InvalidValue
from orders.domain.events import (
    OrderEvent,
    OrderPaid,
    OrderSnapshot,
    PaymentDueDateSet,
    RecordedEvent,
)
from orders.domain.identifiers import SYSTEM, Actor
from orders.domain.lifecycle import (
    ENDED_UNPAID,
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    derive_fulfillment_status,
    derive_return_status,
    payment_status_of,
)
from orders.domain.order._follow_ups import follow_ups, is_nearer_the_end, late_payments
from orders.domain.order._refunds_elsewhere import with_refunds_elsewhere_credited
from orders.domain.order._state_change import Fields, StateChange, Steps
from orders.domain.payments import PaymentTerms
from orders.domain.pricing import LineTotals, Totals, totals_of
from orders.domain.rules import dated_terms, next_action_at
from orders.domain.state import OrderState
from orders.domain.validation import validate_time

R = TypeVar("R")
_TICK: Final = timedelta(milliseconds=1)


class Derived(TypedDict, total=False):
    """The fields of the state that follow from the others."""

    totals: Totals
    payment_status: OrderPaymentStatus
    fulfillment_status: OrderFulfillmentStatus
    return_status: OrderReturnStatus
    next_action_at: datetime | None
    terms: PaymentTerms | None


class OrderCore:
    """The state of one order, its events that are not stored yet, and what its store knows."""

    __slots__ = ("events", "state", "stored", "write_token")

    def __init__(self, state: OrderState, *, write_token: object = None) -> None:
        self.state = state
        self.stored = state
        self.write_token = write_token
        self.events: tuple[RecordedEvent, ...] = ()

    def mark_stored(self, version: int, *, write_token: object) -> None:
        """Note that a store has written the state, at this version."""
        self.state = self.stored = replace(self.state, version=version)
        self.write_token = write_token
        self.events = ()

    def carry_out(self, steps: Steps[R], by: Actor, now: datetime) -> R:
        """Apply the changes of a command, each with all that follows from it.

        Raises:
            InvalidValue: If `by` is not an actor, or `now` is not an aware time.
            OrderError: If the command is refused. Nothing has changed then.
        """
        if not isinstance(by, Actor):
            raise InvalidValue("by", "must be an Actor")
        validate_time(now, "now")
        before = self.state, self.events
        try:
            return self._run(steps, by, now)
        except BaseException:
            self.state, self.events = before
            raise

    def _run(self, steps: Steps[R], by: Actor, now: datetime, *, follows: bool = False) -> R:
        try:
            change = next(steps)
            while True:
                before = self.state
                self.state, new_events = _applied(before, change, self.stored, now)
                if follows and not is_nearer_the_end(before, self.state):
                    raise AssertionError("what follows from a change must come to an end")
                self.events += _recorded(new_events, before.sequence, self.state, by, now)
                self._run(follow_ups(before, self.state, now), SYSTEM, now, follows=True)
                change = steps.send(self.state)
        except StopIteration as end:
            result: R = end.value
            return result


def _applied(
    before: OrderState, change: StateChange, stored: OrderState, now: datetime
) -> tuple[OrderState, tuple[OrderEvent, ...]]:
    """The state after a change, and the events of the change with those that it implies."""
    change = with_refunds_elsewhere_credited(before, change, now)
    # After the last stored change: of the clocks of two processes one may be behind.
    is_later = stored.version == 0 or now > stored.updated_at
    at = now if is_later else stored.updated_at + _TICK
    derived = _derived(before, change.fields, at)
    new_events = change.events
    if derived["payment_status"] is OrderPaymentStatus.PAID is not before.payment_status:
        new_events += (OrderPaid(amount=derived["totals"].net),)
    terms = derived.get("terms")
    if terms is not None and terms is not before.terms:
        new_events += (PaymentDueDateSet(payment_due_at=terms.payment_due_at),)
    if before.status in ENDED_UNPAID:
        new_events += late_payments(before.ledger, change.fields.get("ledger", before.ledger))
    sequence = before.sequence + len(new_events)
    state = replace(before, **change.fields, **derived, updated_at=at, sequence=sequence)
    return state, new_events


def _derived(before: OrderState, fields: Fields, now: datetime) -> Derived:
    """The fields that are computed from others, where they may differ from before."""
    lines = fields.get("lines", before.lines)
    returns = fields.get("returns", before.returns)
    ledger = fields.get("ledger", before.ledger)
    status = fields.get("status", before.status)
    shipping = fields.get("shipping", before.shipping)
    policy = before.tax_policy
    # Lines are many, and most changes are about something else.
    same_lines = lines is before.lines
    totals = totals_of(
        LineTotals.known_from(before.totals, before.shipping, policy)
        if same_lines
        else LineTotals.of(lines, policy),
        shipping=shipping,
        policy=policy,
        credits=fields.get("credits", before.credits),
        ledger=ledger,
        ended_unpaid=status in ENDED_UNPAID,
    )
    derived: Derived = {
        "totals": totals,
        "payment_status": payment_status_of(totals, ledger),
        "next_action_at": next_action_at(status, before.expires_at, ledger, totals, before.terms),
    }
    if before.terms is not None:
        derived["terms"] = dated_terms(
            before.terms,
            status=status,
            lines=lines,
            shipments=fields.get("shipments", before.shipments),
            now=now,
        )
    if not same_lines:
        derived["fulfillment_status"] = derive_fulfillment_status(lines)
    if not same_lines or returns is not before.returns:
        derived["return_status"] = derive_return_status(lines, returns)
    return derived


def _recorded(
    new_events: tuple[OrderEvent, ...],
    sequence: int,
    after: OrderState,
    by: Actor,
    now: datetime,
) -> tuple[RecordedEvent, ...]:
    if not new_events:
        return ()
    snapshot = OrderSnapshot(
        status=after.status,
        payment_status=after.payment_status,
        fulfillment_status=after.fulfillment_status,
        return_status=after.return_status,
        totals=after.totals,
    )
    return tuple(
        RecordedEvent(
            sequence=number,
            version=after.version + 1,
            occurred_at=now,
            actor=by,
            event=event,
            after=snapshot,
        )
        for number, event in enumerate(new_events, start=sequence + 1)
    )
