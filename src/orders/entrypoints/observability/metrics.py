"""Every number that this service publishes, in the conventions of Prometheus.

With several processes, set `PROMETHEUS_MULTIPROC_DIR` before this module is imported:
`metrics_server` does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from orders.entrypoints.observability.line_writer import standard_error

SAMPLE_SECONDS: Final = 0.5
"""Interval for values that no event reports."""

UNKNOWN_WEBHOOK: Final = "unknown"

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
_log: Final = logging.getLogger(__name__)


class MetricRow(NamedTuple):
    """A line of the published table; counters and histograms are named as they are scraped."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


_TABLE: Final[list[MetricRow]] = []


def metrics_table() -> tuple[MetricRow, ...]:
    """Every metric as published in the documentation."""
    return tuple(_TABLE)


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    _TABLE.append(MetricRow(name, "counter", labels, meaning))
    return Counter(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, *labels: str, buckets: Iterable[float]) -> Histogram:
    _TABLE.append(MetricRow(name, "histogram", labels, meaning))
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=tuple(buckets))


def _gauge(
    name: str,
    meaning: str,
    *labels: str,
    over_processes: Literal["livesum", "livemax"] = "livemax",
) -> Gauge:
    _TABLE.append(MetricRow(name, "gauge", labels, meaning))
    return Gauge(name, meaning, labels, registry=REGISTRY, multiprocess_mode=over_processes)


