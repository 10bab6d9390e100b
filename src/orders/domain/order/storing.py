"""What stores of orders need: to restore an order, and to note that they have written it.

A store compares the version and the write token of an order with what it has stored, writes
`order.state` and `order.new_events` together or not at all, and then calls `mark_stored`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from orders.domain.order._core import OrderCore
from orders.domain.order.order import Order
from orders.domain.state import OrderState

_core_of: Callable[[Order], OrderCore] = attrgetter("_core")


def restore(state: OrderState, *, write_token: object = None) -> Order:
    """The order with this stored state. No rule is checked, and no event is recorded.

    `write_token` tells the write that made this version from any other: a version may be
    written twice, if the first write is lost with the server that had it.
    """
    return Order(OrderCore(state, write_token=write_token))


def stored_state(order: Order) -> OrderState:
    """The state that the store has: what differs from it is new."""
    return _core_of(order).stored


def write_token(order: Order) -> object:
    """The write token with which the order was restored or stored last."""
    return _core_of(order).write_token


def mark_stored(order: Order, version: int, *, write_token: object = None) -> None:
    """Note that the store has written the order, at this version. Its events are not new now."""
    _core_of(order).mark_stored(version, write_token=write_token)
