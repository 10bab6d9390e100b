"""Book what the payment service tells by itself."""

from __future__ import annotations

from orders.application.errors import ConcurrentUpdate, OrderNotFound
from orders.application.ports import Clock, OrderRepository
from orders.domain.errors import PartNotFound
from orders.domain.order import Order
from orders.domain.payments import PaymentReport, order_of_reference

TRIES = 10
"""How often a fact is booked anew on an order that others keep changing."""


class BookPaymentEvent:
    """Books a payment event on its order. Duplicates and late ones change nothing."""

    def __init__(self, orders: OrderRepository, now: Clock) -> None:
        self._orders = orders
        self._now = now

    async def __call__(self, report: PaymentReport, *, charged_back: bool = False) -> bool:
        """Book it; False if it is about no payment of ours. May be repeated.

        Raises:
            ConcurrentUpdate: If others kept changing the order. The sender repeats it.
        """
        order_id = order_of_reference(report.reference)
        if order_id is None:
            return False
        payment_id = report.reference.rpartition(":")[2]
        for _ in range(TRIES):
            try:
                order = await self._orders.get(order_id)
                self._book(order, report, payment_id, charged_back)
            except (OrderNotFound, PartNotFound):
                return False
            if order.state is order.stored:
                return True
            try:
                await self._orders.save(order)
            except ConcurrentUpdate:
                continue
            return True
        raise ConcurrentUpdate

    def _book(
        self, order: Order, report: PaymentReport, payment_id: str, charged_back: bool
    ) -> None:
        now = self._now()
        order.book(report, payment_id, now=now)
        if charged_back:
            order.book_charge_back(payment_id, now=now)
