"""Every event there is, to store and to send."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from orders.adapters.contracts.samples import LARGE, NOW, STAFF, every_total
from orders.application.ports import LoggedEvent
from orders.domain import events as happened
from orders.domain.events import OrderEvent, RecordedEvent, Standing
from orders.domain.identifiers import OrderId, PartId
from orders.domain.lifecycle import (
    FulfillmentProgress,
    OrderStatus,
    PaymentProgress,
    ReturnProgress,
)

_P = PartId("1")
_ITEMS = {PartId("1"): 2, PartId("10"): 1}
EVERY_EVENT: tuple[OrderEvent, ...] = (
    happened.OrderCreated(number="N", currency="BHD", lines=3, gross=LARGE),
    happened.OrderConfirmed(),
    happened.OrderPaid(amount=LARGE),
    happened.OrderExpired(),
    happened.OrderCancelled(reason="customer"),
    happened.OrderItemsCancelled(items=_ITEMS, reason="inventory"),
    happened.OrderCompleted(),
    happened.OrderEdited(fields=("metadata", "note")),
    happened.OrderHeld(hold_id=_P, reason="fraud"),
    happened.OrderReleased(hold_id=_P),
    happened.NoteAdded(note_id=_P),
    happened.PaymentStarted(payment_id=_P, amount=LARGE),
    happened.PaymentAuthorized(payment_id=_P, amount=1),
    happened.PaymentCaptured(payment_id=_P, amount=2),
    happened.PaymentRefunded(payment_id=_P, amount=10),
    happened.PaymentDeclined(payment_id=_P, decline_code="insufficient_funds"),
    happened.PaymentVoided(payment_id=_P),
    happened.PaymentOperationFailed(payment_id=_P, operation="capture", failure_code="gone"),
    happened.PaymentChargedBack(payment_id=_P, amount=3),
    happened.PaymentReceivedLate(payment_id=_P, amount=4),
    happened.PaymentUnderReview(payment_id=_P),
    happened.PaymentDismissed(payment_id=_P),
    happened.RefundRequested(refund_id=_P, payment_id=_P, amount=5),
    happened.RefundSucceeded(refund_id=_P, payment_id=_P, amount=6),
    happened.RefundFailed(refund_id=_P, payment_id=_P, amount=7, failure_code="refund_failed"),
    happened.ShipmentCreated(shipment_id=_P, items=_ITEMS),
    happened.OrderShipped(shipment_id=_P, items=_ITEMS),
    happened.OrderDelivered(shipment_id=_P, items=_ITEMS),
    happened.ShipmentCancelled(shipment_id=_P, items=_ITEMS),
    happened.CreditGranted(credit_id=_P, amount=8, reason="goodwill"),
    happened.ReturnRequested(return_id=_P, items=_ITEMS, reason="damaged"),
    happened.ReturnApproved(return_id=_P),
    happened.ReturnDeclined(return_id=_P),
    happened.ReturnReceived(return_id=_P, items=_ITEMS, credited=9),
    happened.ReturnClosed(return_id=_P),
    happened.OrderChangeProposed(change_id=_P, removed=_ITEMS, added=3, gross=LARGE),
    happened.OrderChanged(change_id=_P, removed=_ITEMS, added=2, gross=LARGE),
    happened.OrderChangeDeclined(change_id=_P),
)


def logged_events(
    events: tuple[OrderEvent, ...] = EVERY_EVENT,
    *,
    order_id: UUID | None = None,
    tenant: str = "shop",
    first: int = 1,
) -> list[LoggedEvent]:
    """Events of one order in sequence, as a relay has them."""
    after = Standing(
        status=OrderStatus.CONFIRMED,
        payment_status=PaymentProgress.PARTIALLY_PAID,
        fulfillment_status=FulfillmentProgress.PARTIALLY_SHIPPED,
        return_status=ReturnProgress.REQUESTED,
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
