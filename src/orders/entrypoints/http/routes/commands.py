"""Every command on a stored order: its path, its body, and the method of `Order` that it calls.

One row a command. `command_handlers` makes the handlers from the rows, so keys, versions, dry runs
and responses are treated alike in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from orders.application.access import Operation
from orders.domain.identifiers import Actor, PartId
from orders.domain.order.order import Order
from orders.domain.validation import OrderLimits
from orders.entrypoints.http.schemas.body import Body, stated
from orders.entrypoints.http.schemas.parcel_requests import (
    FailDeliveryBody,
    LateShipmentBody,
    ReceiveReturnBody,
)
from orders.entrypoints.http.schemas.requests import (
    AmountBody,
    CancelBody,
    CancelItemsBody,
    CreditBody,
    CustomerBody,
    DispatchBody,
    EmptyBody,
    NoteBody,
    PaymentBody,
    ReasonBody,
    RefundBody,
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


@dataclass(frozen=True, slots=True)
class Command(Generic[B]):
    """A row: POST to `path` under an order calls `execute` with the order.

    `creates`: responds with 201, and needs an Idempotency-Key. `needs_key`: responds with 200, and
    needs one. `needs_version`: refuses a request without If-Match.
    """

    path: str
    operation: Operation
    body: type[B]
    execute: Callable[[Order, Given[B]], None]
    summary: str
    creates: bool = False
    needs_key: bool = False
    needs_version: bool = False

    @property
    def status(self) -> HTTPStatus:
        """The status of a success that is no dry run."""
        return HTTPStatus.CREATED if self.creates else HTTPStatus.OK


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
    order.refund(
        amount=body.amount,
        payment_id=body.payment_id,
        reason=body.reason,
        by=given.by,
        now=given.now,
    )


def grant_credit(order: Order, given: Given[CreditBody]) -> None:
    body = given.body
    order.grant_credit(
        body.amount,
        body.reason,
        line_id=stated(body.line_id),
        undeliverable=stated(body.undeliverable) or 0,
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


# Without a type: mypy checks the body of each row against that of its function.
_ROWS: Final = (
    Command("/confirm", Operation.CONFIRM, EmptyBody, of_order(Order.confirm), "Confirm the order"),
    Command(
        "/complete",
        Operation.COMPLETE,
        EmptyBody,
        of_order(Order.complete),
        "Complete a delivered and paid order",
    ),
    Command("/cancel", Operation.CANCEL, CancelBody, cancel, "Cancel the order"),
    Command(
        "/cancellations", Operation.CANCEL_ITEMS, CancelItemsBody, cancel_items, "Cancel some units"
    ),
    Command(
        "/changes/{part_id:str}/apply",
        Operation.APPLY_CHANGE,
        EmptyBody,
        of_part(Order.apply_change),
        "Apply a proposed change",
        needs_version=True,
    ),
    Command(
        "/changes/{part_id:str}/decline",
        Operation.DECLINE_CHANGE,
        EmptyBody,
        of_part(Order.decline_change),
        "Decline a proposed change",
    ),
    Command("/holds", Operation.HOLD, ReasonBody, hold, "Hold the order", creates=True),
    Command(
        "/holds/{part_id:str}/release",
        Operation.RELEASE,
        EmptyBody,
        of_part(Order.release),
        "Release a hold",
    ),
    Command(
        "/customer",
        Operation.ASSIGN_CUSTOMER,
        CustomerBody,
        assign_customer,
        "Make a guest's order a customer's",
    ),
    Command("/notes", Operation.ADD_NOTE, NoteBody, add_note, "Add a note for staff", creates=True),
    Command("/payments", Operation.PAY, PaymentBody, pay, "Pay", creates=True),
    Command(
        "/payments/{part_id:str}/capture",
        Operation.CAPTURE,
        AmountBody,
        capture,
        "Capture authorised money",
        needs_key=True,
    ),
    Command(
        "/payments/{part_id:str}/void",
        Operation.VOID,
        EmptyBody,
        of_part(Order.void),
        "Void an authorisation or a payment in flight",
    ),
    Command(
        "/payments/{part_id:str}/dismiss",
        Operation.DISMISS_PAYMENT,
        EmptyBody,
        of_part(Order.dismiss_payment),
        "Dismiss a payment under review",
    ),
    Command(
        "/refunds",
        Operation.REFUND,
        RefundBody,
        refund,
        "Refund money that is owed to the customer",
        creates=True,
    ),
    Command(
        "/credits", Operation.GRANT_CREDIT, CreditBody, grant_credit, "Grant a credit", creates=True
    ),
    Command(
        "/credits/{part_id:str}/revoke",
        Operation.REVOKE_CREDIT,
        EmptyBody,
        of_part(Order.revoke_credit),
        "Revoke a credit that was not paid out",
    ),
    Command(
        "/shipments",
        Operation.CREATE_SHIPMENT,
        ShipmentBody,
        create_shipment,
        "Pack units into a shipment",
        creates=True,
    ),
    Command(
        "/shipments/{part_id:str}/dispatch",
        Operation.DISPATCH,
        DispatchBody,
        dispatch,
        "Hand a shipment to the carrier",
    ),
    Command(
        "/shipments/{part_id:str}/deliver",
        Operation.DELIVER,
        EmptyBody,
        of_part(Order.deliver),
        "Record that a shipment was delivered",
    ),
    Command(
        "/shipments/{part_id:str}/fail",
        Operation.FAIL_DELIVERY,
        FailDeliveryBody,
        fail_delivery,
        "Record that a shipment will not arrive",
    ),
    Command(
        "/late-shipments",
        Operation.RECORD_LATE_SHIPMENT,
        LateShipmentBody,
        record_late_shipment,
        "Record a shipment that left before a cancellation was known",
        creates=True,
    ),
    Command(
        "/shipments/{part_id:str}/cancel",
        Operation.CANCEL_SHIPMENT,
        EmptyBody,
        of_part(Order.cancel_shipment),
        "Cancel a shipment that was not dispatched",
    ),
    Command(
        "/returns",
        Operation.REQUEST_RETURN,
        ReturnBody,
        request_return,
        "Request a return",
        creates=True,
    ),
    Command(
        "/returns/{part_id:str}/approve",
        Operation.APPROVE_RETURN,
        EmptyBody,
        of_part(Order.approve_return),
        "Approve a return",
    ),
    Command(
        "/returns/{part_id:str}/decline",
        Operation.DECLINE_RETURN,
        EmptyBody,
        of_part(Order.decline_return),
        "Decline a return",
    ),
    Command(
        "/returns/{part_id:str}/receive",
        Operation.RECEIVE_RETURN,
        ReceiveReturnBody,
        receive_return,
        "Receive returned units and credit them",
    ),
    Command(
        "/returns/{part_id:str}/close",
        Operation.CLOSE_RETURN,
        EmptyBody,
        of_part(Order.close_return),
        "Close a return",
    ),
)
COMMANDS: Final[Sequence[Command[Any]]] = _ROWS
