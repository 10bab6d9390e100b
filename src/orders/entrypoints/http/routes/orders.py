"""Placing, quoting, reading, listing and editing orders."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET

from orders.application.access import Caller, Operation, view_of
from orders.application.change_order import ChangeOrder
from orders.application.place_order import PlaceOrder, QuoteOrder
from orders.application.ports import OrderFilter
from orders.application.read_orders import ReadOrders
from orders.domain.identifiers import Actor, OrderId, read_order_number
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.order.order import Order
from orders.domain.state import OrderState
from orders.domain.validation import validate_reference
from orders.entrypoints.http.middleware.strict_requests import StrictMergePatch
from orders.entrypoints.http.pagination import Http, Listed, Sort, aware
from orders.entrypoints.http.preconditions import (
    DryRun,
    etag,
    not_modified,
    read_command_request,
)
from orders.entrypoints.http.schemas.requests import DraftBody, EditOrderBody, PlaceOrderBody
from orders.entrypoints.http.schemas.responses import (
    ActionResponse,
    OrderResponse,
    Page,
    QuoteResponse,
    order_response,
)

TAGS: Final = ["Orders"]
ONE: Final = "/orders/{order_id:uuid}"


@post("/orders", operation_id="place", summary="Place an order", tags=TAGS)
async def place(
    request: Http,
    place_order: NamedDependency[PlaceOrder],
    data: JSONBody[PlaceOrderBody],
    dry_run: DryRun = False,
) -> Response[OrderResponse]:
    """Stores the order first and asks for its payment then. The answer is 201 as soon as it is
    stored, with the truth about the payment: confirmed, failed (pay again), or still unknown.
    """
    answer = await place_order(
        data.to_draft(),
        customer_id=data.customer_id,
        payment=None if data.payment is None else data.payment.to_domain(),
        request=read_command_request(request, data, needs_key=True, dry_run=dry_run),
    )
    status = HTTPStatus.OK if dry_run else HTTPStatus.CREATED
    return order_response(answer, request.user, status=status, location=not dry_run)


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
) -> Response[OrderResponse | None]:
    """The order as it is now; 304 if the caller has that version."""
    order = await read_orders.get(OrderId(order_id), caller=request.user)
    return _one(request, order)


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
) -> Response[OrderResponse | None]:
    """Forgives case, spaces, and I, L, O read for 1, 1, 0."""
    canonical = read_order_number(number)
    order = await read_orders.by_number(canonical, caller=request.user)
    return _one(request, order)


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
) -> Response[OrderResponse | None]:
    """The newest order that the caller placed with this `external_reference`, or else the only one
    that others did. Where others placed several, 409 `ambiguous-reference` names them.
    """
    wanted = validate_reference(external_reference, "external_reference")
    return _one(request, await read_orders.by_reference(wanted, caller=request.user))


@get("/orders", operation_id="list", summary="List orders", tags=TAGS)
async def list_orders(
    request: Http,
    read_orders: NamedDependency[ReadOrders],
    status: FromQuery[list[OrderStatus] | None] = None,
    payment_status: FromQuery[list[OrderPaymentStatus] | None] = None,
    fulfillment_status: FromQuery[list[OrderFulfillmentStatus] | None] = None,
    return_status: FromQuery[list[OrderReturnStatus] | None] = None,
    customer_id: FromQuery[str | None] = None,
    number: FromQuery[str | None] = None,
    external_reference: FromQuery[str | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
    outstanding: FromQuery[bool | None] = None,
    ready_to_ship: FromQuery[bool | None] = None,
    sort: FromQuery[Sort] = "-created_at",
    limit: Annotated[int, QueryParameter(ge=1)] = 50,
    cursor: FromQuery[str | None] = None,
) -> Response[Page[OrderResponse]]:
    """The orders that the caller may see and that fit every filter, newest first."""
    caller: Caller = request.user
    where = OrderFilter(
        tenant=caller.tenant,
        customer_id=customer_id,
        status=tuple(status or ()),
        payment_status=tuple(payment_status or ()),
        fulfillment_status=tuple(fulfillment_status or ()),
        return_status=tuple(return_status or ()),
        number=None if number is None else read_order_number(number),
        external_reference=external_reference,
        created_from=aware(created_from, "created_from"),
        created_before=aware(created_before, "created_before"),
        outstanding=outstanding,
        ready_to_ship=ready_to_ship,
    )
    listed = Listed(request, where, sort)
    page = await listed.page(read_orders, limit=limit, cursor=cursor)
    view = view_of(caller)
    next_cursor = listed.cursor_at(page.next) if page.next else None
    items = [OrderResponse.of(order, view) for order in page.orders]
    return page_of(request, items, next_cursor, unreadable=len(page.unreadable))


@patch(
    ONE,
    operation_id="edit",
    summary="Edit note, metadata, reference and address",
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
    """A merge patch (RFC 7396) of note, metadata, reference or address. Needs If-Match."""

    def execute(order: Order, by: Actor, now: datetime) -> None:
        order.edit(data.to_changes(dict(order.state.metadata)), by=by, now=now)

    conditions = read_command_request(request, data, needs_version=True, dry_run=dry_run)
    answer = await change_order(OrderId(order_id), Operation.EDIT, execute, request=conditions)
    return order_response(answer, request.user, status=HTTPStatus.OK)


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


ORDER_HANDLERS: Final = (
    place,
    quote,
    read,
    read_by_number,
    read_by_reference,
    list_orders,
    edit,
    see_actions,
)


def page_of(
    request: Http, items: list[Any], next_cursor: str | None, *, unreadable: int
) -> Response[Page[Any]]:
    """A page, with a Link header (RFC 8288) to the next one."""
    headers = {}
    if next_cursor is not None:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        query = urlencode([*kept, ("cursor", next_cursor)])
        headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
    page = Page(items=items, next_cursor=next_cursor, unreadable=unreadable or UNSET)
    return Response(page, headers=headers)


def _one(request: Http, state: OrderState) -> Response[OrderResponse | None]:
    headers = {"etag": etag(state.version)}
    if not_modified(request, state.version):
        return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(OrderResponse.of(state, view_of(request.user)), headers=headers)
