"""What goes wrong in a shop that runs, and which alerts tell of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.operating.shop import MUG, PAID, UNPAID, RunningShop, buying, crowd
from tests.support.processes.brokers import LARGEST_MESSAGE, RabbitServer
from tests.support.processes.prometheus_process import eventually
from tests.support.processes.redis_process import RedisProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happens until the block is left, and who must be told."""

    what: str
    happens: Callable[[RunningShop], AbstractContextManager[None]]
    alerts: frozenset[str]
    within_seconds: float = 120


@contextmanager
def killed(shop: RunningShop, name: str) -> Iterator[None]:
    """A process, or several whose names begin so, is gone."""
    shop.kill(name)
    try:
        yield
    finally:
        shop.start(name)


@contextmanager
def lost(server: RabbitServer | RedisProcess | None) -> Iterator[None]:
    """A server beside the service is gone."""
    assert server is not None
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(shop: RunningShop, name: str) -> Iterator[None]:
    """A process does nothing, with all connections left open."""
    shop.signal(name, signal.SIGSTOP)
    try:
        yield
    finally:
        shop.signal(name, signal.SIGCONT)


@contextmanager
def throttled(shop: RunningShop, name: str) -> Iterator[None]:
    """A process gets the processor only for a part of the time, as below a limit of its pod.

    The loop looks at itself half a second after it woke: with that it is well within a pause.
    """
    over = threading.Event()

    def keep_on() -> None:
        while not over.is_set():
            shop.signal(name, signal.SIGSTOP)
            over.wait(0.8)
            shop.signal(name, signal.SIGCONT)
            over.wait(0.3)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(keep_on)
        try:
            yield
        finally:
            over.set()


@contextmanager
def told_otherwise(shop: RunningShop, name: str, **environ: str) -> Iterator[None]:
    """A process was started with other settings."""
    shop.kill(name)
    shop.start(name, **environ)
    try:
        yield
    finally:
        shop.kill(name)
        shop.start(name)


@contextmanager
def far_from_its_database(shop: RunningShop, name: str, seconds: float) -> Iterator[None]:
    """Each answer of the database comes later by so much."""
    for way in shop.ways_of(name):
        way.answers_late_by_seconds = seconds
    try:
        yield
    finally:
        for way in shop.ways_of(name):
            way.answers_late_by_seconds = 0


@contextmanager
def without_its_database(shop: RunningShop, name: str) -> Iterator[None]:
    """The database is there for all others. It is waited for half a second, as rules are hasty."""
    with told_otherwise(shop, name, ORDERS_MONGO_TIMEOUT_SECONDS="0.5"):
        for way in shop.ways_of(name):
            way.cut()
        try:
            yield
        finally:
            for way in shop.ways_of(name):
                way.mend()


@contextmanager
def slow_for_all(shop: RunningShop) -> Iterator[None]:
    """Placing takes several answers of the database: over a second together."""
    with (
        far_from_its_database(shop, "api", 0.5),
        crowd(shop.service, buying(shop.service), 12),
    ):
        yield


@contextmanager
def flooded(shop: RunningShop) -> Iterator[None]:
    """More come than have a turn and may wait for one."""
    with (
        far_from_its_database(shop, "api", 0.3),
        crowd(shop.service, buying(shop.service, UNPAID), 80, pause_seconds=0.02),
    ):
        yield


@contextmanager
def more_due_than_can_be_done(shop: RunningShop, late_by_seconds: float) -> Iterator[None]:
    """Orders that nobody pays expire after a second, and the worker's database is slow."""
    with (
        told_otherwise(shop, "api-1", ORDERS_EXPIRE_AFTER_SECONDS="1"),
        far_from_its_database(shop, "worker", late_by_seconds),
        crowd(shop.service, buying(shop.service, UNPAID), 12),
    ):
        yield


@contextmanager
def one_connection(shop: RunningShop) -> Iterator[None]:
    """A worker has more at once than its pool allows, and each call takes long."""
    with (
        told_otherwise(shop, "worker", ORDERS_MONGO_POOL_SIZE="1"),
        more_due_than_can_be_done(shop, 0.1),
    ):
        yield


@contextmanager
def collector_hangs(shop: RunningShop) -> Iterator[None]:
    """Every request is recorded, and no export is answered."""
    shop.collector.hang()
    traced = {"ORDERS_OTLP_ENDPOINT": shop.collector.url, "ORDERS_TRACE_RATIO": "1"}
    with told_otherwise(shop, "api", **traced):
        try:
            yield
        finally:
            shop.collector.answer()


