"""Lists of an order's parts, as far as the caller may see them."""

from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import UNSET

from orders.application.access import Operation
from orders.application.errors import Forbidden
from orders.application.read_orders import ReadOrders
from orders.domain.identifiers import OrderId
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.routes.orders import ONE, TAGS
from orders.entrypoints.http.schemas.parcel_responses import (
    CreditResponse,
    ReturnResponse,
    ShipmentResponse,
)
from orders.entrypoints.http.schemas.part_responses import (
    ChangeResponse,
    HoldResponse,
    NoteResponse,
)
from orders.entrypoints.http.schemas.payment_responses import (
    DisputeResponse,
    PaymentResponse,
    RefundResponse,
)
from orders.entrypoints.http.schemas.response_part import ResponsePart
from orders.entrypoints.http.schemas.responses import OrderResponse, Page

PARTS: Final[dict[str, type[ResponsePart]]] = {
    "payments": PaymentResponse,
    "refunds": RefundResponse,
    "disputes": DisputeResponse,
    "credits": CreditResponse,
    "shipments": ShipmentResponse,
    "returns": ReturnResponse,
    "changes": ChangeResponse,
    "holds": HoldResponse,
}


@get(f"{ONE}/notes", operation_id="list_notes", summary="List an order's notes", tags=TAGS)
async def list_notes(
    request: Http, read_orders: NamedDependency[ReadOrders], order_id: FromPath[UUID]
) -> Page[NoteResponse]:
    """What staff wrote for staff."""
    order = await read_orders.get(
        OrderId(order_id), caller=request.user, operation=Operation.SEE_NOTES
    )
    return Page(items=[NoteResponse.of(note) for note in order.notes], next_cursor=None)


def part_handlers() -> list[HTTPRouteHandler]:
    """A handler for each list of parts."""
    return [list_notes, *(_handler(name, answer) for name, answer in PARTS.items())]


def _handler(name: str, answer: type[ResponsePart]) -> HTTPRouteHandler:
    async def list_parts(
        request: Http, read_orders: NamedDependency[ReadOrders], order_id: FromPath[UUID]
    ) -> Any:
        order = await read_orders.get(OrderId(order_id), caller=request.user)
        items = getattr(OrderResponse.shown_to(request.user, order), name)
        if items is UNSET:
            raise Forbidden(Operation.READ)
        return Page(items=items, next_cursor=None)

    list_parts.__name__ = f"list_{name}"
    list_parts.__doc__ = f"The order's {name}, oldest first, as far as the caller may see them."
    list_parts.__annotations__["return"] = Page[answer]  # type: ignore[valid-type]
    return get(
        f"{ONE}/{name}",
        operation_id=f"list_{name}",
        summary=f"List an order's {name}",
        tags=TAGS,
    )(list_parts)
