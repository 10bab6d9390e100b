"""Send the payment operations that an order has reserved, and record their outcome.

An operation is reserved and stored before it is sent, with its key. If this process dies at any
point, a worker sends the operation again, with the same key; a payment it looks up by that key
first. So an operation moves money at most once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from orders.application.decline_limit import DeclineLimit
from orders.application.errors import (
    ConcurrentUpdate,
    PaymentDeclined,
    PaymentNotAttempted,
    PaymentRefused,
    PaymentUnavailable,
    StoreUnavailable,
)
from orders.application.ports import Clock, OrderRepository, PaymentGateway
from orders.application.update_order import update_order
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import restore, stored_state
from orders.domain.payments import (
    OperationKind,
    PaymentOperation,
    PaymentReport,
    authorization_key,
)


class ExecutePaymentOperations:
    """Sends an order's reserved operations and stores their outcome."""

    def __init__(
        self,
        orders: OrderRepository,
        payments: PaymentGateway,
        now: Clock,
        declines: DeclineLimit,
    ) -> None:
        self._orders = orders
        self._payments = payments
        self._now = now
        self._declines = declines

    async def __call__(self, order: Order, keys: Iterable[str]) -> Order:
        """Send the operations with these keys, and those that their outcomes reserve.

        The caller must own the operations: it has just stored them, or claimed the order when they
        became due. The order must be durable. If an operation has no clear outcome, or its outcome
        cannot be stored, a worker repeats it later; the order is then returned as last stored. The
        call may be repeated.
        """
        waiting = deque(keys)
        while waiting:
            operation = order.state.ledger.operation(waiting.popleft())
            if operation is None:
                continue
            record = await self._outcome(order, operation)
            try:
                updated = await update_order(self._orders, order.id, record, durable=order)
            except (ConcurrentUpdate, StoreUnavailable):
                return restore(stored_state(order))
            order = updated.order
            await self._declines.count(order.state, updated.events)
            waiting.extend(updated.reserved)
        return order

    async def _outcome(self, order: Order, operation: PaymentOperation) -> Callable[[Order], None]:
        """Send an operation. Returns the function that records its outcome on an order."""
        key = operation.key
        try:
            report = await self._send(order, operation)
        except PaymentDeclined as refusal:
            code = refusal.decline_code
            return lambda order: order.record_operation_failure(key, code, now=self._now())
        except PaymentRefused:
            return lambda order: order.record_operation_failure(key, "refused", now=self._now())
        except PaymentNotAttempted:
            return lambda order: order.record_not_attempted(key, now=self._now())
        except PaymentUnavailable:
            return lambda order: order.record_unknown_outcome(key, now=self._now())
        return lambda order: order.record_operation_result(key, report, now=self._now())

    async def _send(self, order: Order, operation: PaymentOperation) -> PaymentReport:
        payment = order.state.ledger.payment(operation.payment_id)
        amount = Money(operation.amount, order.state.currency)
        if operation.kind is OperationKind.AUTHORIZE:
            return await self._authorize(operation, amount, payment.method or "", payment.capture)
        if payment.provider_id is None:
            raise PaymentUnavailable("the payment service has not named the payment yet")
        match operation.kind:
            case OperationKind.CAPTURE:
                return await self._payments.capture(
                    payment.provider_id, amount=amount, reference=operation.key
                )
            case OperationKind.VOID:
                return await self._payments.void(payment.provider_id, reference=operation.key)
            case OperationKind.REFUND:
                return await self._refund(order, operation, payment.provider_id, amount)

    async def _authorize(
        self, operation: PaymentOperation, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        if self._was_sent_before(operation):
            known = await self._payments.find(operation.key)
            if known is not None:
                return known
        return await self._payments.authorize(
            reference=operation.key, amount=amount, method=method, capture=capture
        )

    async def _refund(
        self, order: Order, operation: PaymentOperation, provider_id: str, amount: Money
    ) -> PaymentReport:
        # A repeated call brings the first answer again: the refund may have failed since.
        if self._was_sent_before(operation):
            known = await self._payments.find(authorization_key(order.id, operation.payment_id))
            if known is not None and known.refund_status(operation.key) is not None:
                return known
        return await self._payments.refund(provider_id, amount=amount, reference=operation.key)

    def _was_sent_before(self, operation: PaymentOperation) -> bool:
        return operation.tries > 0 or operation.next_attempt_at <= self._now()
