"""Every command on a stored order: its path, its body, and the method of `Order` that it calls.

One row a command. `command_handlers` makes the handlers from the rows, so keys, versions, dry runs
and responses are treated alike in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from msgspec import UNSET

from orders.application.access import Operation
from orders.domain.order.order import Order
from orders.domain.returns import WRITE_OFF
from orders.entrypoints.http.routes.command_methods import (
    Given,
    add_note,
    assign_customer,
    cancel,
    cancel_items,
    capture,
    create_shipment,
    dispatch,
    fail_delivery,
    grant_credit,
    hold,
    of_order,
    of_part,
    pay,
    receive_return,
    record_late_shipment,
    refund,
    request_return,
)
from orders.entrypoints.http.schemas.body import Body
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
    needs_body: bool = False
    """Whether a body has to be sent although each of its members may be left out."""
    operation_of: Callable[[B], Operation] | None = None
    """Which operation a body asks for, if not always the same."""

    @property
    def status(self) -> HTTPStatus:
        """The status of a success that is no dry run."""
        return HTTPStatus.CREATED if self.creates else HTTPStatus.OK


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
    Command(
        "/payments",
        Operation.PAY,
        PaymentBody,
        pay,
        "Pay, or record money that was received elsewhere",
        creates=True,
        needs_body=True,
        operation_of=lambda body: (
            Operation.PAY if body.manual is UNSET else Operation.RECORD_PAYMENT
        ),
    ),
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
        operation_of=lambda body: (
            Operation.RECORD_REFUND if body.recorded is True else Operation.REFUND
        ),
    ),
    Command(
        "/credits",
        Operation.GRANT_CREDIT,
        CreditBody,
        grant_credit,
        "Grant a credit",
        creates=True,
        operation_of=lambda body: (
            Operation.WRITE_OFF if body.reason == WRITE_OFF else Operation.GRANT_CREDIT
        ),
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
