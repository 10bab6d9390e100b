"""Record on its order what the payment service reports in a webhook."""

from __future__ import annotations

from collections.abc import Mapping

from orders.application.errors import OrderNotFound
from orders.application.ports import (
    Clock,
    OrderRepository,
    PaymentEvent,
    PaymentEventType,
    WebhookVerifier,
)
from orders.application.update_order import update_order
from orders.domain.errors import PartNotFound
from orders.domain.order.order import Order
from orders.domain.payments import order_of_reference


class RecordPaymentEvent:
    """Verifies a webhook and records it. A duplicate, or an older report, changes nothing."""

    def __init__(self, orders: OrderRepository, verifier: WebhookVerifier, now: Clock) -> None:
        self._orders = orders
        self._verifier = verifier
        self._now = now

    async def __call__(self, headers: Mapping[str, str], raw_body: bytes) -> bool:
        """Record a signed message. Returns False if it is about no payment of ours.

        The call may be repeated. Once it returns, the report is durable: the payment service never
        sends an acknowledged message again.

        Raises:
            InvalidWebhook: If the payment service did not sign it, or it cannot be read.
            ConcurrentUpdate: If others kept changing the order. The sender retries.
        """
        event = self._verifier.verify(headers, raw_body, self._now())
        order_id = order_of_reference(event.payment.reference)
        if order_id is None:
            return False
        try:
            await update_order(self._orders, order_id, lambda order: self._record(order, event))
        except (OrderNotFound, PartNotFound):
            return False
        return True

    def _record(self, order: Order, event: PaymentEvent) -> None:
        payment_id = event.payment.reference.rpartition(":")[2]
        charged_back = event.type is PaymentEventType.CHARGED_BACK
        order.record_payment_report(
            event.payment, payment_id, charged_back=charged_back, now=self._now()
        )
