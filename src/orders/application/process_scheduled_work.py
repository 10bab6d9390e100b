"""Do what time asks for: look at calls of unknown outcome again, and end unpaid orders."""

from __future__ import annotations

from datetime import timedelta

from orders.application.errors import ConcurrentUpdate, OrderNotFound, UnreadableOrder
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository
from orders.domain.actions import Action
from orders.domain.identifiers import OrderId
from orders.domain.rules import refusals

LEASE = timedelta(seconds=30)
"""How long a claimed order is one worker's: longer than all its calls may take."""


class ProcessScheduledWork:
    """One worker's turn. Any number of workers may run; all of it is safe to do twice."""

    def __init__(
        self, orders: OrderRepository, settle: ExecutePaymentOperations, now: Clock
    ) -> None:
        self._orders = orders
        self._settle = settle
        self._now = now

    async def claim(self, *, limit: int) -> list[OrderId]:
        """Orders that something is due for, each claimed for `LEASE`."""
        return list(await self._orders.claim_scheduled(now=self._now(), lease=LEASE, limit=limit))

    async def __call__(self, order_id: OrderId) -> None:
        """Do what is due for one claimed order. What comes to nothing is due again later."""
        try:
            # A call that was reserved in vain is not made: nothing would know of it later.
            order = await self._orders.get_durable(order_id)
            now, before = self._now(), order.state.ledger
            if not refusals(order.state, Action.EXPIRE, now=now):
                order.expire(now=now)
                await self._orders.save(order)
            due = [call.key for call in before.operations if call.next_attempt_at <= now]
            await self._settle(order, [*due, *order.state.ledger.operations_since(before)])
        except (ConcurrentUpdate, OrderNotFound, UnreadableOrder):
            # Someone else changed it, or must: what is still due then is found again.
            return