@contextmanager
def too_large_for_the_broker(shop: RunningShop) -> Iterator[None]:
    """A shipment of a thousand lines; it is sent after all once the broker takes it."""
    order = shop.post("/v1/orders", {**PAID, "lines": [MUG] * 1_000}, role="admin")
    items = [{"line_id": each["id"], "quantity": 1} for each in order["lines"]]
    shop.post(f"/v1/orders/{order['id']}/shipments", {"items": items}, role="admin")
    try:
        yield
    finally:
        assert shop.rabbit is not None
        shop.rabbit.take_messages_of(LARGEST_MESSAGE)
        shop.orders("outbox", "resend", "--order", order["id"])


INCIDENTS: Final = {
    # First: what is burnt of a month's budget by others would be told at once.
    "slow-database": Incident(
        what="each reply of the database takes 0.5 s longer",
        happens=slow_for_all,
        alerts=frozenset({"OrdersLatencyBudgetBurn"}),
        within_seconds=240,
    ),
    "database": Incident(
        what="the database is killed",
        happens=lambda shop: killed(shop, "database"),
        alerts=frozenset({"OrdersDatabaseLost", "OrdersErrorBudgetBurn"}),
    ),
    "worker": Incident(
        what="the only worker is killed",
        happens=lambda shop: killed(shop, "worker"),
        alerts=frozenset({"OrdersWorkerGone"}),
    ),
    "hanging-worker": Incident(
        what="the only worker hangs (SIGSTOP)",
        happens=lambda shop: hanging(shop, "worker"),
        alerts=frozenset({"OrdersWorkerGone"}),
    ),
    "payments": Incident(
        what="the payment service is killed",
        happens=lambda shop: killed(shop, "sandbox"),
        alerts=frozenset({"OrdersPaymentsFailing", "OrdersPaymentBreakerOpen"}),
    ),
    "refused": Incident(
        what="the replicas have a wrong `ORDERS_PAYMENT_TOKEN`",
        happens=lambda shop: told_otherwise(shop, "api", ORDERS_PAYMENT_TOKEN="wrong"),
        alerts=frozenset({"OrdersPaymentsRefused"}),
    ),
    "replica": Incident(
        what="one API replica is killed",
        happens=lambda shop: killed(shop, "api-1"),
        alerts=frozenset({"OrdersReplicaDown"}),
    ),
    "not-ready": Incident(
        what="one API replica cannot reach the database; the others can",
        happens=lambda shop: without_its_database(shop, "api-1"),
        alerts=frozenset({"OrdersReplicaNotReady"}),
    ),
    "api": Incident(
        what="all API replicas are killed",
        happens=lambda shop: killed(shop, "api"),
        alerts=frozenset({"OrdersApiDown"}),
    ),
    "broker": Incident(
        what="RabbitMQ is killed",
        happens=lambda shop: lost(shop.rabbit),
        alerts=frozenset({"OrdersEventsStuck"}),
    ),
    "parked": Incident(
        what="an event is larger than RabbitMQ accepts",
        happens=too_large_for_the_broker,
        alerts=frozenset({"OrdersEventsParked"}),
    ),
    "redis": Incident(
        what="Redis is killed",
        happens=lambda shop: lost(shop.redis),
        alerts=frozenset({"OrdersLimiterLocal"}),
    ),
    "collector": Incident(
        what="the OpenTelemetry collector hangs",
        happens=collector_hangs,
        alerts=frozenset({"OrdersSpansDropped"}),
    ),
    "throttled": Incident(
        what="one API replica gets three elevenths of its CPU time",
        happens=lambda shop: throttled(shop, "api-1"),
        alerts=frozenset({"OrdersEventLoopLag"}),
    ),
    "flood": Incident(
        what="80 customers at the same time, and each reply of the database takes 0.3 s longer",
        happens=flooded,
        alerts=frozenset({"OrdersShedding"}),
    ),
    "due-work": Incident(
        what="more orders expire than one worker, whose database replies 1 s late, can process",
        happens=lambda shop: more_due_than_can_be_done(shop, 1),
        alerts=frozenset({"OrdersDueWorkLate"}),
    ),
    "pool": Incident(
        what="a worker with `ORDERS_MONGO_POOL_SIZE=1` has many orders to process",
        happens=one_connection,
        alerts=frozenset({"OrdersPoolExhausted"}),
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
    with incident.happens(shop):
        told_after = eventually(
            lambda: incident.alerts <= prometheus.firing(), incident.within_seconds, incident.what
        )
        also = prometheus.firing() - incident.alerts - before
    over_after = eventually(
        lambda: not ending & prometheus.firing(), incident.within_seconds, f"{incident.what}: over"
    )
    return Course(
        incident=incident, told_after=told_after, also=frozenset(also), over_after=over_after
    )
