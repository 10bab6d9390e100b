"""Every port in memory, for tests and for trying the service. They pass the same contract suites.

All data is lost when the process ends. Set `unavailable` to simulate an outage: while it is true,
every call raises the error that the port documents.
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
