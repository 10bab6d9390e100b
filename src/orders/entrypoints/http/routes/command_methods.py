"""The method of `Order` that each command calls, with what its body says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import UNSET

from orders.domain.errors import InvalidValue
from orders.domain.identifiers import Actor, PartId
from orders.domain.order.order import Order
from orders.domain.returns import WRITE_OFF
from orders.domain.validation import OrderLimits
from orders.entrypoints.http.schemas.body import Body, stated
from orders.entrypoints.http.schemas.parcel_requests import (
    FailDeliveryBody,
    LateShipmentBody,
    ReceiveReturnBody,
)
from orders.entrypoints.http.schemas.payment_requests import (
    AmountBody,
    CreditBody,
    PaymentBody,
    RefundBody,
)
from orders.entrypoints.http.schemas.requests import (
    CancelBody,
    CancelItemsBody,
    CustomerBody,
    DispatchBody,
    EmptyBody,
    NoteBody,
    ReasonBody,
    ReturnBody,
    ShipmentBody,
)

B = TypeVar("B", bound=Body)


class Given(NamedTuple, Generic[B]):
    """What a command was sent with. `part_id` is the part in its path, "" without one."""

    body: B
    part_id: PartId
    by: Actor
    now: datetime
    limits: OrderLimits


class OrderMethod(Protocol):
    """A method of `Order` that takes nothing but who acts, and when."""

    def __call__(self, order: Order, /, *, by: Actor, now: datetime) -> None: ...


class PartMethod(Protocol):
    """A method of `Order` that takes the id of a part besides."""

    def __call__(self, order: Order, part_id: PartId, /, *, by: Actor, now: datetime) -> None: ...


def of_order(method: OrderMethod) -> Callable[[Order, Given[EmptyBody]], None]:
    """Calls a method for a command without a body."""
    return lambda order, given: method(order, by=given.by, now=given.now)


def of_part(method: PartMethod) -> Callable[[Order, Given[EmptyBody]], None]:
    """Calls a method for a command on a part, without a body."""
    return lambda order, given: method(order, given.part_id, by=given.by, now=given.now)


def cancel(order: Order, given: Given[CancelBody]) -> None:
    order.cancel(given.body.reason, by=given.by, now=given.now)


def cancel_items(order: Order, given: Given[CancelItemsBody]) -> None:
    order.cancel_items(given.body.to_items(), given.body.reason, by=given.by, now=given.now)


def hold(order: Order, given: Given[ReasonBody]) -> None:
    order.hold(given.body.reason, by=given.by, now=given.now)


def assign_customer(order: Order, given: Given[CustomerBody]) -> None:
    order.assign_customer(given.body.customer_id, by=given.by, now=given.now)


def add_note(order: Order, given: Given[NoteBody]) -> None:
    order.add_note(given.body.text, by=given.by, now=given.now)


def pay(order: Order, given: Given[PaymentBody]) -> None:
    body = given.body
    if body.manual is not UNSET:
        if body.method is not None or body.capture:
            raise InvalidValue("manual", "is instead of method and capture")
        received = body.manual.to_domain(given.now)
        order.record_payment(received, amount=body.amount, by=given.by, now=given.now)
        return
    if body.method is None:
        raise InvalidValue("method", "is needed, or manual")
    order.start_payment(
        body.method,
        amount=body.amount,
        capture=body.capture,
        by=given.by,
        now=given.now,
        limits=given.limits,
    )


def capture(order: Order, given: Given[AmountBody]) -> None:
    order.capture(given.part_id, amount=given.body.amount, by=given.by, now=given.now)


def refund(order: Order, given: Given[RefundBody]) -> None:
    body = given.body
    if body.recorded is True:
        order.record_refund(
            stated(body.reference) or "",
            amount=body.amount,
            payment_id=body.payment_id,
            reason=body.reason,
            by=given.by,
            now=given.now,
        )
        return
    if stated(body.reference) is not None:
        raise InvalidValue("reference", "is for refunds that are recorded")
    order.refund(
        amount=body.amount,
        payment_id=body.payment_id,
        reason=body.reason,
        by=given.by,
        now=given.now,
    )


def grant_credit(order: Order, given: Given[CreditBody]) -> None:
    body = given.body
    line_id, undeliverable = stated(body.line_id), stated(body.undeliverable) or 0
    if body.reason == WRITE_OFF:
        if line_id is not None or undeliverable:
            raise InvalidValue("reason", "must be another for a credit of a line")
        order.write_off(amount=body.amount, by=given.by, now=given.now)
        return
    order.grant_credit(
        body.amount,
        body.reason,
        line_id=line_id,
        undeliverable=undeliverable,
        by=given.by,
        now=given.now,
    )


def create_shipment(order: Order, given: Given[ShipmentBody]) -> None:
    body = given.body
    order.create_shipment(
        body.to_items(), carrier=body.carrier, tracking=body.tracking, by=given.by, now=given.now
    )


def record_late_shipment(order: Order, given: Given[LateShipmentBody]) -> None:
    body = given.body
    order.record_late_shipment(
        body.to_items(),
        carrier=body.carrier,
        tracking=body.tracking,
        dispatched_at=body.dispatched_at,
        by=given.by,
        now=given.now,
    )


def fail_delivery(order: Order, given: Given[FailDeliveryBody]) -> None:
    order.fail_delivery(given.part_id, given.body.reason, by=given.by, now=given.now)


def receive_return(order: Order, given: Given[ReceiveReturnBody]) -> None:
    body = given.body
    order.receive_return(
        given.part_id, items=body.to_items(), credit=stated(body.credit), by=given.by, now=given.now
    )


def dispatch(order: Order, given: Given[DispatchBody]) -> None:
    order.dispatch(given.part_id, tracking=given.body.tracking, by=given.by, now=given.now)


def request_return(order: Order, given: Given[ReturnBody]) -> None:
    order.request_return(given.body.to_items(), given.body.reason, by=given.by, now=given.now)
