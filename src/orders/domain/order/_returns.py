"""Returns and credits: the commands that take units back and let the customer owe less."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import CreditExceedsAvailable, IllegalStep
from orders.domain.identifiers import Actor, PartId
from orders.domain.lines import Items, Line, move_units, require_units
from orders.domain.order._core import Changing
from orders.domain.parts import amount_within, next_id, part, replaced
from orders.domain.returns import RETURN_STEPS, Credit, Return
from orders.domain.rules import returnable_units
from orders.domain.validation import validate_code


class Returning(Changing):
    """What a returns desk tells an order."""

    __slots__ = ()

    def grant_credit(self, amount: int, reason: str, *, by: Actor, now: datetime) -> None:
        """Let the customer owe less. A refund then gives back what was paid too much."""
        self._require(Action.GRANT_CREDIT, now)
        validate_code(reason, "reason")
        granted = amount_within(amount, self._state.totals.creditable, CreditExceedsAvailable)
        self._grant(granted, reason, by=by, now=now)

    def request_return(self, items: Items, reason: str, *, by: Actor, now: datetime) -> None:
        """Ask to send delivered units back."""
        self._require(Action.REQUEST_RETURN, now)
        require_units(self._state.lines, items, returnable_units(self._state))
        a_return = Return(
            id=next_id(self._state.returns),
            items=dict(items),
            reason=validate_code(reason, "reason"),
            created_at=now,
        )
        new_events = events.ReturnRequested(
            return_id=a_return.id, items=a_return.items, reason=a_return.reason
        )
        self._change(by, now, new_events, returns=(*self._state.returns, a_return))

    def approve_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """Let the customer send the units."""
        a_return = self._return_for(Action.APPROVE_RETURN, return_id, now)
        self._update_return(a_return, events.ReturnApproved(return_id=a_return.id), by, now)

    def decline_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """Do not take the units back."""
        a_return = self._return_for(Action.DECLINE_RETURN, return_id, now)
        self._update_return(a_return, events.ReturnDeclined(return_id=a_return.id), by, now)

    def close_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """End a return: it was dealt with, or its units never came."""
        a_return = self._return_for(Action.CLOSE_RETURN, return_id, now)
        self._update_return(a_return, events.ReturnClosed(return_id=a_return.id), by, now)

    def receive_return(self, return_id: str, *, by: Actor, now: datetime) -> None:
        """Take the units in, and credit what was charged for them."""
        a_return = self._return_for(Action.RECEIVE_RETURN, return_id, now)
        totals = self._state.totals
        worth = sum(
            line.value_of(line.returned + units) - line.value_of(line.returned)
            for line in self._state.lines
            if (units := a_return.items.get(line.id, 0))
        )
        credited = max(0, min(worth, totals.gross - totals.credits))
        received = replace(a_return, credited=credited)
        new_events = events.ReturnReceived(
            return_id=received.id, items=received.items, credited=credited
        )
        lines = move_units(self._state.lines, received.items, returned=1)
        self._update_return(received, new_events, by, now, lines=lines)
        if credited:
            self._grant(credited, "return", by=by, now=now, return_id=received.id)

    def _return_for(self, action: Action, return_id: str, now: datetime) -> Return:
        """The return as it is after the step."""
        self._require(action, now)
        a_return = part(self._state.returns, "return", return_id)
        befores, after = RETURN_STEPS[action]
        if a_return.status not in befores:
            raise IllegalStep("return", return_id, a_return.status)
        return replace(a_return, status=after)

    def _update_return(
        self,
        a_return: Return,
        event: events.OrderEvent,
        by: Actor,
        now: datetime,
        *,
        lines: tuple[Line, ...] | None = None,
    ) -> None:
        returns = replaced(self._state.returns, a_return)
        self._change(by, now, event, returns=returns, lines=lines or self._state.lines)

    def _grant(
        self,
        amount: int,
        reason: str,
        *,
        by: Actor,
        now: datetime,
        return_id: PartId | None = None,
    ) -> None:
        credit = Credit(
            id=next_id(self._state.credits),
            amount=amount,
            reason=reason,
            created_at=now,
            return_id=return_id,
        )
        granted = events.CreditGranted(credit_id=credit.id, amount=amount, reason=reason)
        self._change(by, now, granted, credits=(*self._state.credits, credit))
