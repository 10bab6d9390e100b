"""The state of one order at one version: what a store keeps."""

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
from orders.domain.lines import Line, TaxPolicy
from orders.domain.order_changes import Change, ChangeStatus
from orders.domain.payments import Ledger, PaymentTerms
from orders.domain.pricing import Confirmation, Totals
from orders.domain.read_only import ReadOnlyDict, freeze, read_only
from orders.domain.returns import Credit, Return
from orders.domain.shipments import Shipment
from orders.domain.validation import Billing, Contact, Shipping


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason to hold an order back, as a code. `released_at` is set when it is lifted."""

    id: PartId
    reason: str
    placed_at: datetime
    released_at: datetime | None = None


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note from staff for staff."""

    id: PartId
    text: str
    author: str
    created_at: datetime


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedRequest:
    """A request that changed this order: the digest of its key, the fingerprint of its body."""

    key: str
    fingerprint: str
    answered_at: datetime


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """One order. Times are aware, UTC, to the millisecond. Amounts are minor units.

    It cannot be written, nor can anything in it: a write raises `TypeError`. Each command makes
    a new state.

    `payment_status`, `fulfillment_status`, `return_status`, `totals` and `next_action_at` follow
    from the other fields. They are kept so that stores can search for them.
    """

    id: OrderId
    tenant: str
    number: str
    placed_by: str
    """The subject of the actor who placed it."""
    customer_id: str | None
    """The customer whose order it is; None for a guest."""
    currency: str
    lines: tuple[Line, ...]
    shipping: Shipping | None
    external_reference: str | None
    note: str | None
    """What the customer wrote."""
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    """When it last changed. It is later than in every version that was stored before."""
    expires_at: datetime
    """When a pending order expires if nobody has paid."""
    status: OrderStatus
    payment_status: OrderPaymentStatus
    fulfillment_status: OrderFulfillmentStatus
    return_status: OrderReturnStatus
    totals: Totals
    cancel_reason: str | None = None
    terms: PaymentTerms | None = None
    """Without terms, an order is paid before it is shipped."""
    ledger: Ledger = field(default_factory=Ledger)
    shipments: tuple[Shipment, ...] = ()
    returns: tuple[Return, ...] = ()
    credits: tuple[Credit, ...] = ()
    holds: tuple[Hold, ...] = ()
    notes: tuple[Note, ...] = ()
    changes: tuple[Change, ...] = ()
    requests: tuple[ProcessedRequest, ...] = ()
    tax_policy: TaxPolicy | None = None
    """None: prices exclude tax, and it is rounded by line."""
    sequence: int = 0
    """The number of the newest event."""
    version: int = 0
    """0 until it is stored. The store adds one with each write."""
    contact: Contact | None = None
    billing: Billing | None = None
    gift_message: str | None = None
    """What the recipient of the order reads."""
    next_action_at: datetime | None = None
    """When a worker has to act: ask about a payment operation, or expire the order."""
    confirmation: Confirmation = Confirmation.AUTOMATIC

    def __post_init__(self) -> None:
        # A state is made with every change: most have the mapping of the one before.
        if type(self.metadata) is not ReadOnlyDict:
            freeze(self, "metadata")

    @property
    def owner(self) -> str:
        """Whose order it is: the customer; for a guest, who placed it."""
        return self.placed_by if self.customer_id is None else self.customer_id

    @property
    def open_holds(self) -> tuple[Hold, ...]:
        """Holds that are not released."""
        return tuple(hold for hold in self.holds if hold.released_at is None)

    @property
    def open_changes(self) -> tuple[Change, ...]:
        """Changes that are neither applied nor declined: at most one."""
        return tuple(each for each in self.changes if each.status is ChangeStatus.PROPOSED)
