"""What staff and workers look for among all orders."""

from __future__ import annotations

from datetime import datetime

from orders.domain.actions import Action
from orders.domain.lifecycle import TRANSITIONS, OrderStatus
from orders.domain.operations import Ledger
from orders.domain.pricing import Totals
from orders.domain.rules.cover import time_acts
from orders.domain.rules.guards import refusals
from orders.domain.state import OrderState


def next_action_at(
    status: OrderStatus, expires_at: datetime, ledger: Ledger, totals: Totals
) -> datetime | None:
    """When a worker has to act: at the next attempt of an operation, or when the order expires."""
    times = [operation.next_attempt_at for operation in ledger.operations]
    if (status, Action.EXPIRE) in TRANSITIONS and time_acts(ledger, totals):
        times.append(expires_at)
    return min(times, default=None)


def ready_to_ship(state: OrderState) -> bool | None:
    """Whether the order's units may be packed and sent now; None if none are left to send."""
    if (state.status, Action.DISPATCH) not in TRANSITIONS:
        return None
    if all(line.shipped == line.deliverable for line in state.lines if line.shippable):
        return None
    return not refusals(state, Action.DISPATCH, now=state.updated_at)
