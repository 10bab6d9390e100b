"""The panels of each dashboard, the most important first."""

from __future__ import annotations

from typing import Final

from infra.grafana.panels import Json, Panel, dashboard

_REQUESTS: Final = "orders_http_request_duration_seconds"
_PAYMENTS: Final = "orders_payment_call_duration_seconds"
_CALLERS: Final = 'NS, route!~"/livez|/readyz|/schema.*|unmatched"'
_EVERY: Final = "[$__rate_interval]"
_HOUR: Final = "[1h]"


def _rate(metric: str, by: str, labels: str = "NS") -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}{_EVERY}))"


def _in_an_hour(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({metric}{{NS}}[1h]))"


def _quantile(share: float, metric: str, by: str, labels: str = "NS") -> str:
    # Without a call in the window there is no quantile, and a line of nothing says nothing.
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', f'le, {by}', labels)}) >= 0"


def _or_none(expression: str, of_all: str) -> str:
    """A series that may not exist yet is 0, not empty."""
    return f"{expression} or 0 * {of_all}"


_OVERVIEW: Final = [
    Panel(
        title="Alerts firing",
        says="Pages and tickets. Pages are marked on the time axes.",
        queries={"": 'count(ALERTS{NS, alertname=~"Orders.*", alertstate="firing"}) or vector(0)'},
        kind="stat",
        width=4,
        height=4,
        limit=1,
    ),
    Panel(
        title="Requests per second",
        says="Without probes and documentation pages.",
        queries={"": f"sum(rate({_REQUESTS}_count{{{_CALLERS}}}{_EVERY}))"},
        unit="reqps",
        kind="stat",
        width=5,
        height=4,
    ),
    Panel(
        title="Failed in the last hour",
        says="Responses 5xx. The objective is at most 0.05 % over 30 days.",
        queries={"": "max(orders:requests_failed:ratio_rate1h{NS})"},
        unit="percentunit",
        kind="stat",
        width=5,
        height=4,
        limit=0.0005,
    ),
    Panel(
        title="Slow in the last hour",
        says="Responses that take more than 1 s. The objective is at most 1 % over 30 days.",
        queries={"": "max(orders:requests_slow:ratio_rate1h{NS})"},
        unit="percentunit",
        kind="stat",
        width=5,
        height=4,
        limit=0.01,
    ),
    Panel(
        title="Processes",
        says="Processes of each kind that answer.",
        queries={"{{job}}": 'sum by (job) (up{NS, job=~"orders-.*"})'},
        kind="stat",
        width=5,
        height=4,
    ),
    Panel(
        title="Requests",
        says="By status class.",
        queries={"{{status}}": _rate(f"{_REQUESTS}_count", "status", _CALLERS)},
        unit="reqps",
    ),
    Panel(
        title="Errors by route",
        says="Responses 5xx.",
        queries={
            "{{route}}": _or_none(
                _rate(f"{_REQUESTS}_count", "route", f'{_CALLERS}, status="5xx"'),
                _rate(f"{_REQUESTS}_count", "route", _CALLERS),
            )
        },
        unit="reqps",
    ),
    Panel(
        title="Slow routes",
        says="99th percentile. Routes that pay wait for the payment service.",
        queries={"{{route}}": _quantile(0.99, _REQUESTS, "route", _CALLERS)},
        unit="s",
        limit=1,
    ),
    Panel(
        title="Error budget burn rate",
        says="At 1 the budget lasts exactly 30 days. Pages at 14.4 over 1 h and 6 over 6 h.",
        queries={
            f"{window}": f"max(orders:requests_failed:ratio_rate{window}{{NS}}) / 0.0005"
            for window in ("1h", "6h", "1d", "3d")
        },
        width=12,
        limit=6,
    ),
    Panel(
        title="Latency budget burn rate",
        says="At 1 the budget lasts exactly 30 days. Pages at 14.4 over 1 h and 6 over 6 h.",
        queries={
            f"{window}": f"max(orders:requests_slow:ratio_rate{window}{{NS}}) / 0.01"
            for window in ("1h", "6h", "1d", "3d")
        },
        width=12,
        limit=6,
    ),
    Panel(
        title="Refused to protect the service",
        says="rate-limited: one caller sends too much. overloaded: the process is full.",
        queries={
            "{{code}}": _or_none(
                _rate("orders_http_requests_refused_total", "code"),
                f"sum(rate({_REQUESTS}_count{{NS}}{_EVERY}))",
            )
        },
        unit="reqps",
        width=12,
    ),
    Panel(
        title="Latency",
        says="All routes together.",
        queries={
            name: _quantile(share, _REQUESTS, "namespace", _CALLERS)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
        unit="s",
        width=12,
    ),
]

_MONEY: Final = [
    Panel(
        title="Orders by status",
        says="Orders that enter each status, per hour.",
        queries={"{{status}}": _rate("orders_entered_status_total", "status") + " * 3600"},
        width=12,
    ),
    Panel(
        title="Commands",
        says="Completed commands per second, without replays.",
        queries={"{{operation}}": _rate("orders_changes_total", "operation")},
        unit="ops",
        width=12,
    ),
    Panel(
        title="Captured in the last hour",
        says="Minor units by currency: cents, pence, yen.",
        queries={"{{currency}}": _in_an_hour("orders_captured_minor_units_total", "currency")},
    ),
    Panel(
        title="Refunded in the last hour",
        says="Minor units by currency.",
        queries={
            "{{currency}}": _or_none(
                _in_an_hour("orders_refunded_minor_units_total", "currency"),
                _in_an_hour("orders_captured_minor_units_total", "currency"),
            )
        },
    ),
    Panel(
        title="Charged back in the last hour",
        says="Minor units by currency.",
        queries={
            "{{currency}}": _or_none(
                _in_an_hour("orders_charged_back_minor_units_total", "currency"),
                _in_an_hour("orders_captured_minor_units_total", "currency"),
            )
        },
    ),
    Panel(
        title="Cancelled and expired orders",
        says="Orders in the last hour.",
        queries={
            f"{status}": _or_none(
                f'sum(increase(orders_entered_status_total{{NS, status="{status}"}}{_HOUR}))',
                f'sum(increase(orders_entered_status_total{{NS, status="pending"}}{_HOUR}))',
            )
            for status in ("cancelled", "expired")
        },
        width=12,
    ),
    Panel(
        title="Placed",
        says="Orders per second.",
        queries={"placed": f'sum(rate(orders_changes_total{{NS, operation="place"}}{_EVERY}))'},
        unit="ops",
        width=12,
    ),
]

_ALL_CALLS: Final = f"sum(rate({_PAYMENTS}_count{{NS}}{_EVERY}))"
_PAYING: Final = [
    Panel(
        title="Calls without an outcome",
        says="Share of all calls, retries included. A worker looks up each one later.",
        queries={
            "unavailable": _or_none(
                f'sum(rate({_PAYMENTS}_count{{NS, outcome="unavailable"}}{_EVERY})) / {_ALL_CALLS}',
                _ALL_CALLS,
            )
        },
        unit="percentunit",
        width=12,
        limit=0.25,
    ),
    Panel(
        title="Circuit breaker",
        says="0 closed, 1 half-open, 2 open: no calls are sent.",
        queries={"{{instance}}": "max by (instance) (orders_payment_breaker_state{NS})"},
        width=12,
        limit=2,
    ),
    Panel(
        title="Calls by outcome",
        says="declined: the card. refused: our request. unavailable: no answer.",
        queries={"{{outcome}}": _rate(f"{_PAYMENTS}_count", "outcome")},
        unit="ops",
    ),
    Panel(
        title="Calls by kind",
        says="find looks up the outcome of an earlier call.",
        queries={"{{call}}": _rate(f"{_PAYMENTS}_count", "call")},
        unit="ops",
    ),
    Panel(
        title="Webhooks by type",
        says="unknown: a type that this version does not know; the payment is looked up.",
        queries={"{{type}}": _rate("orders_payment_webhooks_total", "type")},
        unit="ops",
    ),
    Panel(
        title="Declined",
        says="Share of the authorisations. A jump means new rules of the provider, or fraud.",
        queries={
            "declined": _or_none(
                f'sum(rate({_PAYMENTS}_count{{NS, call="authorize", outcome="declined"}}{_EVERY}))'
                f' / sum(rate({_PAYMENTS}_count{{NS, call="authorize"}}{_EVERY}))',
                _ALL_CALLS,
            )
        },
        unit="percentunit",
    ),
    *(
        Panel(
            title=f"Call duration, {name}",
            says="Retries included; at most ORDERS_PAYMENT_TOTAL_SECONDS.",
            queries={"{{call}}": _quantile(share, _PAYMENTS, "call")},
            unit="s",
            width=12,
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ),
]

_EVENTS: Final = [
    Panel(
        title="Oldest waiting event",
        says="Its age in seconds. Unpublished events wait in their orders.",
        queries={"oldest": "max(orders_outbox_oldest_seconds{NS})"},
        unit="s",
        width=12,
        limit=180,
    ),
    Panel(
        title="Waiting orders",
        says="Orders with unpublished events, and those that wait for one broker alone.",
        queries={
            "all": "max(orders_outbox_waiting_orders{NS})",
            "{{publisher}} alone": "max by (publisher) (orders_publisher_waiting_orders{NS})",
        },
        width=12,
    ),
    Panel(
        title="Published",
        says="Events that each broker has confirmed, per second.",
        queries={"{{publisher}}": _rate("orders_published_events_total", "publisher")},
        unit="ops",
    ),
    Panel(
        title="Relayed",
        says="Events written to the feed and offered to all brokers, per second.",
        queries={"{{instance}}": _rate("orders_relayed_events_total", "instance")},
        unit="ops",
    ),
    Panel(
        title="Broker down",
        says="1 if the last attempt of any worker failed.",
        queries={"{{publisher}}": "max by (publisher) (orders_publisher_away{NS})"},
        limit=1,
    ),
    Panel(
        title="Unreadable in the last hour",
        says="Orders and events that only a newer version can read, counted by each process.",
        queries={"{{kind}}": f"sum by (kind) (increase(orders_unreadable_total{{NS}}{_HOUR}))"},
    ),
    Panel(
        title="Parked orders",
        says="A broker refused one of their events five times: see `orders outbox list`.",
        queries={"parked": "max(orders_outbox_parked_orders{NS})"},
        limit=1,
    ),
    Panel(
        title="Parked in the last hour",
        says="Orders whose events were parked.",
        queries={"parked": f"sum(increase(orders_parked_total{{NS}}{_HOUR}))"},
    ),
    Panel(
        title="Scheduled work: delay",
        says="Delay of the longest waiting order: unknown payments, refunds, expiry.",
        queries={"lag": "max(orders_due_work_lag_seconds{NS})"},
        unit="s",
        width=12,
        limit=120,
    ),
    Panel(
        title="Scheduled work: processed",
        says="Orders per second.",
        queries={"{{instance}}": _rate("orders_due_work_total", "instance")},
        unit="ops",
        width=12,
    ),
]

_RUNTIME: Final = [
    Panel(
        title="Event-loop lag",
        says="99th percentile of how late an event loop wakes up.",
        queries={"{{instance}}": _quantile(0.99, "orders_event_loop_lag_seconds", "instance")},
        unit="s",
        limit=0.25,
    ),
    Panel(
        title="Requests in flight",
        says="ORDERS_MAX_IN_FLIGHT is the limit of one process.",
        queries={"{{instance}}": "sum by (instance) (orders_http_requests_in_flight{NS})"},
    ),
    Panel(
        title="Waiting for a connection",
        says="Calls that wait for a connection of the MongoDB pool.",
        queries={"{{instance}}": "sum by (instance) (orders_mongo_connections_waiting{NS})"},
        limit=1,
    ),
    Panel(
        title="Connections",
        says="Connections to MongoDB, in use and open.",
        queries={
            "{{instance}} in use": "sum by (instance) (orders_mongo_connections_in_use{NS})",
            "{{instance}} open": "sum by (instance) (orders_mongo_connections_open{NS})",
        },
    ),
    Panel(
        title="Rate limits counted locally",
        says="1: Redis does not answer, each process counts alone.",
        queries={"{{instance}}": "max by (instance) (orders_rate_limiter_local{NS})"},
        limit=1,
    ),
    Panel(
        title="Processes that answer",
        says="1 if the process answers, else 0.",
        queries={"{{job}} {{instance}}": 'up{NS, job=~"orders-.*"}'},
    ),
    Panel(
        title="Spans",
        says="Exported spans, and spans dropped because the collector is slow or down.",
        queries={
            "exported": _or_none("sum(rate(orders_spans_exported_total{NS}[5m]))", "vector(1)"),
            "{{reason}}": _or_none(_rate("orders_spans_dropped_total", "reason"), "vector(1)"),
        },
        unit="ops",
    ),
    Panel(
        title="Log lines lost",
        says="Standard error was not read fast enough: the audit trail has gaps.",
        queries={"{{job}}": "sum by (job) (rate(orders_log_lines_lost_total{NS}[5m]))"},
        unit="ops",
    ),
    Panel(
        title="CPU of workers",
        says="CPU cores in use.",
        queries={
            "{{instance}}": _rate(
                "process_cpu_seconds_total", "instance", 'NS, job="orders-worker"'
            )
        },
    ),
    Panel(
        title="Memory of workers",
        says="Resident memory.",
        queries={"{{instance}}": 'process_resident_memory_bytes{NS, job="orders-worker"}'},
        unit="bytes",
    ),
]

PANELS: Final = {
    ("overview", "Overview"): _OVERVIEW,
    ("money", "Orders and money"): _MONEY,
    ("payments", "Payments"): _PAYING,
    ("events", "Events and scheduled work"): _EVENTS,
    ("runtime", "Runtime"): _RUNTIME,
}


def dashboards() -> dict[str, Json]:
    """Every dashboard by the name of its file."""
    return {
        f"{name}.json": dashboard(name, title, panels) for (name, title), panels in PANELS.items()
    }
