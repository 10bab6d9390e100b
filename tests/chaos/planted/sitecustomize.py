"""Breaks the service on purpose, to see that its faults are found. Python runs this at its start.

It is on the path of no process but those that the harness tells so, and the product knows
nothing of it. `CHAOS_FAULT` names the fault.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orders.application.errors import PaymentUnavailable
from orders.application.execute_payment_operations import ExecutePaymentOperations
from orders.application.ports import LoggedEvent
from orders.application.publisher_queue import RELAY_LEASE, Relayed
from orders.application.relay_events import RelayEvents
from orders.domain.money import Money
from orders.domain.order.order import Order
from orders.domain.order.storing import mark_stored
from orders.domain.payments import PaymentOperation, PaymentReport


def a_new_key_for_an_unknown_outcome() -> None:
    """Whoever does not know what became of a payment asks for another one."""

    async def authorize(
        self: ExecutePaymentOperations,
        operation: PaymentOperation,
        amount: Money,
        method: str,
        capture: bool,
    ) -> PaymentReport:
        asked_before = operation.tries > 0 or operation.next_attempt_at <= self._now()
        key = f"{operation.key}{self._now():%H%M%S}" if asked_before else operation.key
        report = await self._payments.authorize(
            reference=key, amount=amount, method=method, capture=capture
        )
        return replace(report, reference=operation.key)

    ExecutePaymentOperations._authorize = authorize  # type: ignore[method-assign]


def an_unknown_outcome_taken_for_a_no() -> None:
    """A payment service that does not answer has surely not taken the money."""
    ask = ExecutePaymentOperations._outcome

    async def outcome(
        self: ExecutePaymentOperations, order: Order, operation: PaymentOperation
    ) -> Callable[[Order], None]:
        try:
            await self._send(order, operation)
        except PaymentUnavailable:
            return lambda order: order.record_operation_failure(
                operation.key, "unavailable", now=self._now()
            )
        except Exception:  # noqa: BLE001 - the real code judges it
            pass
        return await ask(self, order, operation)

    ExecutePaymentOperations._outcome = outcome  # type: ignore[method-assign]


def forgotten_before_the_confirm() -> None:
    """The relay takes events out of the outbox, and publishes them then."""

    async def relay(self: RelayEvents, *, limit: int) -> Relayed:
        claimed = await self._outbox.claim(now=self._now(), lease=RELAY_LEASE, limit=limit)
        events: list[LoggedEvent] = [event for waiting in claimed for event in waiting.events]
        await self._log.append(events)
        await self._outbox.remove({e.order_id: e.recorded.sequence for e in events})
        for queue in self.queues:
            await queue.publish(claimed)
        return Relayed(events=len(events))

    RelayEvents.__call__ = relay  # type: ignore[method-assign]


def published_without_confirms() -> None:
    """What was written to the broker's socket counts as published."""
    from aio_pika.connection import Connection

    channel = Connection.channel

    def unconfirmed(self: Connection, **options: Any) -> Any:
        return channel(self, publisher_confirms=False, **(options | {"on_return_raises": False}))

    Connection.channel = unconfirmed  # type: ignore[method-assign,assignment]


def events_stored_in_a_second_write() -> None:
    """An order is changed first, and told of then."""
    from bson import ObjectId

    from orders.adapters.mongo.documents import to_update
    from orders.adapters.mongo.driver_errors import translate_driver_errors
    from orders.adapters.mongo.orders import MongoOrders
    from orders.application.errors import ConcurrentUpdate

    @translate_driver_errors
    async def save(self: MongoOrders, order: Order) -> None:
        update = to_update(order, traceparent=self._trace_context.current())
        update["$set"]["write_token"] = mark = ObjectId()
        told: dict[str, Any] = {
            each: update.pop(each) for each in ("$push", "$max") if each in update
        }
        expected = {"_id": order.id, "version": order.version}
        if not (await self._orders.update_one(expected, update)).matched_count:
            raise ConcurrentUpdate
        if told:
            await self._orders.update_one({"_id": order.id}, told)
        mark_stored(order, order.version + 1, write_token=mark)

    MongoOrders.save = save  # type: ignore[method-assign]


FAULTS = {
    fault.__name__: fault
    for fault in (
        a_new_key_for_an_unknown_outcome,
        an_unknown_outcome_taken_for_a_no,
        forgotten_before_the_confirm,
        published_without_confirms,
        events_stored_in_a_second_write,
    )
}

if chosen := os.environ.get("CHAOS_FAULT"):
    FAULTS[chosen]()
