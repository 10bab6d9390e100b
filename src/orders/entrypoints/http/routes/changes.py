"""Proposing a change of what was ordered. Applying and declining one are rows of `commands`."""

from http import HTTPStatus
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from orders.application.propose_change import ProposeChange
from orders.domain.identifiers import OrderId
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.preconditions import NEEDS_KEY, CommandRequestReader, DryRun
from orders.entrypoints.http.routes.command_handlers import TAG
from orders.entrypoints.http.routes.order_responses import order_response
from orders.entrypoints.http.routes.orders import ONE
from orders.entrypoints.http.schemas.requests import ChangeBody
from orders.entrypoints.http.schemas.responses import OrderResponse


def propose_handler(read_command_request: CommandRequestReader) -> HTTPRouteHandler:
    """The handler that proposes a change."""

    @post(
        f"{ONE}/changes",
        operation_id="propose_change",
        summary="Propose a change: remove units, add lines, change the shipping method",
        tags=[TAG],
        opt={NEEDS_KEY: True},
    )
    async def propose(
        request: Http,
        propose_change: NamedDependency[ProposeChange],
        order_id: FromPath[UUID],
        data: JSONBody[ChangeBody],
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        """Works out the new total, and changes nothing else until it is applied."""
        conditions = read_command_request(request, data, needs_key=True, dry_run=dry_run)
        answer = await propose_change(OrderId(order_id), data.to_proposal(), request=conditions)
        status = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
        return order_response(answer, request.user, status=status)

    return propose
