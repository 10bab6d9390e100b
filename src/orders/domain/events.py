"""Everything that can happen to an order, as facts.

Ids, numbers and codes only: no personal data, no payment token, no free text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.domain.identifiers import Actor, PartId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import Items
from orders.domain.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCreated:
    """An order was placed. `lines` is the number of lines; `gross` is in minor units."""

    number: str
    currency: str
    lines: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed:
    """Payments cover the order; it will be fulfilled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    """The captured amount has reached what is due."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired:
    """The order was not paid in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """The order was cancelled before anything was packed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItemsCancelled:
    """Some units were cancelled."""

    items: Items
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCompleted:
    """The order was completed: everything is delivered and paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEdited:
    """Note, metadata, reference or address were edited. `fields` names what."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeProposed:
    """A change of the lines was proposed; `added` counts lines, `gross` is the new price."""

    change_id: PartId
    removed: Items
    added: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """A proposed change was applied."""

    change_id: PartId
    removed: Items
    added: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeDeclined:
    """A proposed change was declined."""

    change_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHeld:
    """The order was held."""

    hold_id: PartId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased:
    """A hold was released; the order may have other holds."""

    hold_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAdded:
    """Staff added a note. The event does not contain its text."""

    note_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStarted:
    """A payment was reserved; the payment service will be called."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """The payment service has authorised this amount."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """The payment service captured money; `amount` is the increase."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    """The payment service refunded money; `amount` is the increase."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDeclined:
    """The payment was declined or failed. Another payment may be tried."""

    payment_id: PartId
    decline_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """The authorised, not captured amount was voided."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperationFailed:
    """The payment service finally refused a capture or a void."""

    payment_id: PartId
    operation: str
    failure_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentChargedBack:
    """The payer's bank charged the money back."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceivedLate:
    """Money arrived for an order that had ended. The service refunds it."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUnderReview:
    """The payment service's report contradicts the order's record; a person must review it."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDismissed:
    """A person ended the review; the payment keeps the amounts recorded before it."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested:
    """A refund was requested."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSucceeded:
    """A refund succeeded."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFailed:
    """The payment service finally refused a refund; the money is still owed to the customer."""

    refund_id: PartId
    payment_id: PartId
    amount: int
    failure_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentCreated:
    """Units were packed."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShipped:
    """A shipment was dispatched: the carrier has it."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered:
    """A shipment was delivered."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentCancelled:
    """A shipment was cancelled before dispatch; its units are unpacked."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditGranted:
    """A credit was granted: the amount is no longer due."""

    credit_id: PartId
    amount: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequested:
    """A return was requested."""

    return_id: PartId
    items: Items
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnApproved:
    """A return was approved: the units may be sent back."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnDeclined:
    """A return was declined: the units may not be sent back."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnReceived:
    """Returned units were received; `credited` minor units are no longer due."""

    return_id: PartId
    items: Items
    credited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnClosed:
    """A return was closed."""

    return_id: PartId


OrderEvent = (
    OrderCreated
    | OrderConfirmed
    | OrderPaid
    | OrderExpired
    | OrderCancelled
    | OrderItemsCancelled
    | OrderCompleted
    | OrderEdited
    | OrderHeld
    | OrderReleased
    | NoteAdded
    | PaymentStarted
    | PaymentAuthorized
    | PaymentCaptured
    | PaymentRefunded
    | PaymentDeclined
    | PaymentVoided
    | PaymentOperationFailed
    | PaymentChargedBack
    | PaymentReceivedLate
    | PaymentUnderReview
    | PaymentDismissed
    | RefundRequested
    | RefundSucceeded
    | RefundFailed
    | ShipmentCreated
    | OrderShipped
    | OrderDelivered
    | ShipmentCancelled
    | CreditGranted
    | ReturnRequested
    | ReturnApproved
    | ReturnDeclined
    | ReturnReceived
    | ReturnClosed
    | OrderChangeProposed
    | OrderChanged
    | OrderChangeDeclined
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSnapshot:
    """The statuses and amounts of an order at one moment."""

    status: OrderStatus
    payment_status: OrderPaymentStatus
    fulfillment_status: OrderFulfillmentStatus
    return_status: OrderReturnStatus
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvent:
    """An event with its place in the order's history.

    `sequence` runs 1, 2, 3 … per order without a gap; `version` is the order's version that
    the change made; `after` is how the order stood right after it.
    """

    sequence: int
    version: int
    occurred_at: datetime
    actor: Actor
    event: OrderEvent
    after: OrderSnapshot
