"""Pages of lists: how many items a page has, how it is sorted, and the cursor of the next one."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal

from litestar import Request

from orders.application.access import Caller
from orders.application.ports import OrderFilter, OrderPage, Position
from orders.application.read_orders import ReadOrders
from orders.domain.state import OrderState
from orders.entrypoints.http.cursors import Cursors
from orders.entrypoints.http.problems import InvalidMember, RequestRefused

Http = Request[Any, Any, Any]
Sort = Literal["created_at", "-created_at"]


class Pagination:
    """Makes lists whose pages hold at most `max_page` items, with cursors signed with `key`."""

    def __init__(self, key: bytes, *, max_page: int) -> None:
        self.cursors = Cursors(key)
        self.max_page = max_page

    def limit(self, asked: int) -> int:
        """The number of items asked for.

        Raises:
            RequestRefused: 400 if a page may not hold as many.
        """
        if not 1 <= asked <= self.max_page:
            raise bad_query(f"limit must be from 1 to {self.max_page}", "limit")
        return asked

    def listed(self, caller: Caller, where: OrderFilter, sort: Sort) -> Listed:
        """The list of the caller's orders that fit a filter."""
        return Listed(self, caller, where, sort)


class Listed:
    """A list of orders. Its cursors are good for the same caller, filter and sort order only."""

    def __init__(
        self, pagination: Pagination, caller: Caller, where: OrderFilter, sort: Sort
    ) -> None:
        self._pagination = pagination
        self._cursors = pagination.cursors
        self._caller = caller
        self._where = where
        self._newest_first = sort == "-created_at"
        self._name = f"{caller.subject} {sort} {where}"

    async def page(self, read_orders: ReadOrders, *, limit: int, cursor: str | None) -> OrderPage:
        """The first page, or the one that a cursor leads to.

        Raises:
            RequestRefused: 400 if a page may not hold as many, or the cursor is of another list.
            Forbidden: If the caller may list nothing.
        """
        return await read_orders.list(
            self._where,
            newest_first=self._newest_first,
            after=None if cursor is None else self._cursors.read(cursor, of=self._name),
            limit=self._pagination.limit(limit),
            caller=self._caller,
        )

    def cursor_of(self, order: OrderState) -> str:
        """The cursor of the page after an order."""
        return self.cursor_at(Position(at=order.created_at, order_id=order.id))

    def cursor_at(self, position: Position) -> str:
        """The cursor of the page after a position."""
        return self._cursors.write(position, of=self._name)


def aware(time: datetime | None, name: str) -> datetime | None:
    """A time with its offset from UTC.

    Raises:
        RequestRefused: 400 if it has no offset.
    """
    if time is not None and time.tzinfo is None:
        raise bad_query(f"{name} must have an offset, such as Z", name)
    return time


def bad_query(detail: str, parameter: str) -> RequestRefused:
    """The refusal, 400, of a parameter that has the right form and no possible meaning."""
    return RequestRefused(
        HTTPStatus.BAD_REQUEST,
        "invalid-request",
        detail,
        errors=[InvalidMember(detail, parameter=parameter)],
    )
