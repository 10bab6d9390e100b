"""What staff and workers look for among all orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from orders.domain.actions import Action
from orders.domain.lifecycle import ENDED_UNPAID, TRANSITIONS, OrderStatus
from orders.domain.lines import Line
from orders.domain.payments import Ledger, PaymentTerms, TermsKind
from orders.domain.pricing import Totals
from orders.domain.rules.cover import time_acts
from orders.domain.rules.guards import refusals
from orders.domain.shipments import Shipment, ShipmentStatus
from orders.domain.state import OrderState


def next_action_at(
    status: OrderStatus,
    expires_at: datetime,
    ledger: Ledger,
    totals: Totals,
    terms: PaymentTerms | None,
) -> datetime | None:
    """When a worker has to act: at the next attempt of an operation, or when the order expires."""
    times = [operation.next_attempt_at for operation in ledger.operations]
    if (status, Action.EXPIRE) in TRANSITIONS and time_acts(ledger, totals, terms):
        times.append(expires_at)
    return min(times, default=None)


def ready_to_ship(state: OrderState) -> bool | None:
    """Whether the order's units may be packed and sent now; None if none are left to send."""
    if (state.status, Action.DISPATCH) not in TRANSITIONS:
        return None
    if all(line.shipped == line.deliverable for line in state.lines if line.shippable):
        return None
    return not refusals(state, Action.DISPATCH, now=state.updated_at)


def dated_terms(
    terms: PaymentTerms,
    *,
    status: OrderStatus,
    lines: Sequence[Line],
    shipments: Sequence[Shipment],
    now: datetime,
) -> PaymentTerms:
    """The terms with the time by which the order has to be paid, as far as it was sent.

    The parcel that was sent last counts; on delivery, the one that was delivered last. If nothing
    is to be sent, the time runs from the confirmation.
    """
    after = timedelta(days=terms.due_in_days or 0)
    # Nobody owes a parcel of cancelled units only.
    sent = [s for s in shipments if s.status in _SENT and s.counted]
    if terms.kind is TermsKind.ON_DELIVERY:
        times = [s.delivered_at for s in sent if s.status is ShipmentStatus.DELIVERED]
    else:
        times = [s.dispatched_at for s in sent]
    end = max((at + after for at in times if at is not None), default=None)
    if end is None and _has_nothing_to_send(status, lines):
        end = terms.payment_due_at or now + after
    return terms if end == terms.payment_due_at else replace(terms, payment_due_at=end)


def overdue_from(state: OrderState) -> datetime | None:
    """When an order that is not paid by its terms becomes overdue; None if nothing is to be paid,
    or nothing was sent yet.
    """
    if state.terms is None or not state.totals.outstanding:
        return None
    return state.terms.payment_due_at


_SENT = frozenset({ShipmentStatus.DISPATCHED, ShipmentStatus.DELIVERED})


def _has_nothing_to_send(status: OrderStatus, lines: Sequence[Line]) -> bool:
    is_binding = status is not OrderStatus.PENDING and status not in ENDED_UNPAID
    return is_binding and not any(line.shippable and line.deliverable for line in lines)
