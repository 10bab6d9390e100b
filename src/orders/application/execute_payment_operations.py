"""Carry out the calls that an order has reserved, and book what comes of them.

Reserved and stored came first, so whatever dies here, a worker finishes: it looks the payment
up by its reference, and sends the same key again if it is not there. Never a new key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from orders.application.errors import (
    ConcurrentUpdate,
    PaymentDeclined,
    PaymentNotAttempted,
    PaymentRefused,
    PaymentUnavailable,
    StoreUnavailable,
)
from orders.application.ports import Clock, OrderRepository, PaymentGateway
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.payments import OperationKind, PaymentOperation, PaymentReport
from orders.domain.storing import restore, stored_state

TRIES = 10
"""How often a fact is booked anew on an order that others keep changing."""


class ExecutePaymentOperations:
    """Makes an order's reserved calls and stores their outcome."""

    def __init__(self, orders: OrderRepository, payments: PaymentGateway, now: Clock) -> None:
        self._orders = orders
        self._payments = payments
        self._now = now

    async def __call__(self, order: Order, keys: Iterable[str]) -> Order:
        """Make the calls with these keys, and those that their outcome reserves in turn.

        They must be the caller's to make: just stored by it, or claimed because they are due.
        A call without a clear answer, or whose answer cannot be stored, is left for later, and
        the order comes back as it is stored. May be repeated.
        """
        waiting = deque(keys)
        while waiting:
            call = order.state.ledger.operation(waiting.popleft())
            if call is None:
                continue
            book = await self._outcome(order, call)
            try:
                order, reserved = await self._store(order, book)
            except (ConcurrentUpdate, StoreUnavailable):
                return restore(stored_state(order))
            waiting.extend(reserved)
        return order

    async def _outcome(self, order: Order, call: PaymentOperation) -> Callable[[Order], None]:
        try:
            report = await self._ask(order, call)
        except PaymentDeclined as no:
            code = no.decline_code
            return lambda order: order.record_operation_failure(call.key, code, now=self._now())
        except PaymentRefused:
            return lambda order: order.record_operation_failure(
                call.key, "refused", now=self._now()
            )
        except PaymentNotAttempted:
            return lambda order: order.record_not_attempted(call.key, now=self._now())
        except PaymentUnavailable:
            return lambda order: order.record_unknown_outcome(call.key, now=self._now())
        return lambda order: order.record_operation_result(call.key, report, now=self._now())

    async def _ask(self, order: Order, call: PaymentOperation) -> PaymentReport:
        payment = order.state.ledger.payment(call.payment_id)
        amount = Money(call.amount, order.state.currency)
        if call.kind is OperationKind.AUTHORIZE:
            return await self._authorize(call, amount, payment.method or "", payment.capture)
        if payment.provider_id is None:
            raise PaymentUnavailable("the payment service has not named the payment yet")
        match call.kind:
            case OperationKind.CAPTURE:
                return await self._payments.capture(
                    payment.provider_id, amount=amount, reference=call.key
                )
            case OperationKind.VOID:
                return await self._payments.void(payment.provider_id, reference=call.key)
            case OperationKind.REFUND:
                return await self._payments.refund(
                    payment.provider_id, amount=amount, reference=call.key
                )

    async def _authorize(
        self, call: PaymentOperation, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        asked_before = call.tries > 0 or call.next_attempt_at <= self._now()
        if asked_before and (known := await self._payments.find(call.key)) is not None:
            return known
        return await self._payments.authorize(
            reference=call.key, amount=amount, method=method, capture=capture
        )

    async def _store(
        self, order: Order, book: Callable[[Order], None]
    ) -> tuple[Order, Iterable[str]]:
        """Book a fact and save it; on a lost race, on the order as it is now.

        Returns the order and the keys of the calls that booking has reserved.
        """
        for _ in range(TRIES):
            before = order.state.ledger
            book(order)
            if not order.is_changed:
                return order, ()
            try:
                await self._orders.save(order)
            except ConcurrentUpdate:
                # Whoever was faster may have booked it: then this is what the caller is told.
                order = await self._orders.get_durable(order.id, at_least=order.version + 1)
            else:
                return order, order.state.ledger.operations_since(before)
        raise ConcurrentUpdate
