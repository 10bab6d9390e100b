"""What is published about the service: by its own numbers, on a port of its own."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orders.adapters.in_memory import InMemoryPayments
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.application.errors import (
    ApplicationError,
    PaymentDeclined,
    PaymentRefused,
    PaymentUnavailable,
)
from orders.domain.money import Money
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.instrumented_payments import InstrumentedPaymentGateway
from orders.entrypoints.observability.metrics import REGISTRY, metrics_table
from orders.entrypoints.server.child_processes import free_ports
from tests.support.observed_api import Caller, an_app
from tests.support.shop import WEBHOOK_SECRET, Between, Shop

_PATIENCE_SECONDS = 40  # longer than a server may take to end


class Counted:
    """How much a number has grown since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    @property
    def grown(self) -> float:
        """The growth; the tests of one process share the numbers."""
        return self._now() - self._before


def requests(method: str, route: str, status: str) -> Counted:
    return Counted(
        "orders_http_request_duration_seconds_count", method=method, route=route, status=status
    )


async def test_requests_are_counted_by_route_template_and_status_class(shop: Shop) -> None:
    ada = Caller(an_app(shop))
    placed, read, missing = (
        requests("POST", "/v1/orders", "2xx"),
        requests("GET", "/v1/orders/{order_id}", "2xx"),
        requests("GET", "unmatched", "4xx"),
    )
    order_id = (await ada.place()).json()["id"]
    for _ in range(3):
        await ada.get(f"/orders/{order_id}")
    await ada.get("/nowhere")
    assert (placed.grown, read.grown, missing.grown) == (1, 3, 1)


async def test_changes_are_counted_once_however_often_they_are_sent(shop: Shop) -> None:
    ada = Caller(an_app(shop))
    placed = Counted("orders_changes_total", operation="place")
    cancelled = Counted("orders_changes_total", operation="cancel")
    ids = {(await ada.place()).json()["id"] for _ in range(3)}
    path = f"/orders/{ids.pop()}/cancel"
    assert (await ada.post(f"{path}?dry_run=true", {"reason": "customer"})).status_code == 200
    assert cancelled.grown == 0
    assert (await ada.post(path, {"reason": "customer"})).status_code == 200
    assert (await ada.post(path, {"reason": "customer"}, key="2")).status_code == 409
    assert (placed.grown, cancelled.grown) == (1, 1)


async def test_what_the_limits_refuse_is_counted(shop: Shop) -> None:
    limited = Counted("orders_http_requests_refused_total", code="rate-limited")
    ada = Caller(an_app(shop, InMemoryRateLimiter(), rate_per_second=0.01, rate_burst=1))
    for _ in range(3):
        await ada.get("/orders")
    assert limited.grown == 2


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (PaymentDeclined("no"), "declined"),
        (PaymentRefused(), "refused"),
        (PaymentUnavailable(), "unavailable"),
        (asyncio.CancelledError(), "unavailable"),
    ],
)
async def test_payment_calls_are_counted_by_outcome(
    error: BaseException | None, outcome: str
) -> None:
    async def fail(_: str) -> None:
        if error is not None:
            raise error

    name = "orders_payment_call_duration_seconds_count"
    calls = Counted(name, call="authorize", outcome=outcome)
    with suppress(ApplicationError, asyncio.CancelledError):
        await InstrumentedPaymentGateway(Between(InMemoryPayments(), before=fail)).authorize(
            reference="r", amount=Money(1, "EUR"), method="tok_ok", capture=True
        )
    assert calls.grown == 1


async def test_a_late_event_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SAMPLE_SECONDS", 0.01)
    name = "orders_event_loop_lag_seconds"
    seen, prompt = Counted(f"{name}_count"), Counted(f"{name}_bucket", le="0.05")
    async with metrics.sampled():
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - this is the late loop
        for _ in range(10):  # it is overdue: some turns of the loop, and no time
            await asyncio.sleep(0)
    assert seen.grown - prompt.grown >= 1


