"""Correcting a shipment: a merge patch, as for the order itself."""

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from litestar import Response, patch
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from orders.application.access import Operation
from orders.application.change_order import ChangeOrder
from orders.domain.identifiers import Actor, OrderId, PartId
from orders.domain.order.order import Order
from orders.entrypoints.http.middleware.strict_requests import StrictMergePatch
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.preconditions import CommandRequestReader, DryRun
from orders.entrypoints.http.routes.command_handlers import TAG
from orders.entrypoints.http.routes.order_responses import order_response
from orders.entrypoints.http.routes.orders import ONE
from orders.entrypoints.http.schemas.parcel_requests import CorrectShipmentBody
from orders.entrypoints.http.schemas.responses import OrderResponse


def correct_handler(read_command_request: CommandRequestReader) -> HTTPRouteHandler:
    """The handler that corrects a shipment."""

    @patch(
        f"{ONE}/shipments/{{part_id:str}}",
        operation_id="correct_shipment",
        summary="Correct the carrier and the tracking number of a shipment",
        tags=[TAG],
        dto=StrictMergePatch,
    )
    async def correct_shipment(
        request: Http,
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        part_id: FromPath[PartId],
        data: JSONBody[CorrectShipmentBody],
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        """A merge patch (RFC 7396) of carrier and tracking number. Needs If-Match."""
        conditions = read_command_request(request, data, needs_version=True, dry_run=dry_run)

        def execute(order: Order, by: Actor, now: datetime) -> None:
            data.correct(order, part_id, by, now)

        answer = await change_order(
            OrderId(order_id), Operation.CORRECT_SHIPMENT, execute, request=conditions
        )
        return order_response(answer, request.user, status=HTTPStatus.OK)

    return correct_shipment
