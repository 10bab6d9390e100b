"""The order, the one aggregate: all its commands are in `order.py`, the other modules are private.

`_core` applies the changes that commands make, `_follow_ups` says what follows from a change.
"""

from orders.domain.order.order import Order

__all__ = ["Order"]
