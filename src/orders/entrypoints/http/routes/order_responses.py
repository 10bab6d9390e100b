"""Whole responses, with their headers: one order, and one page of a list."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from litestar import Response
from msgspec import UNSET

from orders.application.access import Caller
from orders.application.requests import CommandResult
from orders.domain.state import OrderState
from orders.entrypoints.http.middleware.audit import note_change
from orders.entrypoints.http.pagination import Http
from orders.entrypoints.http.preconditions import etag, not_modified
from orders.entrypoints.http.schemas.responses import OrderResponse, Page


def order_response(
    result: CommandResult, caller: Caller, *, status: HTTPStatus, location: bool = False
) -> Response[OrderResponse]:
    """The response to a command: the order, its version, and whether this is a replay."""
    note_change(result)
    state = result.order.state
    headers = {"etag": etag(state.version)}
    if location:
        headers["location"] = f"/v1/orders/{state.id}"
    if result.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(OrderResponse.shown_to(caller, state), status_code=status, headers=headers)


def read_response(request: Http, state: OrderState) -> Response[Any]:
    """The response to a read: the order, or 304 if the caller has this version."""
    headers = {"etag": etag(state.version)}
    if not_modified(request, state.version):
        return Response(None, status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(OrderResponse.shown_to(request.user, state), headers=headers)


def page_response(
    request: Http,
    items: list[Any],
    next_cursor: str | None,
    *,
    unreadable: int,
    next_updated_from: datetime | None = None,
) -> Response[Page[Any]]:
    """A page, with a Link header (RFC 8288) to the next one."""
    headers = {}
    if next_cursor is not None:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        query = urlencode([*kept, ("cursor", next_cursor)])
        headers["link"] = f'<{request.url.path}?{query}>; rel="next"'
    page = Page(
        items=items,
        next_cursor=next_cursor,
        unreadable=unreadable or UNSET,
        next_updated_from=next_updated_from or UNSET,
    )
    return Response(page, headers=headers)
