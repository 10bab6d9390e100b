"""What is read of the adapters, twice a second, for the metrics of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from prometheus_client import Gauge

from orders.application.ports import RateLimiter
from orders.entrypoints.observability import metrics

_BREAKER_STATES: Final = {"closed": 0.0, "half-open": 1.0, "open": 2.0}


class Breaker(Protocol):
    """A circuit breaker, as far as it is shown."""

    @property
    def breaker_state(self) -> str:
        """`closed`, `half-open` or `open`."""
        ...


class PoolUse(Protocol):
    """A pool of connections, as far as it is shown."""

    open: int
    in_use: int
    waiting: int


def adapter_gauges(
    breaker: Breaker, limiter: RateLimiter, pool: PoolUse
) -> list[tuple[Gauge, Callable[[], float]]]:
    """The gauges for `metrics.sampled`, each with the function that gives its value."""
    return [
        (metrics.BREAKER, lambda: _BREAKER_STATES[breaker.breaker_state]),
        (metrics.LIMITER_LOCAL, lambda: float(limiter.is_degraded)),
        (metrics.MONGO_OPEN, lambda: pool.open),
        (metrics.MONGO_IN_USE, lambda: pool.in_use),
        (metrics.MONGO_WAITING, lambda: pool.waiting),
    ]
