"""Three replicas, a worker and everything round them, each of which can be lost."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.availability.load import Answer, Kind, Load, Sending, request
from tests.support.processes.brokers import RabbitServer, messages
from tests.support.processes.cluster import Cluster, Process
from tests.support.processes.service import Running, body

CALLERS = 8


@dataclass(frozen=True)
class Fleet:
    """A cluster, and how its callers see it."""

    cluster: Cluster
    running: Running

    @contextmanager
    def replica(self, name: str, **environ: str) -> Iterator[Replica]:
        """One more API replica with settings of its own, up until the block is left."""
        process = self.cluster.add_api(name, **environ)
        process.start()
        try:
            process.wait_until_up()
            with self.at(self.cluster.urls[name]) as running:
                yield Replica(process, running, self.cluster.metrics_urls[name])
        finally:
            process.kill()
            del self.cluster.processes[name], self.cluster.urls[name]

    @contextmanager
    def at(self, url: str) -> Iterator[Running]:
        """The same service at another address."""
        with httpx.Client(base_url=url, timeout=60) as client:
            yield replace(self.running, url=url, client=client)

    @contextmanager
    def without(self, process: Process) -> Iterator[None]:
        """A process is dead in this block, and up again after it."""
        process.kill()
        try:
            yield
        finally:
            process.start()
            process.wait_until_up()

    @contextmanager
    def frozen(self, process: Process) -> Iterator[None]:
        """A process answers nothing in this block, with all connections left open."""
        process.freeze()
        try:
            yield
        finally:
            process.thaw()


@dataclass(frozen=True)
class Replica:
    """An API replica of its own kind."""

    process: Process
    running: Running
    metrics_url: str

    def metric(self, name: str) -> float:
        """What a metric without labels says, added up."""
        lines = httpx.get(self.metrics_url).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def is_ready(self) -> bool:
        return status_of(self.running.url, "/readyz") == 200


class Crowd:
    """Callers who place orders and read them, all the time, at a rate of their own."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._callers = [
            running.someone(exp=running.claims()["exp"] + 3600) for _ in range(CALLERS)
        ]
        self._known = [each.placed()["id"] for each in self._callers]

    def kinds(self, *, places: float = 1, reads: float = 3, lists: float = 0) -> Sequence[Kind]:
        """What they do, by weight."""
        each = list(zip(self._callers, self._known, strict=True))
        raw = {
            "place": [request("POST", "/v1/orders", c.token or "", body=body()) for c, _ in each],
            "read": [request("GET", f"/v1/orders/{known}", c.token or "") for c, known in each],
            "list": [request("GET", "/v1/orders?limit=20", c.token or "") for c, _ in each],
        }
        weights = {"place": places, "read": reads, "list": lists}
        return [Kind(name, weight, raw[name]) for name, weight in weights.items() if weight]

    def come(self, url: str, *, rate: float, seconds: float, **weights: float) -> Sending:
        """Have them all call at an address."""
        port = urlsplit(url).port
        assert port is not None
        return Sending(Load(port=port, rate=rate, seconds=seconds, kinds=self.kinds(**weights)))

    def orders(self) -> int:
        """How many orders are stored that they have placed."""
        return sum(len(each.orders()) for each in self._callers) - CALLERS


def failed(answers: Sequence[Answer]) -> list[Answer]:
    """Those that a caller would call a failure."""
    return [each for each in answers if not 200 <= each.status < 300]


def placed(answers: Sequence[Answer]) -> int:
    """How many orders were acknowledged."""
    return sum(each.kind == "place" and each.status == 201 for each in answers)


def status_of(url: str, path: str) -> int:
    """The status of a GET on a new connection; 0 if there is none."""
    where = urlsplit(url)
    assert where.hostname is not None
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def open_files(process: Process) -> int:
    """How many descriptors a server and its children have open."""
    pids = [process.pid, *children_of(process.pid)]
    return sum(len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in pids)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def events_at(broker: RabbitServer) -> list[dict[str, Any]]:
    """The events that a broker has kept since `keep_all`; they are taken out."""
    return [json.loads(each.body) for each in asyncio.run(messages(broker.uri))]


def histories(events: Sequence[dict[str, Any]], orders: Sequence[str]) -> dict[str, list[int]]:
    """The sequence numbers in which each order's events first came."""
    found: dict[str, list[int]] = {order: [] for order in orders}
    for event in events:
        known = found.get(event["partitionkey"])
        if known is not None and int(event["sequence"]) not in known:
            known.append(int(event["sequence"]))
    return found
