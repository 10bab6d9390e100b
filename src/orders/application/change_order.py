"""Change an order: the way every command on a stored order goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from orders.application.access import Operation, actor_of, can_access, require
from orders.application.errors import ConcurrentUpdate, OrderNotFound
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import Clock, OrderRepository
from orders.application.requests import (
    CommandResult,
    Request,
    record_request,
    replay_of,
    require_version,
)
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order.order import Order
from orders.domain.storing import stored_state

TRIES = 8
"""How often a command is decided anew on an order that others keep changing."""

Decision = Callable[[Order, Actor, datetime], object]
"""What to tell the order, given who acts and the time."""


class ChangeOrder:
    """Loads an order, lets it decide, stores it, and makes the calls it reserved."""

    def __init__(
        self, orders: OrderRepository, settle: ExecutePaymentOperations, now: Clock
    ) -> None:
        self._orders = orders
        self._settle = settle
        self._now = now

    async def __call__(
        self, order_id: OrderId, operation: Operation, decide: Decision, *, request: Request
    ) -> CommandResult:
        """Carry out a command. With a request key it may be repeated.

        Raises:
            Forbidden: If the caller may do this to no order.
            OrderNotFound: If there is no such order that the caller may reach.
            RequestKeyReused: If the key was used with another body.
            RequestInProgress: If the first request with the key is still running.
            StaleVersion: If the caller decided on another version.
            OrderError: If a rule of the order says no.
            ConcurrentUpdate: If others kept changing the order.
        """
        require(request.caller, operation)
        for _ in range(TRIES):
            order = await self._orders.get(order_id)
            answer = self._answer_of(order, operation, decide, request)
            if answer is not None and not request.dry_run:
                # Nothing will be stored, so what is told must be safe as it is.
                order = await self._orders.get_durable(order_id, at_least=order.version)
                answer = self._answer_of(order, operation, decide, request)
            if answer is not None:
                return answer
            before = stored_state(order).ledger
            try:
                await self._orders.save(order)
            except ConcurrentUpdate:
                continue
            reserved = order.state.ledger.operations_since(before)
            return CommandResult(await self._settle(order, reserved))
        raise ConcurrentUpdate

    def _answer_of(
        self, order: Order, operation: Operation, decide: Decision, request: Request
    ) -> CommandResult | None:
        """Let the order decide. Returns the answer, or None if the order is to be stored first."""
        if not can_access(request.caller, operation, order.state):
            raise OrderNotFound(order.id)
        now = self._now()
        if (answer := replay_of(order, request, now=now)) is not None:
            return answer
        require_version(order, request)
        decide(order, actor_of(request.caller), now)
        if request.dry_run or not order.is_changed:
            return CommandResult(order)
        record_request(order, request, now=now)
        return None