_REQUESTS: Final = _histogram(
    "orders_http_request_duration_seconds",
    "Duration of requests by route template and status class",
    "method",
    "route",
    "status",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_IN_FLIGHT: Final = _gauge(
    "orders_http_requests_in_flight", "Requests in flight", over_processes="livesum"
)
_REFUSED: Final = _counter(
    "orders_http_requests_refused_total",
    "Requests refused: rate-limited or overloaded",
    "code",
)
_CHANGES: Final = _counter(
    "orders_changes_total", "Completed commands, without replays", "operation"
)
_PAYMENT_CALLS: Final = _histogram(
    "orders_payment_call_duration_seconds",
    "Duration of payment service calls, retries included: ok, declined, refused, unavailable",
    "call",
    "outcome",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WEBHOOKS: Final = _counter(
    "orders_payment_webhooks_total",
    "Genuine webhooks of the payment service; `unknown`: a type that this version does not know",
    "type",
)
BREAKER: Final = _gauge(
    "orders_payment_breaker_state",
    "Circuit breaker of the payment service: 0 closed, 1 half-open, 2 open",
)
LIMITER_LOCAL: Final = _gauge(
    "orders_rate_limiter_local",
    "1 while each process counts rate limits alone although Redis is configured",
)
RELAYED: Final = _counter(
    "orders_relayed_events_total",
    "Events written to the feed and offered to every publisher",
)
PUBLISHED: Final = _counter(
    "orders_published_events_total", "Events confirmed by a publisher", "publisher"
)
PARKED: Final = _counter(
    "orders_parked_total",
    "Orders parked because a publisher refused an event five times",
)
UNREADABLE: Final = _counter(
    "orders_unreadable_total",
    "Orders and events that only a newer version can read; each process counts each once",
    "kind",
)
DUE_WORK: Final = _counter(
    "orders_due_work_total", "Orders whose scheduled work a worker has processed"
)
_ENTERED: Final = _counter(
    "orders_entered_status_total", "Orders that entered each status", "status"
)
_MONEY: Final = {
    movement: _counter(
        f"orders_{movement}_minor_units_total",
        f"Money {movement.replace('_', ' ')}, in minor units of its currency",
        "currency",
    )
    for movement in ("captured", "refunded", "charged_back")
}
OUTBOX_WAITING: Final = _gauge(
    "orders_outbox_waiting_orders",
    "Orders with unpublished events, without parked ones: new events, and once for each publisher "
    "that is behind; counted up to 10 000; published by every worker",
)
OUTBOX_OLDEST: Final = _gauge(
    "orders_outbox_oldest_seconds",
    "Age of the oldest of those events; 0 if none waits; published by every worker",
)
OUTBOX_PARKED: Final = _gauge(
    "orders_outbox_parked_orders",
    "Orders with parked events; counted up to 10 000; published by every worker",
)
PUBLISHER_WAITING: Final = _gauge(
    "orders_publisher_waiting_orders",
    "Orders with events that wait for this publisher alone, without parked ones; every worker",
    "publisher",
)
PUBLISHER_AWAY: Final = _gauge(
    "orders_publisher_away", "1 if the last attempt to reach this publisher failed", "publisher"
)
DUE_WORK_LAG: Final = _gauge(
    "orders_due_work_lag_seconds",
    "How late the oldest scheduled work is; 0 if none is due; published by every worker",
)
MONGO_OPEN: Final = _gauge(
    "orders_mongo_connections_open", "Open connections to MongoDB", over_processes="livesum"
)
MONGO_IN_USE: Final = _gauge(
    "orders_mongo_connections_in_use",
    "Connections to MongoDB in use by a call",
    over_processes="livesum",
)
MONGO_WAITING: Final = _gauge(
    "orders_mongo_connections_waiting",
    "Calls that wait for a connection to MongoDB",
    over_processes="livesum",
)
SPANS_EXPORTED: Final = _counter("orders_spans_exported_total", "Spans accepted by the collector")
_SPANS_DROPPED: Final = _counter(
    "orders_spans_dropped_total",
    "Lost spans: queue-full or not-exported",
    "reason",
)
_LOG_LINES_LOST: Final = _counter(
    "orders_log_lines_lost_total",
    "Log lines dropped because nobody read standard error",
)
_LOOP_LAG: Final = _histogram(
    "orders_event_loop_lag_seconds",
    "How late the event loop wakes up, measured twice a second",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)


class InFlight:
    """Number of running requests. `sampled` publishes it, so counting costs nothing."""

    count = 0

    def enter(self) -> None:
        """A request has begun."""
        self.count += 1

    def leave(self) -> None:
        """A request has ended."""
        self.count -= 1


class Overload:
    """Requests refused for overload. `sampled` publishes the number: counting costs nothing."""

    refused = 0

    def tell(self) -> None:
        """Publish and log the refusals since the last call."""
        refused, self.refused = self.refused, 0
        if refused:
            _REFUSED.labels("overloaded").inc(refused)
            _log.warning("overloaded: %d requests refused", refused)


in_flight: Final = InFlight()
overload: Final = Overload()
_STATUS_CLASSES: Final = {n: f"{n}xx" for n in range(1, 6)}
_requests: Final[dict[tuple[str, str, int], Histogram]] = {}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request. `route` is a template, so there are only as many as routes."""
    key = (method, route, status // 100)
    child = _requests.get(key)
    if child is None:
        child = _requests[key] = _REQUESTS.labels(method, route, _STATUS_CLASSES[status // 100])
    child.observe(seconds)


def count_refusal(code: str | None) -> None:
    """Count a problem with this code, if it is one that protects the service."""
    if code == "rate-limited":
        _REFUSED.labels(code).inc()


def count_change(operation: str | None) -> None:
    """Count a command that was carried out."""
    _CHANGES.labels(operation or "other").inc()


def observe_payment_call(call: str, outcome: str, seconds: float) -> None:
    """Count a call to the payment service."""
    _PAYMENT_CALLS.labels(call, outcome).observe(seconds)


def count_entered(status: str) -> None:
    """Count an order that came to a status."""
    _ENTERED.labels(status).inc()


def count_money(movement: str, currency: str, minor: int) -> None:
    """Count money that was captured, refunded or charged_back."""
    _MONEY[movement].labels(currency).inc(minor)


def count_spans_dropped(reason: str, spans: int) -> None:
    """Count dropped spans."""
    _SPANS_DROPPED.labels(reason).inc(spans)


@asynccontextmanager
async def sampled(states: Iterable[tuple[Gauge, Callable[[], float]]] = ()) -> AsyncIterator[None]:
    """Sample the event loop and each state twice per second until the context ends."""
    for kind in ("order", "event"):
        UNREADABLE.labels(kind)
    WEBHOOKS.labels(UNKNOWN_WEBHOOK)
    for code in ("rate-limited", "overloaded"):
        _REFUSED.labels(code)  # A rate is seen from a count that was there before.
    for reason in ("queue-full", "not-exported"):
        _SPANS_DROPPED.labels(reason)
    gauges = ((_IN_FLIGHT, lambda: float(in_flight.count)), *states)
    task = asyncio.create_task(_sample(gauges))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sample(gauges: Iterable[tuple[Gauge, Callable[[], float]]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        for gauge, state in gauges:
            gauge.set(state())
        overload.tell()
        if writer := standard_error():
            _LOG_LINES_LOST.inc(writer.newly_lost())
        due_at = loop.time() + SAMPLE_SECONDS
        await asyncio.sleep(SAMPLE_SECONDS)
        _LOOP_LAG.observe(max(0.0, loop.time() - due_at))
