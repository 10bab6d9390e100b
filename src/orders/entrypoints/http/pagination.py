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
Sort = Literal["created_at", "-created_at", "updated_at"]


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

    def listed(
        self,
        caller: Caller,
        where: OrderFilter,
        sort: Sort | None,
        updated_from: datetime | None,
    ) -> Listed:
        """The list of the caller's orders that fit a filter.

        Raises:
            RequestRefused: 400 if `updated_from` has no offset, or comes with another sort order.
        """
        since = aware(updated_from, "updated_from")
        if sort is None:
            sort = "-created_at" if since is None else "updated_at"
        if sort == "updated_at":
            return ListOfChanges(self, caller, where, since)
        if since is not None:
            raise bad_query("updated_from needs sort=updated_at", "sort")
        return Listed(self, caller, where, sort)


class Listed:
    """A list of orders. Its cursors are good for the same caller, filter and sort order only."""

    next_updated_from: datetime | None = None
    """From where to list changes next time; None if the list is by another time."""

    def __init__(
        self, pagination: Pagination, caller: Caller, where: OrderFilter, sort: str
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
            after=None if cursor is None else self._cursors.read(cursor, of=self._name).position,
            limit=self._pagination.limit(limit),
            caller=self._caller,
        )

    def cursor_of(self, order: OrderState) -> str:
        """The cursor of the page after an order."""
        return self.cursor_at(Position(at=order.created_at, order_id=order.id))

    def cursor_at(self, position: Position) -> str:
        """The cursor of the page after a position."""
        return self._cursors.write(position, of=self._name)


class ListOfChanges(Listed):
    """A list of orders by the time of their last change, the earliest first.

    `next_updated_from` is that of the first page, which its cursors keep. A later page is read
    later, and so would skip what came late to the pages before it.
    """

    def __init__(
        self,
        pagination: Pagination,
        caller: Caller,
        where: OrderFilter,
        updated_from: datetime | None,
    ) -> None:
        super().__init__(pagination, caller, where, f"updated_at {updated_from}")
        self._updated_from = updated_from

    async def page(self, read_orders: ReadOrders, *, limit: int, cursor: str | None) -> OrderPage:
        """The first page, or the one that a cursor leads to. Raises what `Listed.page` raises."""
        place = None if cursor is None else self._cursors.read(cursor, of=self._name)
        changed = await read_orders.list_changed(
            self._where,
            updated_from=self._updated_from,
            after=place and place.position,
            limit=self._pagination.limit(limit),
            caller=self._caller,
        )
        self.next_updated_from = place.since if place else changed.next_updated_from
        return changed.page

    def cursor_of(self, order: OrderState) -> str:
        """The cursor of the page after an order."""
        return self.cursor_at(Position(at=order.updated_at, order_id=order.id))

    def cursor_at(self, position: Position) -> str:
        """The cursor of the page after a position."""
        return self._cursors.write(position, of=self._name, since=self.next_updated_from)


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
