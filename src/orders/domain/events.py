"""Everything that can happen to an order, as events. Amounts are minor units.

Ids, numbers and codes only: no personal data, no payment token, no free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, dataclass_transform

from orders.domain.identifiers import Actor, PartId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.lines import Items
from orders.domain.payments import ManualMethod
from orders.domain.pricing import Totals

E = TypeVar("E", bound="Event")


class Event:
    """What all events do alike: two are equal if they say the same, and each shows what it says.

    Here once, and not made by `dataclass` for each class: that would take as long as all of the
    domain's rules when a process starts.
    """

    __slots__: tuple[str, ...] = ()

    def _said(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other._said() == self._said()

    def __hash__(self) -> int:
        return hash((type(self), self._said()))

    def __repr__(self) -> str:
        said = zip(self.__slots__, self._said(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in said)})"


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _event(kind: type[E]) -> type[E]:
    return dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)(kind)


@_event
class OrderCreated(Event):
    """An order was placed. `lines` is their number, `gross` what they cost with shipping."""

    number: str
    currency: str
    lines: int
    gross: int


@_event
class OrderConfirmed(Event):
    """The order is covered by payments and will be fulfilled."""


@_event
class OrderPaid(Event):
    """The captured money has reached what is due."""

    amount: int


@_event
class OrderExpired(Event):
    """Nobody paid the order in time."""


@_event
class OrderCancelled(Event):
    """The order was cancelled before anything was packed."""

    reason: str


@_event
class OrderItemsCancelled(Event):
    """Some units were cancelled."""

    items: Items
    reason: str


@_event
class OrderCompleted(Event):
    """Everything is delivered and paid."""


@_event
class OrderEdited(Event):
    """Fields that are not about money were changed. `fields` has their names."""

    fields: tuple[str, ...]


@_event
class CustomerAssigned(Event):
    """A guest's order became a customer's. The event does not say whose."""


@_event
class OrderChangeProposed(Event):
    """A change was proposed. `added` is the number of new lines, `gross` the new price.

    `shipping_method` is the new one; null if it stays.
    """

    change_id: PartId
    removed: Items
    added: int
    gross: int
    shipping_method: str | None = None


@_event
class OrderChanged(Event):
    """A proposed change was applied. `shipping_method` is the new one; null if it stays."""

    change_id: PartId
    removed: Items
    added: int
    gross: int
    shipping_method: str | None = None


@_event
class OrderChangeDeclined(Event):
    """A proposed change was declined."""

    change_id: PartId


@_event
class OrderHeld(Event):
    """A hold was placed on the order."""

    hold_id: PartId
    reason: str


@_event
class OrderReleased(Event):
    """A hold was released; others may be open."""

    hold_id: PartId


@_event
class NoteAdded(Event):
    """Staff added a note. The event does not contain its text."""

    note_id: PartId


@_event
class PaymentStarted(Event):
    """A payment was reserved. The payment service will be called."""

    payment_id: PartId
    amount: int


@_event
class PaymentRecorded(Event):
    """Staff recorded money that was received without the payment service."""

    payment_id: PartId
    amount: int
    method: ManualMethod


@_event
class PaymentDueDateSet(Event):
    """The time by which the customer pays an order with terms was set, moved or taken back."""

    payment_due_at: datetime | None


@_event
class PaymentAuthorized(Event):
    """The payment service authorised this amount."""

    payment_id: PartId
    amount: int


@_event
class PaymentCaptured(Event):
    """The payment service captured money; `amount` is what is new."""

    payment_id: PartId
    amount: int


@_event
class PaymentRefunded(Event):
    """The payment service refunded money; `amount` is what is new."""

    payment_id: PartId
    amount: int


@_event
class PaymentDeclined(Event):
    """The payment was declined. Another one may be tried."""

    payment_id: PartId
    decline_code: str


@_event
class PaymentVoided(Event):
    """What was authorised and not captured was released."""

    payment_id: PartId


@_event
class PaymentOperationFailed(Event):
    """The payment service refused a capture or a void for good."""

    payment_id: PartId
    operation: str
    failure_code: str


@_event
class PaymentChargedBack(Event):
    """The payer's bank took money back."""

    payment_id: PartId
    amount: int


@_event
class PaymentRefundReversed(Event):
    """Refunded money came back, because a refund failed after it had succeeded. `amount` is what
    is new.
    """

    payment_id: PartId
    amount: int


