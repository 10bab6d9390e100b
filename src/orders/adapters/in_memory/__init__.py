"""Every port in memory, keeping the same contracts: for tests, and for trying things out.

Nothing in here outlives the process. `unavailable` switches stand for the loss of what the
adapter replaces: while one is set, every call fails as the port says.
"""

from orders.adapters.in_memory.backlog import InMemoryBacklog
from orders.adapters.in_memory.events import InMemoryEventLog, InMemoryPublisher
from orders.adapters.in_memory.orders import InMemoryOrders
from orders.adapters.in_memory.payments import InMemoryPayments
from orders.adapters.in_memory.stubs import (
    FixedClock,
    FixedTraceContext,
    StaticPriceList,
    StaticTokens,
    TickingClock,
)

__all__ = [
    "FixedClock",
    "FixedTraceContext",
    "InMemoryBacklog",
    "InMemoryEventLog",
    "InMemoryOrders",
    "InMemoryPayments",
    "InMemoryPublisher",
    "StaticPriceList",
    "StaticTokens",
    "TickingClock",
]
