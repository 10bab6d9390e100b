"""Book what the payment service tells by itself."""

from __future__ import annotations

from collections.abc import Mapping

from orders.application.errors import ConcurrentUpdate, OrderNotFound
from orders.application.ports import (
    Clock,
    OrderRepository,
    PaymentEvent,
    PaymentEventType,
    WebhookVerifier,
)
from orders.domain.errors import PartNotFound
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.payments import order_of_reference

TRIES = 10
"""How often a fact is booked anew on an order that others keep changing."""


class RecordPaymentEvent:
    """Books a payment event on its order. Duplicates and late ones change nothing."""

    def __init__(self, orders: OrderRepository, verifier: WebhookVerifier, now: Clock) -> None:
        self._orders = orders
        self._verifier = verifier
        self._now = now

    async def __call__(self, headers: Mapping[str, str], raw_body: bytes) -> bool:
        """Book a signed message; False if it is about no payment of ours. May be repeated.

        Raises:
            InvalidWebhook: If the payment service did not sign it, or it cannot be read.
            ConcurrentUpdate: If others kept changing the order. The sender repeats it.
        """
        event = self._verifier.verify(headers, raw_body, self._now())
        order_id = order_of_reference(event.payment.reference)
        if order_id is None:
            return False
        for _ in range(TRIES):
            try:
                order = await self._booked(order_id, event)
            except (OrderNotFound, PartNotFound):
                return False
            if not order.is_changed:
                return True
            try:
                await self._orders.save(order)
            except ConcurrentUpdate:
                continue
            return True
        raise ConcurrentUpdate

    async def _booked(self, order_id: OrderId, event: PaymentEvent) -> Order:
        """The order with the event on it; not changed only if that was stored before, safely."""
        order = await self._orders.get(order_id)
        self._book(order, event)
        if not order.is_changed:
            # The sender will never send it again.
            order = await self._orders.get_durable(order_id, at_least=order.version)
            self._book(order, event)
        return order

    def _book(self, order: Order, event: PaymentEvent) -> None:
        payment_id = event.payment.reference.rpartition(":")[2]
        charged_back = event.type is PaymentEventType.CHARGED_BACK
        order.record_payment_report(
            event.payment, payment_id, charged_back=charged_back, now=self._now()
        )