def test_the_names_are_those_that_prometheus_expects() -> None:
    rows = metrics_table()
    assert {row.name for row in rows} == {
        name + ("_total" if kind == "counter" else "")
        for name, kind in ((each.name, each.type) for each in REGISTRY.collect())
        if name.startswith("orders_")
    }
    for row in rows:
        assert re.fullmatch(r"orders_[a-z_]+", row.name)
        assert row.kind != "counter" or row.name.endswith("_total")
        assert row.kind != "histogram" or row.name.endswith("_seconds")
        assert row.meaning


def settings_for(port: int, metrics_port: int) -> dict[str, str]:
    (nowhere,) = free_ports(1)
    return {
        **os.environ,
        "ORDERS_PORT": str(port),
        "ORDERS_METRICS_PORT": str(metrics_port),
        "ORDERS_MONGO_URI": f"mongodb://127.0.0.1:{nowhere}",
        "ORDERS_PAYMENT_URL": f"http://127.0.0.1:{nowhere}",
        "ORDERS_PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ORDERS_JWKS_URL": f"http://127.0.0.1:{nowhere}/jwks",
        "ORDERS_ISSUER": "issuer",
        "ORDERS_AUDIENCE": "orders",
        "ORDERS_DRAIN_SECONDS": "0",
    }


@contextmanager
def running(folder: Path, *command: str, environ: dict[str, str]) -> Iterator[Path]:
    """A process of the service; its log is what it wrote. It has to end well when told to."""
    log = folder / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "orders", *command], env=environ, stderr=output
        )
    try:
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()


def fetch(port: int, path: str) -> tuple[int, str]:
    """A page; waits until someone listens."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def values(port: int, name: str) -> dict[str, float]:
    """The samples of a name, by their labels."""
    _, text = fetch(port, "/metrics")
    return {
        ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_one_port_tells_of_all_workers_of_a_server(tmp_path: Path) -> None:
    port, metrics_port = free_ports(2)
    environ = settings_for(port, metrics_port)
    with running(tmp_path, "serve", "--workers", "2", environ=environ) as log:
        for _ in range(40):  # each on a connection of its own: both workers get some
            assert fetch(port, "/v1/orders")[0] in {401, 429}
        name = "orders_http_request_duration_seconds_count"
        deadline = time.monotonic() + 10
        while (counted := sum(values(metrics_port, name).values())) < 40:
            assert time.monotonic() < deadline  # the last is counted once it has been answered
        assert counted == 40
        assert list(values(metrics_port, "orders_http_requests_in_flight")) == [""]
        # A rate is seen from a count that was there before: there are some from the start.
        assert values(metrics_port, "orders_http_requests_refused_total")["code=overloaded"] == 0
        dropped = values(metrics_port, "orders_spans_dropped_total")
        assert dropped == {"reason=not-exported": 0, "reason=queue-full": 0}
        assert fetch(port, "/metrics")[0] == 404
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", metrics_port), 1)
    lines = log.read_text().splitlines()
    assert sum('"logger":"orders.access"' in line for line in lines) == 41
    assert all(line.startswith("{") for line in lines), "something was logged another way"


def test_a_worker_tells_of_itself(tmp_path: Path) -> None:
    port, metrics_port = free_ports(2)
    with running(tmp_path, "worker", environ=settings_for(port, metrics_port)) as log:
        fetch(metrics_port, "/metrics")
        assert values(metrics_port, "orders_relayed_events_total") == {"": 0}
        assert values(metrics_port, "process_resident_memory_bytes")[""] > 0
    assert all(line.startswith("{") for line in log.read_text().splitlines())


def test_a_taken_metrics_port_costs_no_service(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = settings_for(port, taken.getsockname()[1])
        with running(tmp_path, "serve", environ=environ) as log:
            assert fetch(port, "/livez")[0] == 200
    assert "no /metrics" in log.read_text()
