"""The order: the one aggregate. All its commands are in `order.py`, the rest are its parts."""

from orders.domain.order.order import Order

__all__ = ["Order"]
