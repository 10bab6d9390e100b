"""A Jaeger of our own, as Compose configures it: a child process on free ports of the loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.cluster import Process

CONFIGURATION: Final = Path(__file__).parents[3] / "infra" / "jaeger.yaml"
MISSING: Final = "no Jaeger: set ORDERS_TEST_JAEGER to what infra/setup/jaeger.sh built"
_GIVEN: Final = os.environ.get("ORDERS_TEST_JAEGER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A span as Jaeger shows it; `parent` is empty for a first one."""

    name: str
    parent: str
    service: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Jaeger:
    """`otlp_url` takes spans, `query_url` shows them."""

    otlp_url: str
    query_url: str

    def trace(self, trace_id: str) -> dict[str, Shown]:
        """The spans of a trace by their ids; none as long as Jaeger has not heard of it."""
        answer = httpx.get(f"{self.query_url}/api/traces/{trace_id}", timeout=10)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return {}
        (trace,) = answer.raise_for_status().json()["data"]
        return _spans(trace)

    def find(self, service: str, operation: str) -> list[dict[str, Shown]]:
        """The traces that hold an operation, as its page of search has them."""
        asked = {"service": service, "operation": operation, "lookback": "1h", "limit": "20"}
        answer = httpx.get(f"{self.query_url}/api/traces", params=asked, timeout=10)
        return [_spans(each) for each in answer.raise_for_status().json()["data"]]

    def services(self) -> list[str]:
        """Who has sent spans.

        Raises:
            httpx.HTTPError: If Jaeger does not answer.
        """
        answer = httpx.get(f"{self.query_url}/api/services", timeout=10)
        return [*(answer.raise_for_status().json()["data"] or ())]

    def answers(self) -> bool:
        """Whether it can be asked."""
        try:
            self.services()
        except httpx.HTTPError:
            return False
        return True


def _spans(trace: Mapping[str, Any]) -> dict[str, Shown]:
    services = {key: each["serviceName"] for key, each in trace["processes"].items()}
    found = {}
    for span in trace["spans"]:
        parents = [of["spanID"] for of in span["references"] if of["refType"] == "CHILD_OF"]
        found[span["spanID"]] = Shown(
            name=span["operationName"],
            parent="".join(parents),
            service=services[span["processID"]],
            is_error=any(tag["key"] == "error" for tag in span["tags"]),
        )
    return found


@contextmanager
def jaeger_process(folder: Path) -> Iterator[Jaeger]:
    """A Jaeger that is up, until the block is left; or the test is skipped with the reason."""
    if _GIVEN is None:
        pytest.skip(MISSING)
    otlp, query = (f"127.0.0.1:{port}" for port in free_ports(2))
    jaeger = Jaeger(f"http://{otlp}", f"http://{query}")
    process = Process(
        "jaeger",
        [str(Path(_GIVEN).absolute() / "jaeger"), f"--config={CONFIGURATION}"],
        environ={"JAEGER_OTLP": otlp, "JAEGER_QUERY": query},
        log=folder / "jaeger.log",
        answers=jaeger.answers,
    )
    try:
        process.start()
        process.wait_until_up()
        yield jaeger
    finally:
        process.kill()
