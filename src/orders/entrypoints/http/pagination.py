"""A page of a list of orders: its size, its order, and the cursors that lead on."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

from litestar import Request

from orders.application.access import Caller
from orders.application.ports import OrderFilter, OrderPage, Position
from orders.application.read_orders import ReadOrders
from orders.domain.state import OrderState
from orders.entrypoints.http.preconditions import Edge
from orders.entrypoints.http.problems import InvalidMember, RequestRefused

Http = Request[Any, Any, Any]
Sort = Literal["created_at", "-created_at"]


class Listed:
    """A list as its cursors know it: of one caller, one filter and one order."""

    def __init__(self, request: Http, where: OrderFilter, sort: Sort) -> None:
        self._caller: Caller = request.user
        self._edge: Edge = request.app.state.edge
        self._where = where
        self._newest_first = sort == "-created_at"
        self._name = f"{self._caller.subject} {sort} {where}"

    async def page(self, read_orders: ReadOrders, *, limit: int, cursor: str | None) -> OrderPage:
        """A page, from the start or from a cursor on.

        Raises:
            RequestRefused: 400 if a page may not hold as many, or the cursor is of another list.
            Forbidden: If the caller may list nothing.
        """
        return await read_orders.list(
            self._where,
            newest_first=self._newest_first,
            after=self._edge.cursors.read(cursor, of=self._name) if cursor is not None else None,
            limit=within_a_page(self._edge, limit),
            caller=self._caller,
        )

    def cursor_of(self, order: OrderState) -> str:
        """The cursor that leads on from an order."""
        return self.cursor_at(Position(at=order.created_at, order_id=order.id))

    def cursor_at(self, position: Position) -> str:
        """The cursor that leads on from a place."""
        return self._edge.cursors.write(position, of=self._name)


def within_a_page(edge: Edge, limit: int) -> int:
    """The number of items asked for.

    Raises:
        RequestRefused: 400 if a page may not hold as many.
    """
    if not 1 <= limit <= edge.max_page:
        raise bad_query(f"limit must be from 1 to {edge.max_page}", "limit")
    return limit


def aware(time: datetime | None, name: str) -> datetime | None:
    """A time that says which it is, everywhere.

    Raises:
        RequestRefused: 400 if it has no offset.
    """
    if time is not None and time.tzinfo is None:
        raise bad_query(f"{name} must have an offset, such as Z", name)
    return time


def bad_query(detail: str, parameter: str) -> RequestRefused:
    """The refusal of a parameter that is spelled well and cannot be, 400."""
    return RequestRefused(
        HTTPStatus.BAD_REQUEST,
        "invalid-request",
        detail,
        errors=[InvalidMember(detail, parameter=parameter)],
    )
