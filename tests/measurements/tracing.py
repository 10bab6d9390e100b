"""What tracing costs a request, in CPU: python -m tests.measurements.tracing

One process, one shop in memory, and one application in several ways that take turns: without any
of it, with it and no collector, with each trace decided against, and with each recorded. Medians
and minima over many turns, in microseconds a request.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext
from pymongo.monitoring import _EventListeners

from orders.adapters.mongo.monitoring import CommandSpans
from orders.entrypoints.http.middleware import access_log
from orders.entrypoints.observability import json_logging as logs
from orders.entrypoints.observability import spans as telemetry
from orders.entrypoints.observability.span_exporter import provider_of
from tests.measurements.asking import Headers, cpu_of
from tests.support.observed_api import an_app
from tests.support.shop import Shop

TURNS = 300
REQUESTS = 20
_NOBODY = NonRecordingSpan(SpanContext(1, 1, is_remote=False))
_CALLER = [(b"authorization", b"Bearer ada")]
_COMMAND = {"find": "orders", "filter": {"_id": 1}, "$db": "orders"}
_AT_ONCE = timedelta()
_SERVER = ("127.0.0.1", 27017)


def main() -> None:
    """Measure and tell."""
    with Path(os.devnull).open("w") as nowhere:
        logs.configure("info", nowhere)
        sys.stdout.writelines(asyncio.run(_compare()))


async def _compare() -> list[str]:
    shop = Shop()
    answer = await shop.place()
    path = f"/v1/orders/{answer.order.id}"
    app = an_app(shop)
    provider = provider_of(SpanProcessor(), ratio=0)
    recording = provider_of(SpanProcessor(), ratio=1)  # and not exported
    off = NoOpTracer()
    caller = [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]
    kinds: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Headers]] = {
        "none": (_without, []),
        "off": (lambda: mock.patch.object(telemetry, "_TRACER", off), []),
        "sampled out here": (lambda: _with(provider), []),
        "sampled out by the caller": (lambda: _with(provider), caller),
        "recorded": (lambda: _with(recording), []),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(TURNS + 10):
        for name, (within, headers) in kinds.items():
            with within():
                cost = await cpu_of(app, "GET", path, [[*_CALLER, *headers]] * REQUESTS)
            if turn >= 10:
                found[name].append(cost)
    base = found["none"]
    lines = []
    for name, costs in found.items():
        more = [cost - none for cost, none in zip(costs, base, strict=True)]
        lines.append(
            f"{name:26} median {statistics.median(costs):7.1f}  min {min(costs):7.1f}  "
            f"more: median of pairs {statistics.median(more):+6.1f}, "
            f"min to min {min(costs) - min(base):+6.1f}\n"
        )
    return [*lines, f"a database command, heard and not recorded: {_listening():.1f}\n"]


def _with(provider: TracerProvider) -> AbstractContextManager[Any]:
    return mock.patch.object(telemetry, "_TRACER", provider.get_tracer("orders"))


def _without() -> AbstractContextManager[Any]:
    return mock.patch.multiple(
        access_log, request_span=lambda _: _NOBODY, entered=lambda _: nullcontext(_NOBODY)
    )


def _listening() -> float:
    listeners = _EventListeners([CommandSpans()])
    best = float("inf")
    for _ in range(200):
        began = time.process_time_ns()
        for number in range(100):
            listeners.publish_command_start(_COMMAND, "orders", number, _SERVER, 1, 1)
            listeners.publish_command_success(
                _AT_ONCE, {"ok": 1}, "find", number, _SERVER, 1, 1, database_name="orders"
            )
        best = min(best, (time.process_time_ns() - began) / 100 / 1_000)
    return best


if __name__ == "__main__":
    main()
