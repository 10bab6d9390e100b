"""How a row of `commands` becomes a handler of the API."""

from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from orders.application.change_order import ChangeOrder
from orders.domain.identifiers import Actor, OrderId, PartId
from orders.domain.order.order import Order
from orders.domain.validation import OrderLimits
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.preconditions import NEEDS_KEY, CommandRequestReader, DryRun
from orders.entrypoints.http.routes.command_methods import Given
from orders.entrypoints.http.routes.commands import COMMANDS, Command
from orders.entrypoints.http.routes.order_responses import order_response
from orders.entrypoints.http.schemas.body import Body
from orders.entrypoints.http.schemas.responses import OrderResponse

TAG: Final = "Commands"
NO_PART: Final = PartId("")


def command_handlers(
    read_command_request: CommandRequestReader, limits: OrderLimits
) -> list[HTTPRouteHandler]:
    """A handler for every command."""
    return [_handler(command, read_command_request, limits) for command in COMMANDS]


def _handler(
    command: Command[Any], read_command_request: CommandRequestReader, limits: OrderLimits
) -> HTTPRouteHandler:
    needs_key = command.creates or command.needs_key
    of_body = command.operation_of

    async def carry_out(
        request: Http,
        change_order: ChangeOrder,
        order_id: UUID,
        data: Any,
        dry_run: bool,
        part_id: PartId = NO_PART,
    ) -> Response[OrderResponse]:
        conditions = read_command_request(
            request,
            data,
            needs_key=needs_key,
            needs_version=command.needs_version,
            dry_run=dry_run,
        )

        def execute(order: Order, by: Actor, now: datetime) -> None:
            command.execute(order, Given(data, part_id, by, now, limits))

        operation = command.operation if of_body is None else of_body(data)
        result = await change_order(OrderId(order_id), operation, execute, request=conditions)
        status = HTTPStatus.OK if dry_run else command.status
        return order_response(result, request.user, status=status)

    async def of_order(
        *,
        request: Http,
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        data: Any,
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        return await carry_out(request, change_order, order_id, data, dry_run)

    async def of_part(
        *,
        request: Http,
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        part_id: FromPath[PartId],
        data: Any,
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        return await carry_out(request, change_order, order_id, data, dry_run, part_id)

    change: Any = of_part if "{part_id" in command.path else of_order
    _take_body(change, command.body, is_needed=command.needs_body)
    change.__name__ = command.operation
    return post(
        f"/orders/{{order_id:uuid}}{command.path}",
        status_code=command.status,
        operation_id=command.operation,
        summary=command.summary,
        tags=[TAG],
        opt={NEEDS_KEY: needs_key},
    )(change)


def _take_body(change: Any, body: type[Body], *, is_needed: bool) -> None:
    """Give a handler its row's body, whose type only the running code knows."""
    change.__annotations__["data"] = JSONBody[body]  # type: ignore[misc,valid-type]
    if not is_needed and not any(f.required for f in msgspec.structs.fields(body)):
        change.__kwdefaults__["data"] = body()
