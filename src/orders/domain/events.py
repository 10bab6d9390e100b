"""Everything that can happen to an order, as events. Amounts are minor units.

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
from orders.domain.pricing import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCreated:
    """An order was placed. `lines` is their number, `gross` what they cost with shipping."""

    number: str
    currency: str
    lines: int
    gross: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfirmed:
    """The order is covered by payments and will be fulfilled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    """The captured money has reached what is due."""

    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired:
    """Nobody paid the order in time."""


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
    """Everything is delivered and paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEdited:
    """Fields that are not about money were changed. `fields` has their names."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerAssigned:
    """A guest's order became a customer's. The event does not say whose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeProposed:
    """A change was proposed. `added` is the number of new lines, `gross` the new price."""

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
    """A hold was placed on the order."""

    hold_id: PartId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased:
    """A hold was released; others may be open."""

    hold_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAdded:
    """Staff added a note. The event does not contain its text."""

    note_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStarted:
    """A payment was reserved. The payment service will be called."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """The payment service authorised this amount."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """The payment service captured money; `amount` is what is new."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    """The payment service refunded money; `amount` is what is new."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDeclined:
    """The payment was declined. Another one may be tried."""

    payment_id: PartId
    decline_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """What was authorised and not captured was released."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOperationFailed:
    """The payment service refused a capture or a void for good."""

    payment_id: PartId
    operation: str
    failure_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentChargedBack:
    """The payer's bank took money back."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceivedLate:
    """Money came for an order that had ended. A void or refund follows."""

    payment_id: PartId
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUnderReview:
    """A report of the payment service contradicts what was asked for. A person must review it."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDismissed:
    """A person ended the review. The payment counts as far as it was recorded before."""

    payment_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested:
    """A refund was reserved. The payment service will be called."""

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
    """The payment service refused a refund for good. The money is still owed."""

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
    """The customer owes this amount less."""

    credit_id: PartId
    amount: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRequested:
    """The customer asked to send units back."""

    return_id: PartId
    items: Items
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnApproved:
    """The customer may send the units."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnDeclined:
    """The shop does not take the units back."""

    return_id: PartId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnReceived:
    """The units came back. The customer owes `credited` less."""

    return_id: PartId
    items: Items
    credited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnClosed:
    """The return was ended."""

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
    | CustomerAssigned
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

    `sequence` counts 1, 2, 3 and so on in each order, without a gap. `version` is the version
    of the order that the change made. `after` is the order right after the event.
    """

    sequence: int
    version: int
    occurred_at: datetime
    actor: Actor
    event: OrderEvent
    after: OrderSnapshot
