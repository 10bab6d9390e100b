"""How an order changes: check, change, record. Every command of every part goes through here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import refuse_if_any
from orders.domain.identifiers import Actor, OrderId
from orders.domain.lifecycle import (
    ENDED_UNPAID,
    TRANSITIONS,
    OrderPaymentStatus,
    OrderStatus,
    derive_fulfillment_status,
    derive_return_status,
    payment_status_of,
)
from orders.domain.rules import next_action_at, refusals
from orders.domain.state import OrderState
from orders.domain.totals import LineTotals, totals_of


class Changing:
    """An order's state, the events that made it so, and the one way to a new state."""

    __slots__ = ("_events", "_state", "_stored", "_write_token")

    def __init__(self, state: OrderState, *, write_token: object = None) -> None:
        """Restore an order. For stores only: `Order.place` starts one."""
        self._state = state
        self._stored = state
        self._write_token = write_token
        self._events: tuple[events.RecordedEvent, ...] = ()

    @property
    def id(self) -> OrderId:
        """The order's id."""
        return self._state.id

    @property
    def status(self) -> OrderStatus:
        """Where the order stands."""
        return self._state.status

    @property
    def version(self) -> int:
        """The version a store has; 0 for an order no store has yet."""
        return self._state.version

    @property
    def state(self) -> OrderState:
        """Everything about the order, to read."""
        return self._state

    @property
    def stored(self) -> OrderState:
        """The state a store last gave or took: what differs from it is new."""
        return self._stored

    @property
    def new_events(self) -> tuple[events.RecordedEvent, ...]:
        """What happened since a store last gave or took the order."""
        return self._events

    @property
    def write_token(self) -> object:
        """What a store tells the write by that made this version from any other. For stores only.

        A version may be written twice: if the first write is lost with the server that had it.
        """
        return self._write_token

    def mark_stored(self, version: int, *, write_token: object = None) -> None:
        """Note that a store has taken the order, now at this version. For stores only."""
        self._state = self._stored = replace(self._state, version=version)
        self._write_token = write_token
        self._events = ()

    def _require(self, action: Action, now: datetime) -> None:
        refuse_if_any(refusals(self._state, action, now=now))

    def _move(
        self,
        action: Action,
        event: events.OrderEvent,
        *,
        by: Actor,
        now: datetime,
        **changes: Any,
    ) -> None:
        self._require(action, now)
        status = TRANSITIONS[self._state.status, action]
        self._change(by, now, event, status=status, **changes)

    def _change(
        self, by: Actor, now: datetime, *new_events: events.OrderEvent, **changes: Any
    ) -> None:
        """Take the new values, work out what follows from them, and record what happened."""
        before = self._state
        state = replace(before, **changes) if changes else before
        # Lines are many, and most changes are about something else.
        same_lines = state.lines is before.lines
        totals = totals_of(
            LineTotals.known_from(before.totals) if same_lines else LineTotals.of(state.lines),
            shipping=state.shipping.price if state.shipping else 0,
            credits=state.credits,
            ledger=state.ledger,
            ended_unpaid=state.status in ENDED_UNPAID,
        )
        payment_status = payment_status_of(totals, state.ledger)
        if payment_status is OrderPaymentStatus.PAID is not before.payment_status:
            new_events = (*new_events, events.OrderPaid(amount=totals.net))
        derived: dict[str, Any] = {"totals": totals, "payment_status": payment_status}
        if not same_lines:
            derived["fulfillment_status"] = derive_fulfillment_status(state.lines)
        if not same_lines or state.returns is not before.returns:
            derived["return_status"] = derive_return_status(state.lines, state.returns)
        self._state = replace(
            state,
            updated_at=now,
            sequence=before.sequence + len(new_events),
            next_action_at=next_action_at(state, totals),
            **derived,
        )
        self._events += tuple(
            self._recorded(event, before.sequence + place, by, now)
            for place, event in enumerate(new_events, start=1)
        )
        self._follow_up(before, now)

    def _recorded(
        self, event: events.OrderEvent, sequence: int, by: Actor, now: datetime
    ) -> events.RecordedEvent:
        state = self._state
        return events.RecordedEvent(
            sequence=sequence,
            version=state.version + 1,
            occurred_at=now,
            actor=by,
            event=event,
            after=events.OrderSnapshot(
                status=state.status,
                payment_status=state.payment_status,
                fulfillment_status=state.fulfillment_status,
                return_status=state.return_status,
                totals=state.totals,
            ),
        )

    def _follow_up(self, before: OrderState, now: datetime) -> None:
        """Do what follows by itself from a change. Called after each one."""
        raise NotImplementedError
