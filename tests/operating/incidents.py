"""What goes wrong in a shop that runs, and which alerts tell of it."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from orders.entrypoints.sandbox.tokens import sandbox_token
from tests.cluster import Cluster, Process, Shape, cluster
from tests.contract.brokers import RabbitServer, rabbit_server
from tests.prometheus_process import PrometheusProcess, eventually, prometheus_process
from tests.redis_process import RedisProcess, redis_process

_BUYERS: Final = 3
LOST: Final = frozenset({"OrdersApiDown", "OrdersDatabaseLost", "OrdersWorkerGone"})
"""What a part that is gone is told by, and a machine that is merely slow is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningShop:
    """A service under load, the brokers if it has any, and the Prometheus that watches it."""

    service: Cluster
    prometheus: PrometheusProcess
    rabbit: RabbitServer | None = None
    redis: RedisProcess | None = None

    def kill(self, name: str) -> None:
        """End a process of the service, or several whose names begin so."""
        for process in self._named(name):
            process.kill()

    def start(self, name: str) -> None:
        """Have it up again."""
        for process in self._named(name):
            process.start()
        for process in self._named(name):
            process.wait_until_up()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to it."""
        for process in self._named(name):
            process.signal(number)

    def wait_until_quiet(self, alerts: frozenset[str] = LOST) -> None:
        """Return once none of these fires."""
        eventually(lambda: not self.prometheus.firing() & alerts, 120, f"quiet: {alerts}")

    def _named(self, name: str) -> list[Process]:
        return [each for key, each in self.service.processes.items() if key.startswith(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """How it comes about, how it ends, and who must be told."""

    what: str
    begin: Callable[[RunningShop], None]
    end: Callable[[RunningShop], None]
    alerts: frozenset[str]
    within_seconds: float = 120


def _rabbit(shop: RunningShop) -> RabbitServer:
    assert shop.rabbit is not None
    return shop.rabbit


def _redis(shop: RunningShop) -> RedisProcess:
    assert shop.redis is not None
    return shop.redis


INCIDENTS: Final = {
    "database": Incident(
        what="the database is killed",
        begin=lambda shop: shop.kill("database"),
        end=lambda shop: shop.start("database"),
        alerts=frozenset({"OrdersDatabaseLost", "OrdersErrorBudgetBurn"}),
    ),
    "worker": Incident(
        what="the only worker is killed",
        begin=lambda shop: shop.kill("worker"),
        end=lambda shop: shop.start("worker"),
        alerts=frozenset({"OrdersWorkerGone"}),
    ),
    "hanging-worker": Incident(
        what="the only worker hangs (SIGSTOP)",
        begin=lambda shop: shop.signal("worker", signal.SIGSTOP),
        end=lambda shop: shop.signal("worker", signal.SIGCONT),
        alerts=frozenset({"OrdersWorkerGone"}),
    ),
    "payments": Incident(
        what="the payment service is killed",
        begin=lambda shop: shop.kill("sandbox"),
        end=lambda shop: shop.start("sandbox"),
        alerts=frozenset({"OrdersPaymentsFailing", "OrdersPaymentBreakerOpen"}),
    ),
    "replica": Incident(
        what="one API replica is killed",
        begin=lambda shop: shop.kill("api-1"),
        end=lambda shop: shop.start("api-1"),
        alerts=frozenset({"OrdersReplicaDown"}),
    ),
    "api": Incident(
        what="all API replicas are killed",
        begin=lambda shop: shop.kill("api"),
        end=lambda shop: shop.start("api"),
        alerts=frozenset({"OrdersApiDown"}),
    ),
    "broker": Incident(
        what="RabbitMQ is killed",
        begin=lambda shop: _rabbit(shop).kill(),
        end=lambda shop: _rabbit(shop).start(),
        alerts=frozenset({"OrdersEventsStuck"}),
    ),
    "redis": Incident(
        what="Redis is killed",
        begin=lambda shop: _redis(shop).kill(),
        end=lambda shop: _redis(shop).start(),
        alerts=frozenset({"OrdersLimiterLocal"}),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an incident went: seconds until told, what else was told, seconds until it was over."""

    incident: Incident
    told_after: float
    also: frozenset[str]
    over_after: float


def play(incident: Incident, shop: RunningShop) -> Course:
    """Let it happen and end; both must be told."""
    prometheus = shop.prometheus
    # What was burnt of a month's budget stays burnt.
    ending = frozenset(each for each in incident.alerts if not each.endswith("BudgetBurn"))
    shop.wait_until_quiet(ending)
    before = prometheus.firing()
    incident.begin(shop)
    try:
        told_after = eventually(
            lambda: incident.alerts <= prometheus.firing(), incident.within_seconds, incident.what
        )
        also = prometheus.firing() - incident.alerts - before
    finally:
        incident.end(shop)
    over_after = eventually(
        lambda: not ending & prometheus.firing(), incident.within_seconds, f"{incident.what}: over"
    )
    return Course(
        incident=incident, told_after=told_after, also=frozenset(also), over_after=over_after
    )


@contextmanager
def running_shop(folder: Path, *, with_services: bool) -> Iterator[RunningShop]:
    """A shop of two replicas and a worker, busy until the block is left."""
    with ExitStack() as stack:
        rabbit = stack.enter_context(rabbit_server(folder / "rabbit")) if with_services else None
        redis = stack.enter_context(redis_process(folder)) if with_services else None
        environ = {
            **({"ORDERS_RABBITMQ_URI": rabbit.uri} if rabbit else {}),
            **({"ORDERS_REDIS_URI": redis.uri} if redis else {}),
        }
        shape = Shape(apis=2, workers=1, environ=environ)
        service = stack.enter_context(cluster(folder / "service", shape))
        targets = {
            f"orders-{job}": [
                url for name, url in service.metrics_urls.items() if name.startswith(job)
            ]
            for job in ("api", "worker")
        }
        stack.enter_context(_busy(service))
        prometheus = stack.enter_context(prometheus_process(folder / "prometheus", targets))
        yield RunningShop(service=service, prometheus=prometheus, rabbit=rabbit, redis=redis)


@contextmanager
def _busy(service: Cluster) -> Iterator[None]:
    """Customers buy, and an orchestrator asks for readiness, until the block is left."""
    token = sandbox_token(service.data, subject="ada", roles=["customer"], ttl_seconds=3600)
    closed = threading.Event()

    def buy(client: httpx.Client, api: str) -> None:
        line = {"sku": "MUG-RED", "name": "Red mug", "quantity": 1}
        client.post(
            f"{api}/v1/orders",
            headers={
                "Authorization": f"Bearer {token}",
                "Idempotency-Key": secrets.token_hex(8),
            },
            json={
                "currency": "GBP",
                "lines": [line],
                "payment": {"method": "tok_ok", "capture": True},
            },
        )

    def ask(client: httpx.Client, api: str) -> None:
        client.get(f"{api}/readyz")

    def keep_on(act: Callable[[httpx.Client, str], None], pause_seconds: float) -> None:
        with httpx.Client(timeout=15) as client:
            while True:
                for api in service.apis:
                    if closed.wait(pause_seconds):
                        return
                    try:
                        act(client, api)
                    except httpx.HTTPError:
                        continue  # what is down does not answer

    with ThreadPoolExecutor(_BUYERS + 1) as pool:
        for _ in range(_BUYERS):
            pool.submit(keep_on, buy, 0.1)
        pool.submit(keep_on, ask, 0.1)
        try:
            yield
        finally:
            closed.set()
