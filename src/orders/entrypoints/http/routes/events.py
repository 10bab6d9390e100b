"""What happened: to an order, to all orders, and at the payment service."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET

from orders.adapters.messages import feed_event
from orders.application.access import View, view_of
from orders.application.read_orders import ReadOrders
from orders.application.record_payment_event import RecordPaymentEvent
from orders.domain.identifiers import OrderId
from orders.entrypoints.http.pagination import Http, Pagination
from orders.entrypoints.http.routes.orders import ONE
from orders.entrypoints.http.schemas.responses import EventResponse, FeedPage, Page
from orders.entrypoints.observability.unreadable import tell_unreadable_events

TAGS: Final = ["Events"]
PAYMENT_EVENTS: Final = "/payment-events"


@get(f"{ONE}/events", operation_id="see_timeline", summary="List the events of an order", tags=TAGS)
async def see_timeline(
    request: Http, read_orders: NamedDependency[ReadOrders], order_id: FromPath[UUID]
) -> Page[EventResponse]:
    """Every event of the order, in sequence, up to its last change."""
    found = await read_orders.timeline(OrderId(order_id), caller=request.user)
    tell_unreadable_events(found.unreadable)
    to_staff = view_of(request.user) is View.STAFF
    return Page(
        items=[EventResponse.of(event, to_staff=to_staff) for event in found.events],
        next_cursor=None,
        unreadable=len(found.unreadable) or UNSET,
    )


def feed_handler(pagination: Pagination) -> HTTPRouteHandler:
    """The handler that reads the feed of all events."""

    @get("/events", operation_id="see_feed", summary="List the events of all orders", tags=TAGS)
    async def see_feed(
        request: Http,
        read_orders: NamedDependency[ReadOrders],
        after: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0,
        limit: Annotated[int, QueryParameter(ge=1)] = 100,
    ) -> Response[FeedPage]:
        """The tenant's events after a position, as CloudEvents: what brokers deliver, and the
        `position`. Ask again with `next_cursor` as `after`: it never skips one, and is the same
        position while there is nothing new.
        """
        found = await read_orders.list_feed(
            after, limit=pagination.limit(limit), caller=request.user
        )
        end = after if found.end is None else found.end
        tell_unreadable_events(found.unreadable)
        return Response(
            FeedPage(
                items=[feed_event(event) for event in found.events],
                next_cursor=str(end),
                unreadable=len(found.unreadable) or UNSET,
            )
        )

    return see_feed


@post(
    PAYMENT_EVENTS,
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="receive_payment_event",
    summary="Receive a webhook of the payment service",
    tags=TAGS,
    security=[],
)
async def receive_payment_event(
    request: Http, record_payment_event: NamedDependency[RecordPaymentEvent]
) -> None:
    """Signed as Standard Webhooks says, instead of a token. 204 once it is stored; one that
    comes twice, late or out of order changes nothing.
    """
    await record_payment_event(request.headers, await request.body())


def event_handlers(pagination: Pagination) -> list[HTTPRouteHandler]:
    """Every handler of this module."""
    return [see_timeline, feed_handler(pagination), receive_payment_event]
