"""A shop that runs: its service under load, what can be done to it, and who watches it."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from orders.entrypoints.sandbox.database import database_command
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.support.database.database_connection import DatabaseWay, database_way
from tests.support.processes.brokers import LARGEST_MESSAGE, RabbitServer, rabbit_server
from tests.support.processes.cluster import Cluster, Process, Shape, cluster
from tests.support.processes.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.processes.prometheus_process import (
    PrometheusProcess,
    eventually,
    prometheus_process,
)
from tests.support.processes.redis_process import RedisProcess, redis_process

_BUYERS: Final = 3
_PROCESSES: Final = ("api-0", "api-1", "worker-0")
SMALL_MESSAGE: Final = LARGEST_MESSAGE // 16
"""Bytes that the broker takes: fewer than the shipment of a thousand lines, told, has."""
MUG: Final = {"sku": "MUG-RED", "name": "Red mug", "quantity": 1}
PAID: Final = {"currency": "GBP", "lines": [MUG], "payment": {"method": "tok_ok", "capture": True}}
UNPAID: Final = {"currency": "GBP", "lines": [MUG]}
LOST: Final = frozenset({"OrdersApiDown", "OrdersDatabaseLost", "OrdersWorkerGone"})
"""What a part that is gone is told by, and a machine that is merely slow is not."""

Act = Callable[[httpx.Client, str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningShop:
    """A service under load, the brokers if it has any, and the Prometheus that watches it."""

    service: Cluster
    prometheus: PrometheusProcess
    collector: OtlpReceiver
    ways: Mapping[str, DatabaseWay] = field(repr=False)
    rabbit: RabbitServer | None = None
    redis: RedisProcess | None = None

    def kill(self, name: str) -> None:
        """End a process of the service, or several whose names begin so."""
        for process in self._named(name):
            process.kill()

    def start(self, name: str, **environ: str) -> None:
        """Have it up again, with these settings besides its own."""
        for process in self._named(name):
            process.start(**environ)
        for process in self._named(name):
            process.wait_until_up()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to it."""
        for process in self._named(name):
            process.signal(number)

    def ways_of(self, name: str) -> list[DatabaseWay]:
        """Its ways to the database."""
        return [way for key, way in self.ways.items() if key.startswith(name)]

    def wait_until_quiet(self, alerts: frozenset[str] = LOST) -> None:
        """Return once none of these fires."""
        eventually(lambda: not self.prometheus.firing() & alerts, 120, f"quiet: {alerts}")

    def post(self, path: str, body: object, *, role: str = "customer", api: int = 0) -> Any:
        """Have something done that must be."""
        headers = _headers(self.service, role)
        answer = httpx.post(self.service.apis[api] + path, headers=headers, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def orders(self, *arguments: str) -> str:
        """What the command of that name says."""
        return subprocess.run(
            [sys.executable, "-m", "orders", *arguments],
            env=self.service.environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def _named(self, name: str) -> list[Process]:
        return [each for key, each in self.service.processes.items() if key.startswith(name)]


@contextmanager
def running_shop(folder: Path, *, with_services: bool) -> Iterator[RunningShop]:
    """A shop of two replicas and a worker, busy until the block is left."""
    with ExitStack() as stack:
        rabbit = redis = None
        if with_services:
            rabbit = stack.enter_context(rabbit_server(folder / "rabbit", SMALL_MESSAGE))
            redis = stack.enter_context(redis_process(folder))
        environ = {
            **({"ORDERS_RABBITMQ_URI": rabbit.uri} if rabbit else {}),
            **({"ORDERS_REDIS_URI": redis.uri} if redis else {}),
        }
        ways = {name: stack.enter_context(database_way()) for name in _PROCESSES}

        def database(data: Path, port: int) -> Sequence[str]:
            for way in ways.values():
                way.upstream = port
            return database_command(data, port)

        shape = Shape(
            apis=2,
            workers=1,
            environ=environ,
            own_environ={name: {"ORDERS_MONGO_URI": way.uri} for name, way in ways.items()},
            database=database,
        )
        service = stack.enter_context(cluster(folder / "service", shape))
        targets = {
            f"orders-{job}": [
                url for name, url in service.metrics_urls.items() if name.startswith(job)
            ]
            for job in ("api", "worker")
        }
        stack.enter_context(crowd(service, _readiness, 1))
        stack.enter_context(crowd(service, buying(service), _BUYERS))
        yield RunningShop(
            service=service,
            prometheus=stack.enter_context(prometheus_process(folder / "prometheus", targets)),
            collector=stack.enter_context(otlp_receiver()),
            ways=ways,
            rabbit=rabbit,
            redis=redis,
        )


@contextmanager
def crowd(service: Cluster, act: Act, many: int, *, pause_seconds: float = 0.1) -> Iterator[None]:
    """So many do this, at one replica after the other, until the block is left."""
    closed = threading.Event()

    def keep_on() -> None:
        with httpx.Client(timeout=15) as client:
            while True:
                for api in service.apis:
                    if closed.wait(pause_seconds):
                        return
                    with suppress(httpx.HTTPError):  # what is down does not answer
                        act(client, api)

    with ThreadPoolExecutor(many) as pool:
        for _ in range(many):
            pool.submit(keep_on)
        try:
            yield
        finally:
            closed.set()


def buying(service: Cluster, order: Mapping[str, object] = PAID) -> Act:
    """Placing such an order."""
    headers = _headers(service, "customer")

    def buy(client: httpx.Client, api: str) -> None:
        own = {**headers, "Idempotency-Key": secrets.token_hex(8)}
        client.post(f"{api}/v1/orders", headers=own, json=order)

    return buy


def _readiness(client: httpx.Client, api: str) -> None:
    """As an orchestrator asks for it."""
    client.get(f"{api}/readyz")


def _headers(service: Cluster, role: str) -> dict[str, str]:
    token = sandbox_token(service.data, subject="ada", roles=[role], ttl_seconds=7200)
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": secrets.token_hex(8)}
