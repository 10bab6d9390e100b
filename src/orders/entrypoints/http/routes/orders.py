"""Placing, quoting, reading, listing and editing orders."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from orders.application.access import Caller, Operation
from orders.application.change_order import ChangeOrder
from orders.application.place_order import PlaceOrder
from orders.application.ports import OrderFilter
from orders.application.quote_order import QuoteOrder
from orders.application.read_orders import ReadOrders
from orders.domain.identifiers import OrderId, read_order_number
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.payments import DisputeStatus
from orders.domain.validation import validate_reference
from orders.entrypoints.http.middleware.strict_requests import StrictMergePatch
from orders.entrypoints.http.pagination import Http, Pagination, Sort, aware, bad_query
from orders.entrypoints.http.preconditions import NEEDS_KEY, CommandRequestReader, DryRun
from orders.entrypoints.http.routes.order_responses import (
    order_response,
    page_response,
    read_response,
)
from orders.entrypoints.http.schemas.body import stated
from orders.entrypoints.http.schemas.edit_requests import EditOrderBody
from orders.entrypoints.http.schemas.requests import DraftBody, PlaceOrderBody
from orders.entrypoints.http.schemas.responses import (
    ActionResponse,
    OrderResponse,
    Page,
    QuoteResponse,
)

TAGS: Final = ["Orders"]
ONE: Final = "/orders/{order_id:uuid}"


def place_handler(read_command_request: CommandRequestReader) -> HTTPRouteHandler:
    """The handler that places an order."""

    @post(
        "/orders",
        operation_id="place",
        summary="Place an order",
        tags=TAGS,
        opt={NEEDS_KEY: True},
    )
    async def place(
        request: Http,
        place_order: NamedDependency[PlaceOrder],
        data: JSONBody[PlaceOrderBody],
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        """Stores the order first and asks for its payment then. The answer is 201 as soon as it is
        stored, with the truth about the payment: confirmed, failed (pay again), or still unknown.
        """
        result = await place_order(
            data.to_draft(),
            customer_id=data.customer_id,
            payment=None if data.payment is None else data.payment.to_domain(),
            expires_at=stated(data.expires_at),
            pay_within_seconds=stated(data.pay_within_seconds),
            request=read_command_request(request, data, needs_key=True, dry_run=dry_run),
        )
        status = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
        return order_response(result, request.user, status=status, location=not dry_run)

    return place


@post(
    "/orders/quote",
    status_code=200,
    operation_id="quote",
    summary="Quote the price of an order",
    tags=TAGS,
)
async def quote(
    request: Http, quote_order: NamedDependency[QuoteOrder], data: JSONBody[DraftBody]
) -> QuoteResponse:
    """The totals of an order placed from this body now. Nothing is stored."""
    return QuoteResponse.of(await quote_order(data.to_draft(), caller=request.user))


@get(ONE, operation_id="read", summary="Read an order", tags=TAGS)
async def read(
    request: Http,
    read_orders: NamedDependency[ReadOrders],
    order_id: FromPath[UUID],
) -> Response[OrderResponse]:
    """The order as it is now; 304 if the caller has that version."""
    order = await read_orders.get(OrderId(order_id), caller=request.user)
    return read_response(request, order)


@get(
    "/orders/by-number/{number:str}",
    operation_id="read_by_number",
    summary="Find an order by its number",
    tags=TAGS,
)
async def read_by_number(
    request: Http,
    read_orders: NamedDependency[ReadOrders],
    number: FromPath[str],
) -> Response[OrderResponse]:
    """Forgives case, spaces, and I, L, O read for 1, 1, 0."""
    canonical = read_order_number(number)
    order = await read_orders.by_number(canonical, caller=request.user)
    return read_response(request, order)


@get(
    "/orders/by-reference/{external_reference:str}",
    operation_id="read_by_reference",
    summary="Find an order by its external reference",
    tags=TAGS,
)
async def read_by_reference(
    request: Http,
    read_orders: NamedDependency[ReadOrders],
    external_reference: FromPath[str],
) -> Response[OrderResponse]:
    """The newest order that the caller placed with this `external_reference`, or else the only one
    that others did. Where others placed several, 409 `ambiguous-reference` names them.
    """
    wanted = validate_reference(external_reference, "external_reference")
    return read_response(request, await read_orders.by_reference(wanted, caller=request.user))


def list_handler(pagination: Pagination) -> HTTPRouteHandler:
    """The handler that lists orders."""

    @get("/orders", operation_id="list", summary="List orders", tags=TAGS)
    async def list_orders(
        request: Http,
        read_orders: NamedDependency[ReadOrders],
        status: FromQuery[list[OrderStatus] | None] = None,
        payment_status: FromQuery[list[OrderPaymentStatus] | None] = None,
        fulfillment_status: FromQuery[list[OrderFulfillmentStatus] | None] = None,
        return_status: FromQuery[list[OrderReturnStatus] | None] = None,
        dispute_status: FromQuery[list[DisputeStatus] | None] = None,
        customer_id: FromQuery[str | None] = None,
        number: FromQuery[str | None] = None,
        external_reference: FromQuery[str | None] = None,
        created_from: FromQuery[datetime | None] = None,
        created_before: FromQuery[datetime | None] = None,
        outstanding: FromQuery[bool | None] = None,
        ready_to_ship: FromQuery[bool | None] = None,
        overdue: FromQuery[bool | None] = None,
        updated_from: FromQuery[datetime | None] = None,
        sort: FromQuery[Sort | None] = None,
        limit: Annotated[int, QueryParameter(ge=1)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> Response[Page[OrderResponse]]:
        """The orders that the caller may see and that fit every filter, newest first.

        To follow all changes, list with `sort=updated_at`, and next time with `updated_from` set to
        the `next_updated_from` of this time: each change is there at least once. `updated_from`
        without `sort` means `sort=updated_at`.
        """
        caller: Caller = request.user
        where = OrderFilter(
            tenant=caller.tenant,
            customer_id=customer_id,
            status=tuple(status or ()),
            payment_status=tuple(payment_status or ()),
            fulfillment_status=tuple(fulfillment_status or ()),
            return_status=tuple(return_status or ()),
            dispute_status=tuple(dispute_status or ()),
            number=None if number is None else read_order_number(number),
            external_reference=external_reference,
            created_from=aware(created_from, "created_from"),
            created_before=aware(created_before, "created_before"),
            outstanding=outstanding,
            ready_to_ship=ready_to_ship,
            overdue=overdue,
        )
        if sort is None and "sort" in request.query_params:  # msgspec reads `null` as no value
            raise bad_query("sort must be one of the sort orders", "sort")
        listed = pagination.listed(caller, where, sort, updated_from)
        page = await listed.page(read_orders, limit=limit, cursor=cursor)
        next_cursor = listed.cursor_at(page.next) if page.next else None
        items = [OrderResponse.shown_to(caller, order) for order in page.orders]
        return page_response(
            request,
            items,
            next_cursor,
            unreadable=len(page.unreadable),
            next_updated_from=listed.next_updated_from,
        )

    return list_orders


def edit_handler(read_command_request: CommandRequestReader) -> HTTPRouteHandler:
    """The handler that edits an order."""

    @patch(
        ONE,
        operation_id="edit",
        summary="Edit what is not money",
        tags=TAGS,
        dto=StrictMergePatch,
    )
    async def edit(
        request: Http,
        change_order: NamedDependency[ChangeOrder],
        order_id: FromPath[UUID],
        data: JSONBody[EditOrderBody],
        dry_run: DryRun = False,
    ) -> Response[OrderResponse]:
        """A merge patch (RFC 7396): at every level, members left out stay as they are, and null
        removes. `lines` has the lines by their `id`. Needs If-Match.
        """
        conditions = read_command_request(request, data, needs_version=True, dry_run=dry_run)
        answer = await change_order(
            OrderId(order_id), Operation.EDIT, data.edit, request=conditions
        )
        return order_response(answer, request.user, status=HTTPStatus.OK)

    return edit


@get(
    f"{ONE}/actions",
    operation_id="see_actions",
    summary="List the commands that are possible now",
    tags=TAGS,
)
async def see_actions(
    request: Http, read_orders: NamedDependency[ReadOrders], order_id: FromPath[UUID]
) -> Page[ActionResponse]:
    """Every command the caller may give: whether it would be taken, what blocks it, its bounds."""
    actions = await read_orders.actions(OrderId(order_id), caller=request.user)
    return Page(items=[ActionResponse.of(action) for action in actions], next_cursor=None)


def order_handlers(
    read_command_request: CommandRequestReader, pagination: Pagination
) -> list[HTTPRouteHandler]:
    """Every handler of this module."""
    return [
        place_handler(read_command_request),
        quote,
        read,
        read_by_number,
        read_by_reference,
        list_handler(pagination),
        edit_handler(read_command_request),
        see_actions,
    ]
