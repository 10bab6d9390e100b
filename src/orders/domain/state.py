"""Everything that is true of one order at one version. This is what a store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orders.domain.identifiers import OrderId, PartId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import Line
from orders.domain.operations import Ledger
from orders.domain.order_changes import Change, ChangeStatus
from orders.domain.returns import Credit, Return
from orders.domain.shipments import Shipment
from orders.domain.totals import Totals
from orders.domain.validation import Shipping


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason to wait. `reason` is a code; it is lifted when `released_at` is set."""

    id: PartId
    reason: str
    placed_at: datetime
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What staff wrote for staff."""

    id: PartId
    text: str
    author: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedRequest:
    """A request this order has answered: its key's digest and its body's fingerprint."""

    key: str
    fingerprint: str
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """One order. Immutable: a change makes a new one. Times are aware, UTC, to the millisecond.

    The statuses other than `status`, `totals` and `due_at` follow from the rest and are kept
    so that stores can search them.
    """

    id: OrderId
    tenant: str
    number: str
    placed_by: str
    """The `sub` of whoever sent the request."""
    customer_id: str | None
    """Whose order it is; None for a guest's."""
    currency: str
    lines: tuple[Line, ...]
    shipping: Shipping | None
    external_reference: str | None
    note: str | None
    """What the customer wrote."""
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    """When a pending order ends that no money has been seen for."""
    status: OrderStatus
    payment_status: OrderPaymentStatus
    fulfillment_status: OrderFulfillmentStatus
    return_status: OrderReturnStatus
    totals: Totals
    cancel_reason: str | None = None
    ledger: Ledger = field(default_factory=Ledger)
    shipments: tuple[Shipment, ...] = ()
    returns: tuple[Return, ...] = ()
    credits: tuple[Credit, ...] = ()
    holds: tuple[Hold, ...] = ()
    notes: tuple[Note, ...] = ()
    changes: tuple[Change, ...] = ()
    requests: tuple[ProcessedRequest, ...] = ()
    sequence: int = 0
    """The number of the newest event."""
    version: int = 0
    """0 until it is stored; the store raises it by one with each write."""
    next_action_at: datetime | None = None
    """When time itself asks for something: a call to look up, an order to expire."""

    @property
    def open_holds(self) -> tuple[Hold, ...]:
        """Holds that are not lifted."""
        return tuple(hold for hold in self.holds if hold.released_at is None)

    @property
    def open_changes(self) -> tuple[Change, ...]:
        """Changes that nobody has applied or declined: one at most."""
        return tuple(each for each in self.changes if each.status is ChangeStatus.PROPOSED)
