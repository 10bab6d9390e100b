"""Do what is due: repeat payment operations of unknown outcome, and expire unpaid orders."""

from __future__ import annotations

from datetime import datetime, timedelta

from orders.application.errors import ConcurrentUpdate, OrderNotFound, UnreadableOrder
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository
from orders.application.update_order import update_order
from orders.domain.actions import Action
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.domain.rules import refusals

WORK_LEASE = timedelta(seconds=30)
"""How long a claimed order belongs to one worker. All its payment operations take less."""


class ProcessScheduledWork:
    """Claims orders with due work, and does that work. Any number of workers may run."""

    def __init__(
        self, orders: OrderRepository, execute_operations: ExecutePaymentOperations, now: Clock
    ) -> None:
        self._orders = orders
        self._execute_operations = execute_operations
        self._now = now

    async def claim(self, *, limit: int) -> list[OrderId]:
        """At most `limit` orders with due work, each claimed for `WORK_LEASE`."""
        claimed = await self._orders.claim_scheduled(now=self._now(), lease=WORK_LEASE, limit=limit)
        return list(claimed)

    async def __call__(self, order_id: OrderId) -> None:
        """Do the due work of a claimed order. May be repeated.

        Work that fails is due again later. If someone else changes the order first, or only a newer
        version can read it, nothing is done: the work is found again.
        """
        try:
            # An operation that a majority does not have yet could be sent and then forgotten.
            order = await self._orders.get_durable(order_id)
            now = self._now()
            due = [
                each.key for each in order.state.ledger.operations if each.next_attempt_at <= now
            ]
            expired = await update_order(
                self._orders, order_id, lambda order: _expire(order, now), durable=order, tries=1
            )
            await self._execute_operations(expired.order, [*due, *expired.reserved])
        except (ConcurrentUpdate, OrderNotFound, UnreadableOrder):
            return


def _expire(order: Order, now: datetime) -> None:
    if not refusals(order.state, Action.EXPIRE, now=now):
        order.expire(now=now)
