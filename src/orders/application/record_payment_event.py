"""Record on its order what the payment service reports in a webhook."""

from __future__ import annotations

from collections.abc import Mapping

from orders.application.decline_limit import DeclineLimit
from orders.application.errors import OrderNotFound
from orders.application.ports import (
    Clock,
    OrderRepository,
    PaymentEventType,
    PaymentGateway,
    UnknownPaymentEvent,
    WebhookVerifier,
)
from orders.application.update_order import update_order
from orders.domain.errors import PartNotFound
from orders.domain.order.order import Order
from orders.domain.payments import PaymentReport, order_of_reference, payment_of_reference


class RecordPaymentEvent:
    """Verifies a webhook and records it. A duplicate, or an older report, changes nothing."""

    def __init__(
        self,
        orders: OrderRepository,
        payments: PaymentGateway,
        verifier: WebhookVerifier,
        now: Clock,
        declines: DeclineLimit,
    ) -> None:
        self._orders = orders
        self._payments = payments
        self._verifier = verifier
        self._now = now
        self._declines = declines

    async def __call__(self, headers: Mapping[str, str], raw_body: bytes) -> bool:
        """Record a signed message. Returns False if it is about no payment of ours.

        A message of an unknown type says that something happened to a payment: the payment is
        looked up, and what it has become is recorded.

        The call may be repeated. Once it returns, the report is durable: the payment service never
        sends an acknowledged message again.

        Raises:
            InvalidWebhook: If the payment service did not sign it, or it cannot be read.
            ConcurrentUpdate: If others kept changing the order. The sender retries.
            PaymentUnavailable: If the look-up had no answer. The sender retries.
        """
        event = self._verifier.verify(headers, raw_body, self._now())
        if isinstance(event, UnknownPaymentEvent):
            report = await self._look_up(event.reference or "")
            return report is not None and await self._record(report, charged_back=False)
        charged_back = event.type is PaymentEventType.CHARGED_BACK
        return await self._record(event.payment, charged_back=charged_back)

    async def _look_up(self, reference: str) -> PaymentReport | None:
        if order_of_reference(reference) is None:
            return None
        return await self._payments.find(reference)

    async def _record(self, report: PaymentReport, *, charged_back: bool) -> bool:
        order_id = order_of_reference(report.reference)
        if order_id is None:
            return False
        payment_id = payment_of_reference(report.reference)

        def record(order: Order) -> None:
            order.record_payment_report(
                report, payment_id, charged_back=charged_back, now=self._now()
            )

        try:
            updated = await update_order(self._orders, order_id, record)
        except (OrderNotFound, PartNotFound):
            return False
        await self._declines.count(updated.order.state, updated.events)
        return True
