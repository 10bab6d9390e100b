"""Every command on a stored order: its path, its operation, its body, and what it tells the order.

One row a command. `command_handlers` makes the handlers from the rows, so all of them treat keys,
versions, dry runs and answers alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from orders.application.access import Operation
from orders.entrypoints.http.schemas.requests import (
    AmountBody,
    Body,
    CancelBody,
    CancelItemsBody,
    CreditBody,
    DispatchBody,
    EmptyBody,
    NoteBody,
    PaymentBody,
    ReasonBody,
    RefundBody,
    ReturnBody,
    ShipmentBody,
)


@dataclass(frozen=True, slots=True)
class Command:
    """A row: POST `path` under an order makes `tell` happen.

    `tell` gets the order, the body, the part's id from the path ("" without one) and, as
    keywords, who acts and when. `creates` answers 201 and needs a key;
    `needs_version` refuses a caller that does not say which version it decided on.
    """

    path: str
    operation: Operation
    body: type[Body]
    execute: Callable[..., object]
    summary: str
    creates: bool = False
    needs_key: bool = False
    needs_version: bool = False

    @property
    def status(self) -> HTTPStatus:
        """What it answers with."""
        return HTTPStatus.CREATED if self.creates else HTTPStatus.OK


COMMANDS: Final = (
    Command(
        "/confirm",
        Operation.CONFIRM,
        EmptyBody,
        lambda order, body, part, **who: order.confirm(**who),
        "Confirm the order",
    ),
    Command(
        "/complete",
        Operation.COMPLETE,
        EmptyBody,
        lambda order, body, part, **who: order.complete(**who),
        "Complete a delivered and paid order",
    ),
    Command(
        "/cancel",
        Operation.CANCEL,
        CancelBody,
        lambda order, body, part, **who: order.cancel(body.reason, **who),
        "Cancel the order",
    ),
    Command(
        "/cancellations",
        Operation.CANCEL_ITEMS,
        CancelItemsBody,
        lambda order, body, part, **who: order.cancel_items(body.to_items(), body.reason, **who),
        "Cancel some units",
    ),
    Command(
        "/changes/{part_id:str}/apply",
        Operation.APPLY_CHANGE,
        EmptyBody,
        lambda order, body, part, **who: order.apply_change(part, **who),
        "Apply a proposed change",
        needs_version=True,
    ),
    Command(
        "/changes/{part_id:str}/decline",
        Operation.DECLINE_CHANGE,
        EmptyBody,
        lambda order, body, part, **who: order.decline_change(part, **who),
        "Decline a proposed change",
    ),
    Command(
        "/holds",
        Operation.HOLD,
        ReasonBody,
        lambda order, body, part, **who: order.hold(body.reason, **who),
        "Hold the order",
        creates=True,
    ),
    Command(
        "/holds/{part_id:str}/release",
        Operation.RELEASE,
        EmptyBody,
        lambda order, body, part, **who: order.release(part, **who),
        "Release a hold",
    ),
    Command(
        "/notes",
        Operation.ADD_NOTE,
        NoteBody,
        lambda order, body, part, **who: order.add_note(body.text, **who),
        "Add a note for staff",
        creates=True,
    ),
    Command(
        "/payments",
        Operation.PAY,
        PaymentBody,
        lambda order, body, part, **who: order.start_payment(
            body.method, amount=body.amount, capture=body.capture, **who
        ),
        "Pay",
        creates=True,
    ),
    Command(
        "/payments/{part_id:str}/capture",
        Operation.CAPTURE,
        AmountBody,
        lambda order, body, part, **who: order.capture(part, amount=body.amount, **who),
        "Capture authorised money",
        needs_key=True,
    ),
    Command(
        "/payments/{part_id:str}/void",
        Operation.VOID,
        EmptyBody,
        lambda order, body, part, **who: order.void(part, **who),
        "Void an authorisation or a payment in flight",
    ),
    Command(
        "/payments/{part_id:str}/dismiss",
        Operation.DISMISS_PAYMENT,
        EmptyBody,
        lambda order, body, part, **who: order.dismiss_payment(part, **who),
        "Dismiss a payment under review",
    ),
    Command(
        "/refunds",
        Operation.REFUND,
        RefundBody,
        lambda order, body, part, **who: order.refund(
            amount=body.amount, payment_id=body.payment_id, reason=body.reason, **who
        ),
        "Refund money that is owed to the customer",
        creates=True,
    ),
    Command(
        "/credits",
        Operation.GRANT_CREDIT,
        CreditBody,
        lambda order, body, part, **who: order.grant_credit(body.amount, body.reason, **who),
        "Grant a credit",
        creates=True,
    ),
    Command(
        "/shipments",
        Operation.CREATE_SHIPMENT,
        ShipmentBody,
        lambda order, body, part, **who: order.create_shipment(
            body.to_items(), carrier=body.carrier, tracking=body.tracking, **who
        ),
        "Pack units into a shipment",
        creates=True,
    ),
    Command(
        "/shipments/{part_id:str}/dispatch",
        Operation.DISPATCH,
        DispatchBody,
        lambda order, body, part, **who: order.dispatch(part, tracking=body.tracking, **who),
        "Hand a shipment to the carrier",
    ),
    Command(
        "/shipments/{part_id:str}/deliver",
        Operation.DELIVER,
        EmptyBody,
        lambda order, body, part, **who: order.deliver(part, **who),
        "Record that a shipment was delivered",
    ),
    Command(
        "/shipments/{part_id:str}/cancel",
        Operation.CANCEL_SHIPMENT,
        EmptyBody,
        lambda order, body, part, **who: order.cancel_shipment(part, **who),
        "Cancel a shipment that was not dispatched",
    ),
    Command(
        "/returns",
        Operation.REQUEST_RETURN,
        ReturnBody,
        lambda order, body, part, **who: order.request_return(body.to_items(), body.reason, **who),
        "Request a return",
        creates=True,
    ),
    Command(
        "/returns/{part_id:str}/approve",
        Operation.APPROVE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.approve_return(part, **who),
        "Approve a return",
    ),
    Command(
        "/returns/{part_id:str}/decline",
        Operation.DECLINE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.decline_return(part, **who),
        "Decline a return",
    ),
    Command(
        "/returns/{part_id:str}/receive",
        Operation.RECEIVE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.receive_return(part, **who),
        "Receive returned units and credit them",
    ),
    Command(
        "/returns/{part_id:str}/close",
        Operation.CLOSE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.close_return(part, **who),
        "Close a return",
    ),
)
