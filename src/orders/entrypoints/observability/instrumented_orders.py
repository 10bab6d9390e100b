"""An order repository that counts what it stores: statuses reached, and money moved.

It counts after the store has acknowledged a write. A write without a response, or before a crash,
is not counted, so these numbers serve for rates; the event feed is the account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar

from orders.application.errors import UnreadableOrder
from orders.application.ports import OrderFilter, OrderPage, OrderRepository, Position
from orders.domain.events import (
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCreated,
    OrderExpired,
)
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.order.storing import stored_state
from orders.domain.state import OrderState
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.unreadable import report_unreadable

T = TypeVar("T")

_STATUS_AFTER: Final = MappingProxyType(
    {
        OrderCreated: OrderStatus.PENDING,
        OrderConfirmed: OrderStatus.CONFIRMED,
        OrderCompleted: OrderStatus.COMPLETED,
        OrderCancelled: OrderStatus.CANCELLED,
        OrderExpired: OrderStatus.EXPIRED,
    }
)
_MOVEMENTS: Final = ("captured", "refunded", "charged_back")


class InstrumentedOrderRepository:
    """Implements `OrderRepository` with another one, and counts what it stores."""

    def __init__(self, orders: OrderRepository) -> None:
        self._orders = orders

    async def add(self, order: Order) -> None:
        """Store a new order with its events, at version 1, or nothing."""
        changes = _Changes(order)
        await self._orders.add(order)
        changes.count()

    async def get(self, order_id: OrderId) -> Order:
        """Return the order as last stored."""
        return await _reporting_unreadable(self._orders.get(order_id))

    async def get_durable(self, order_id: OrderId, *, at_least: int = 1) -> Order:
        """Return the order at this version or a later one, stored durably."""
        return await _reporting_unreadable(self._orders.get_durable(order_id, at_least=at_least))

    async def save(self, order: Order) -> None:
        """Store a changed order with its new events, at the next version, or nothing."""
        changes = _Changes(order)
        await self._orders.save(order)
        changes.count()

    async def get_state(self, order_id: OrderId) -> OrderState:
        """Return the state of the order as last stored."""
        return await _reporting_unreadable(self._orders.get_state(order_id))

    async def find_by_number(self, tenant: str, number: str) -> OrderState:
        """Return the state of the order with this number."""
        return await _reporting_unreadable(self._orders.find_by_number(tenant, number))

    async def list(
        self, where: OrderFilter, *, newest_first: bool, after: Position | None, limit: int
    ) -> OrderPage:
        """Return at most `limit` orders by time of creation and id, after a position."""
        return _reported(
            await self._orders.list(where, newest_first=newest_first, after=after, limit=limit)
        )

    async def list_changed(
        self,
        where: OrderFilter,
        *,
        updated_from: datetime | None,
        after: Position | None,
        limit: int,
    ) -> OrderPage:
        """Return at most `limit` orders by time of the last change and id, after a position."""
        return _reported(
            await self._orders.list_changed(
                where, updated_from=updated_from, after=after, limit=limit
            )
        )

    async def claim_scheduled(
        self, *, now: datetime, lease: timedelta, limit: int
    ) -> Sequence[OrderId]:
        """Claim at most `limit` orders whose `next_action_at` has passed, each for `lease`."""
        return await self._orders.claim_scheduled(now=now, lease=lease, limit=limit)


def _reported(page: OrderPage) -> OrderPage:
    for order_id in page.unreadable:
        report_unreadable("order", str(order_id), "found in a list")
    return page


async def _reporting_unreadable(found: Awaitable[T]) -> T:
    try:
        return await found
    except UnreadableOrder as error:
        report_unreadable("order", str(error.order_id), error.reason)
        raise


class _Changes:
    """The new events and the moved money of an order, read before it is stored."""

    __slots__ = ("_currency", "_events", "_moved")

    def __init__(self, order: Order) -> None:
        after, before = order.state.totals, stored_state(order).totals
        self._events = order.new_events
        self._currency = order.state.currency
        self._moved = (
            ()
            if after is before
            else tuple(
                (movement, minor)
                for movement in _MOVEMENTS
                if (minor := getattr(after, movement) - getattr(before, movement)) > 0
            )
        )

    def count(self) -> None:
        for recorded in self._events:
            if status := _STATUS_AFTER.get(type(recorded.event)):
                metrics.count_entered(status)
        for movement, minor in self._moved:
            metrics.count_money(movement, self._currency, minor)