@_event
class DisputeOpened(Event):
    """The payer disputes a payment. The amount counts as charged back until the shop wins."""

    dispute_id: str
    payment_id: PartId
    amount: int


@_event
class DisputeWon(Event):
    """The shop won a dispute. The amount does not count as charged back."""

    dispute_id: str
    payment_id: PartId
    amount: int


@_event
class DisputeLost(Event):
    """The shop lost a dispute. The amount stays charged back."""

    dispute_id: str
    payment_id: PartId
    amount: int


@_event
class PaymentReceivedLate(Event):
    """Money came for an order that had ended: it is owed back.

    A void or refund follows. Staff give back what did not come through the payment service.
    """

    payment_id: PartId
    amount: int


@_event
class PaymentUnderReview(Event):
    """A report of the payment service contradicts what was asked for. A person must review it."""

    payment_id: PartId


@_event
class PaymentDismissed(Event):
    """A person ended the review. The payment counts as far as it was recorded before."""

    payment_id: PartId


@_event
class RefundRequested(Event):
    """A refund was reserved. The payment service will be called."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@_event
class RefundRecorded(Event):
    """Staff recorded a refund that was made without the payment service."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@_event
class RefundSucceeded(Event):
    """A refund succeeded."""

    refund_id: PartId
    payment_id: PartId
    amount: int


@_event
class RefundFailed(Event):
    """The payment service refused a refund, or it failed later. The money is still owed."""

    refund_id: PartId
    payment_id: PartId
    amount: int
    failure_code: str


@_event
class ShipmentCreated(Event):
    """Units were packed."""

    shipment_id: PartId
    items: Items


@_event
class OrderShipped(Event):
    """A shipment was handed to the carrier."""

    shipment_id: PartId
    items: Items


@_event
class OrderDelivered(Event):
    """A shipment arrived."""

    shipment_id: PartId
    items: Items


@_event
class ShipmentCancelled(Event):
    """A shipment was unpacked before it left."""

    shipment_id: PartId
    items: Items


@_event
class ShipmentCorrected(Event):
    """The carrier or the tracking number of a shipment was corrected. `fields` has their names."""

    shipment_id: PartId
    fields: tuple[str, ...]


@_event
class DeliveryFailed(Event):
    """A shipment will not arrive: lost, refused, uncollected or damaged."""

    shipment_id: PartId
    items: Items
    reason: str


@_event
class LateShipmentRecorded(Event):
    """A shipment had left before the cancellation of its `surplus` was known. Nobody owes those."""

    shipment_id: PartId
    items: Items
    surplus: Items


@_event
class CreditGranted(Event):
    """The customer owes this amount less. `tax` is the tax in it; 0 if it is not known.

    `lines` has the parts of the amount that are for lines, by line id. Nobody will deliver the
    `undeliverable` units any more.
    """

    credit_id: PartId
    amount: int
    reason: str
    tax: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)
    undeliverable: Items = field(default_factory=dict)


@_event
class CreditRevoked(Event):
    """A credit or a part of it was taken back: the customer owes this amount again."""

    credit_id: PartId
    amount: int


@_event
class ReturnRequested(Event):
    """The customer asked to send units back."""

    return_id: PartId
    items: Items
    reason: str


@_event
class ReturnApproved(Event):
    """The customer may send the units."""

    return_id: PartId


@_event
class ReturnDeclined(Event):
    """The shop does not take the units back."""

    return_id: PartId


@_event
class ReturnReceived(Event):
    """The units came back. The customer owes `credited` less."""

    return_id: PartId
    items: Items
    credited: int


@_event
class ReturnClosed(Event):
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
    | PaymentRecorded
    | PaymentDueDateSet
    | PaymentAuthorized
    | PaymentCaptured
    | PaymentRefunded
    | PaymentDeclined
    | PaymentVoided
    | PaymentOperationFailed
    | PaymentChargedBack
    | PaymentRefundReversed
    | DisputeOpened
    | DisputeWon
    | DisputeLost
    | PaymentReceivedLate
    | PaymentUnderReview
    | PaymentDismissed
    | RefundRequested
    | RefundRecorded
    | RefundSucceeded
    | RefundFailed
    | ShipmentCreated
    | OrderShipped
    | OrderDelivered
    | ShipmentCancelled
    | ShipmentCorrected
    | DeliveryFailed
    | LateShipmentRecorded
    | CreditGranted
    | CreditRevoked
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
