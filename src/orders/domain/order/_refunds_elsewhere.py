"""The credit for what the customer got back without a refund of ours.

Else they would be asked for that money again. The credit follows the ledger: each change of what
was refunded, charged back or asked for changes it by the difference between two amounts that depend
on nothing else. So reports bring the same credit in any order of arrival.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.lifecycle import ENDED_UNPAID
from orders.domain.order._parts import next_id, replaced
from orders.domain.order._returns import granted_credit
from orders.domain.order._state_change import StateChange
from orders.domain.payments import Ledger
from orders.domain.returns import REFUNDED_ELSEWHERE, Credit
from orders.domain.state import Hold, OrderState


def with_refunds_elsewhere_credited(
    before: OrderState, change: StateChange, now: datetime
) -> StateChange:
    """The change, with the credit that it brings or takes back."""
    ledger = change.fields.get("ledger", before.ledger)
    # What customers pay besides does not change what they got back before.
    is_new_payment = len(ledger.payments) > len(before.ledger.payments)
    if ledger is before.ledger or is_new_payment or before.status in ENDED_UNPAID:
        return change
    credited = sum(credit.amount for credit in _credits(before))
    due = max(0, before.totals.gross - before.totals.credits + credited)
    more = _beyond_what_was_owed(ledger, due) - _beyond_what_was_owed(before.ledger, due)
    # What is due may have changed since the credits before: none for what is owed back now, and
    # never more than what was refunded elsewhere.
    room = ledger.refunded_elsewhere + ledger.pending_refunds() - credited
    missing = before.totals.due - _left(ledger)
    if (amount := min(more, room, missing, before.totals.creditable)) > 0:
        return _joined(change, _credit(before, ledger, amount, now))
    if credited and (amount := max(-more, -room)) > 0:
        return _joined(change, _taken_back(before, amount, now))
    return change


def _beyond_what_was_owed(ledger: Ledger, due: int) -> int:
    """What the customer got back without a refund of ours, less what was owed back anyway."""
    elsewhere = ledger.refunded_elsewhere
    if not elsewhere:
        return 0
    owed_back = max(0, _left(ledger) + elsewhere - due)
    return max(0, min(elsewhere - owed_back, due))


def _left(ledger: Ledger) -> int:
    """What pays for the order, without what was refunded or asked back."""
    # What is authorised counts as well: who paid twice, and got one back, still pays by the other.
    kept = sum(
        payment.captured + payment.capturable_amount - payment.charged_back
        for payment in ledger.payments
    )
    return kept - ledger.asked_back - ledger.refunded_elsewhere


def _credits(state: OrderState) -> list[Credit]:
    return [
        credit
        for credit in state.credits
        if credit.reason == REFUNDED_ELSEWHERE and credit.revoked_at is None
    ]


def _credit(state: OrderState, ledger: Ledger, amount: int, now: datetime) -> StateChange:
    """Let the customer owe `amount` less.

    If they got back all that they paid, and units are still to be sent, a person decides about
    these: nothing is due any more, so they would leave unpaid.
    """
    change = granted_credit(state, amount, REFUNDED_ELSEWHERE, now)
    is_unsent = any(line.shippable and line.shipped < line.deliverable for line in state.lines)
    if not is_unsent or sum(payment.net_captured for payment in ledger.payments) > 0:
        return change
    hold = Hold(id=next_id(state.holds), reason=REFUNDED_ELSEWHERE, placed_at=now)
    held = events.OrderHeld(hold_id=hold.id, reason=hold.reason)
    return StateChange((*change.events, held), {**change.fields, "holds": (*state.holds, hold)})


def _taken_back(state: OrderState, amount: int, now: datetime) -> StateChange:
    """Let the customer owe `amount` again: a refund has failed that was credited."""
    credits, new_events = state.credits, list[events.OrderEvent]()
    for credit in reversed(_credits(state)):
        if share := min(amount, credit.amount):
            amount -= share
            less = replace(credit, amount=credit.amount - share)
            if not less.amount:
                less = replace(credit, revoked_at=now)
            credits = replaced(credits, less)
            new_events.append(events.CreditRevoked(credit_id=credit.id, amount=share))
    return StateChange(tuple(new_events), {"credits": credits})


def _joined(change: StateChange, other: StateChange) -> StateChange:
    return StateChange((*change.events, *other.events), {**change.fields, **other.fields})
