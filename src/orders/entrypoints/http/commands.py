"""Every command on a stored order: its path, its operation, its body, and what it tells the order.

One row a command. The handlers are made from the rows, so all of them treat keys, versions, dry
runs and answers alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from orders.application.access import Operation
from orders.application.change_order import ChangeOrder
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order import Order
from orders.entrypoints.http.answers import OrderAnswer, shown
from orders.entrypoints.http.bodies import (
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
from orders.entrypoints.http.conditions import DryRun, IdempotencyKey, IfMatch, asked

TAG: Final = "Commands"


@dataclass(frozen=True, slots=True)
class Command:
    """A row: POST `path` under an order makes `tell` happen.

    `tell` gets the order, the body, the part's id from the path ("" without one) and, as
    keywords, who acts and when. `creates` answers 201 and needs a key.
    """

    path: str
    operation: Operation
    body: type[Body]
    tell: Callable[..., object]
    summary: str
    creates: bool = False
    needs_key: bool = False

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
        "Commit to fulfilling the order",
    ),
    Command(
        "/complete",
        Operation.COMPLETE,
        EmptyBody,
        lambda order, body, part, **who: order.complete(**who),
        "Close a delivered and paid order",
    ),
    Command(
        "/cancel",
        Operation.CANCEL,
        CancelBody,
        lambda order, body, part, **who: order.cancel(body.reason, **who),
        "Call the order off",
    ),
    Command(
        "/cancellations",
        Operation.CANCEL_ITEMS,
        CancelItemsBody,
        lambda order, body, part, **who: order.cancel_items(body.to_items(), body.reason, **who),
        "Call some units off",
    ),
    Command(
        "/holds",
        Operation.HOLD,
        ReasonBody,
        lambda order, body, part, **who: order.hold(body.reason, **who),
        "Hold the order back",
        creates=True,
    ),
    Command(
        "/holds/{part_id:str}/release",
        Operation.RELEASE,
        EmptyBody,
        lambda order, body, part, **who: order.release(part, **who),
        "Lift a hold",
    ),
    Command(
        "/notes",
        Operation.ADD_NOTE,
        NoteBody,
        lambda order, body, part, **who: order.add_note(body.text, **who),
        "Write a note for staff",
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
        "Take authorised money",
        needs_key=True,
    ),
    Command(
        "/payments/{part_id:str}/void",
        Operation.VOID,
        EmptyBody,
        lambda order, body, part, **who: order.void(part, **who),
        "Give an authorisation back",
    ),
    Command(
        "/payments/{part_id:str}/dismiss",
        Operation.DISMISS_PAYMENT,
        EmptyBody,
        lambda order, body, part, **who: order.dismiss_payment(part, **who),
        "End the review of a payment that the payment service contradicts",
    ),
    Command(
        "/refunds",
        Operation.REFUND,
        RefundBody,
        lambda order, body, part, **who: order.refund(
            amount=body.amount, reason=body.reason, **who
        ),
        "Give money back that is owed",
        creates=True,
    ),
    Command(
        "/credits",
        Operation.GRANT_CREDIT,
        CreditBody,
        lambda order, body, part, **who: order.grant_credit(body.amount, body.reason, **who),
        "Let the customer owe less",
        creates=True,
    ),
    Command(
        "/shipments",
        Operation.CREATE_SHIPMENT,
        ShipmentBody,
        lambda order, body, part, **who: order.create_shipment(
            body.to_items(), carrier=body.carrier, tracking=body.tracking, **who
        ),
        "Pack units for a parcel",
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
        "Note that a shipment has arrived",
    ),
    Command(
        "/shipments/{part_id:str}/cancel",
        Operation.CANCEL_SHIPMENT,
        EmptyBody,
        lambda order, body, part, **who: order.cancel_shipment(part, **who),
        "Unpack a shipment that has not left",
    ),
    Command(
        "/returns",
        Operation.REQUEST_RETURN,
        ReturnBody,
        lambda order, body, part, **who: order.request_return(body.to_items(), body.reason, **who),
        "Ask to send units back",
        creates=True,
    ),
    Command(
        "/returns/{part_id:str}/approve",
        Operation.APPROVE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.approve_return(part, **who),
        "Let units be sent back",
    ),
    Command(
        "/returns/{part_id:str}/decline",
        Operation.DECLINE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.decline_return(part, **who),
        "Do not take units back",
    ),
    Command(
        "/returns/{part_id:str}/receive",
        Operation.RECEIVE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.receive_return(part, **who),
        "Take units in, and credit them",
    ),
    Command(
        "/returns/{part_id:str}/close",
        Operation.CLOSE_RETURN,
        EmptyBody,
        lambda order, body, part, **who: order.close_return(part, **who),
        "End a return",
    ),
)


def command_handlers() -> list[HTTPRouteHandler]:
    """A handler for every command."""
    return [_handler(command) for command in COMMANDS]


def _handler(command: Command) -> HTTPRouteHandler:
    needs_key = command.creates or command.needs_key

    async def carry_out(
        request: Request[Any, Any, Any],
        change_order: ChangeOrder,
        order_id: UUID,
        data: Any,
        dry_run: bool,
        part_id: str = "",
    ) -> Response[OrderAnswer]:
        conditions = asked(request, data, needs_key=needs_key, dry_run=dry_run)

        def tell(order: Order, by: Actor, now: datetime) -> None:
            command.tell(order, data, part_id, by=by, now=now)

        answer = await change_order(OrderId(order_id), command.operation, tell, request=conditions)
        status = HTTPStatus.OK if dry_run else command.status
        return shown(answer, request.user, status=status)

    async def of_order(
        *,
        request: Request[Any, Any, Any],
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        data: Any,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - published here, read by `asked`
        if_match: IfMatch = None,  # noqa: ARG001
        dry_run: DryRun = False,
    ) -> Response[OrderAnswer]:
        return await carry_out(request, change_order, order_id, data, dry_run)

    async def of_part(
        *,
        request: Request[Any, Any, Any],
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        part_id: FromPath[str],
        data: Any,
        idempotency_key: IdempotencyKey = None,  # noqa: ARG001
        if_match: IfMatch = None,  # noqa: ARG001
        dry_run: DryRun = False,
    ) -> Response[OrderAnswer]:
        return await carry_out(request, change_order, order_id, data, dry_run, part_id)

    change: Any = of_part if "{part_id" in command.path else of_order
    # The body's type is the row's, which only the running code knows.
    change.__annotations__["data"] = JSONBody[command.body]  # type: ignore[misc,name-defined]
    if not any(field.required for field in msgspec.structs.fields(command.body)):
        change.__kwdefaults__["data"] = command.body()
    change.__name__ = command.operation
    return post(
        f"/orders/{{order_id:uuid}}{command.path}",
        status_code=command.status,
        operation_id=command.operation,
        summary=command.summary,
        tags=[TAG],
    )(change)
