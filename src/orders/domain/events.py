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
    """An order was placed. `lines` counts them; `gross` is in minor units."""

    number: str
    currency: str
    lines: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed:
    """The order is covered by payments, and will be fulfilled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    """Captured money has reached what is due."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired:
    """Nobody paid in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """The order was called off before anything was packed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItemsCancelled:
    """Some units were called off."""

    items: Items
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCompleted:
    """Everything is delivered and paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEdited:
    """Something that is not money was changed. `fields` names it."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeProposed:
    """A change of the lines was worked out; `added` counts lines, `gross` is the new price."""

    change_id: PartId
    removed: Items
    added: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChanged:
    """A proposed change counts from now on."""

    change_id: PartId
    removed: Items
    added: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeDeclined:
    """A proposed change was dropped."""

    change_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHeld:
    """The order was held back."""

    hold_id: PartId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased:
    """A hold was lifted; others may still stand."""

    hold_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAdded:
    """Staff wrote a note. Its text stays with the order."""

    note_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStarted:
    """A payment was reserved; the payment service will be asked."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """The payment service holds this amount for us."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """The payment service took this amount for us; `amount` is what is new."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    """The payment service gave this amount back; `amount` is what is new."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDeclined:
    """The payment came to nothing. Another one may be tried."""

    payment_id: PartId
    decline_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """What was authorised and not captured was given back."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperationFailed:
    """The payment service refused a capture or a void for good."""

    payment_id: PartId
    operation: str
    failure_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentChargedBack:
    """The payer's bank took the money back."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceivedLate:
    """Money came for an order that had ended. It goes back by itself."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUnderReview:
    """The payment service's account of a payment contradicts ours; a person must look."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDismissed:
    """A person has looked; the payment counts as far as it was booked before the review."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested:
    """Money is to go back."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSucceeded:
    """Money went back."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFailed:
    """The payment service refused a refund for good; the money is still owed."""

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
    """A shipment was handed to the carrier."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivered:
    """A shipment arrived."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentCancelled:
    """A shipment was unpacked before it left."""

    shipment_id: PartId
    items: Items


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditGranted:
    """The customer owes this much less."""

    credit_id: PartId
    amount: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequested:
    """The customer wants to send units back."""

    return_id: PartId
    items: Items
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnApproved:
    """The units may be sent back."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnDeclined:
    """The units may not be sent back."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnReceived:
    """The units came back; `credited` minor units are no longer owed."""

    return_id: PartId
    items: Items
    credited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnClosed:
    """The return is over."""

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
