"""One event of each type, to store and to send."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from orders.adapters.contracts.full_order import every_total
from orders.adapters.contracts.samples import LARGE, NOW, STAFF
from orders.application.ports import LoggedEvent
from orders.domain import events
from orders.domain.events import OrderEvent, OrderSnapshot, RecordedEvent
from orders.domain.identifiers import OrderId, PartId
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.payments import ManualMethod

_P = PartId("1")
_ITEMS = {PartId("1"): 2, PartId("10"): 1}
EVERY_EVENT: tuple[OrderEvent, ...] = (
    events.OrderCreated(number="N", currency="BHD", lines=3, gross=LARGE),
    events.OrderConfirmed(),
    events.OrderPaid(amount=LARGE),
    events.OrderExpired(),
    events.OrderCancelled(reason="customer"),
    events.OrderItemsCancelled(items=_ITEMS, reason="inventory"),
    events.OrderCompleted(),
    events.OrderEdited(fields=("metadata", "note")),
    events.CustomerAssigned(),
    events.OrderHeld(hold_id=_P, reason="fraud"),
    events.OrderReleased(hold_id=_P),
    events.NoteAdded(note_id=_P),
    events.PaymentStarted(payment_id=_P, amount=LARGE),
    events.PaymentRecorded(payment_id=_P, amount=11, method=ManualMethod.BANK_TRANSFER),
    events.PaymentDueDateSet(payment_due_at=NOW),
    events.PaymentAuthorized(payment_id=_P, amount=1),
    events.PaymentCaptured(payment_id=_P, amount=2),
    events.PaymentRefunded(payment_id=_P, amount=10),
    events.PaymentDeclined(payment_id=_P, decline_code="insufficient_funds"),
    events.PaymentVoided(payment_id=_P),
    events.PaymentOperationFailed(payment_id=_P, operation="capture", failure_code="gone"),
    events.PaymentChargedBack(payment_id=_P, amount=3),
    events.PaymentRefundReversed(payment_id=_P, amount=11),
    events.DisputeOpened(dispute_id="dp_1", payment_id=_P, amount=LARGE),
    events.DisputeWon(dispute_id="dp_1", payment_id=_P, amount=12),
    events.DisputeLost(dispute_id="dp_2", payment_id=_P, amount=13),
    events.PaymentReceivedLate(payment_id=_P, amount=4),
    events.PaymentUnderReview(payment_id=_P),
    events.PaymentDismissed(payment_id=_P),
    events.RefundRequested(refund_id=_P, payment_id=_P, amount=5),
    events.RefundRecorded(refund_id=_P, payment_id=_P, amount=12),
    events.RefundSucceeded(refund_id=_P, payment_id=_P, amount=6),
    events.RefundFailed(refund_id=_P, payment_id=_P, amount=7, failure_code="refund_failed"),
    events.ShipmentCreated(shipment_id=_P, items=_ITEMS),
    events.OrderShipped(shipment_id=_P, items=_ITEMS),
    events.OrderDelivered(shipment_id=_P, items=_ITEMS),
    events.ShipmentCancelled(shipment_id=_P, items=_ITEMS),
    events.ShipmentCorrected(shipment_id=_P, fields=("carrier", "tracking")),
    events.DeliveryFailed(shipment_id=_P, items=_ITEMS, reason="lost"),
    events.LateShipmentRecorded(shipment_id=_P, items=_ITEMS, surplus={PartId("1"): 1}),
    events.CreditGranted(
        credit_id=_P,
        amount=8,
        reason="goodwill",
        tax=1,
        lines={PartId("1"): 8},
        undeliverable={PartId("1"): 1},
    ),
    events.CreditRevoked(credit_id=_P, amount=8),
    events.ReturnRequested(return_id=_P, items=_ITEMS, reason="damaged"),
    events.ReturnApproved(return_id=_P),
    events.ReturnDeclined(return_id=_P),
    events.ReturnReceived(return_id=_P, items=_ITEMS, credited=9),
    events.ReturnClosed(return_id=_P),
    events.OrderChangeProposed(change_id=_P, removed=_ITEMS, added=3, gross=LARGE),
    events.OrderChanged(change_id=_P, removed=_ITEMS, added=2, gross=LARGE),
    events.OrderChangeDeclined(change_id=_P),
)


def logged_events(
    events: tuple[OrderEvent, ...] = EVERY_EVENT,
    *,
    order_id: UUID | None = None,
    tenant: str = "shop",
    first: int = 1,
) -> list[LoggedEvent]:
    """Events of one order in sequence, as the relay reads them from the outbox."""
    after = OrderSnapshot(
        status=OrderStatus.CONFIRMED,
        payment_status=OrderPaymentStatus.PARTIALLY_PAID,
        fulfillment_status=OrderFulfillmentStatus.PARTIALLY_SHIPPED,
        return_status=OrderReturnStatus.REQUESTED,
        totals=every_total(),
    )
    order_id = OrderId(order_id or uuid4())
    return [
        LoggedEvent(
            tenant=tenant,
            order_id=order_id,
            recorded=RecordedEvent(
                sequence=sequence,
                version=sequence + 1,
                occurred_at=NOW + timedelta(milliseconds=sequence),
                actor=STAFF,
                event=event,
                after=after,
            ),
            traceparent=f"00-{sequence:032x}-{sequence:016x}-01" if sequence % 2 else None,
        )
        for sequence, event in enumerate(events, start=first)
    ]
