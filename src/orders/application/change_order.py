"""Carry out a command on a stored order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from orders.application.access import Operation, actor_of, can_access, require
from orders.application.decline_limit import DeclineLimit
from orders.application.errors import OrderNotFound
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository
from orders.application.requests import (
    CommandResult,
    Request,
    is_replay,
    record_request,
    require_version,
)
from orders.application.update_order import update_order
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order.order import Order

Decision = Callable[[Order, Actor, datetime], object]
"""Calls a method of the order, with who acts and the time."""


class ChangeOrder:
    """Checks access, lets the order decide, saves it, and sends the operations it reserved."""

    def __init__(
        self,
        orders: OrderRepository,
        execute_operations: ExecutePaymentOperations,
        now: Clock,
        declines: DeclineLimit,
    ) -> None:
        self._orders = orders
        self._execute_operations = execute_operations
        self._now = now
        self._declines = declines

    async def __call__(
        self, order_id: OrderId, operation: Operation, decide: Decision, *, request: Request
    ) -> CommandResult:
        """Carry out a command. With a request key the call may be repeated.

        Raises:
            Forbidden: If the caller may do this to no order.
            OrderNotFound: If there is no such order that the caller may access.
            RequestKeyReused: If the key was used with another body.
            RequestInProgress: If the first request with the key is still running.
            StaleVersion: If the caller decided on another version.
            OrderError: If a rule of the order refuses the command.
            TooManyCustomerDeclines: If it starts a payment, and too many of its customer's were
                declined.
            ConcurrentUpdate: If others kept changing the order.
        """
        require(request.caller, operation)

        def execute(order: Order) -> bool:
            return self._execute(order, operation, decide, request)

        if request.dry_run:
            order = await self._orders.get(order_id)
            replayed = execute(order)
            await self._declines.admit(order)
            return CommandResult(order, replayed=replayed)
        updated = await update_order(self._orders, order_id, execute, admit=self._declines.admit)
        order = await self._execute_operations(updated.order, updated.reserved)
        return CommandResult(order, replayed=updated.outcome)

    def _execute(
        self, order: Order, operation: Operation, decide: Decision, request: Request
    ) -> bool:
        """Let the order decide. Returns whether an earlier request with the key did so."""
        if not can_access(request.caller, operation, order.state):
            raise OrderNotFound(order.id)
        now = self._now()
        if is_replay(order, request, now=now):
            return True
        require_version(order, request)
        decide(order, actor_of(request.caller), now)
        if order.is_changed and not request.dry_run:
            record_request(order, request, now=now)
        return False
