"""Both brokers are configured, and one is away for a while: what the other gets, and when."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord  # type: ignore[import-untyped]
from pymongo import MongoClient

from orders.adapters.mongo.documents import CODEC, IMMEDIATELY, Document
from tests.availability.figures import table
from tests.availability.load import Kind, Load, Sending, request
from tests.chaos.deliveries import Deliveries
from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    KafkaMock,
    KafkaServer,
    RabbitServer,
    kafka_jars,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.cluster import Cluster, Shape, cluster
from tests.support.processes.service import Running, paid

DRAINED_WITHIN_SECONDS = 60
BEFORE_SECONDS = 3.0
"""Under load, with both brokers up."""
AFTER_SECONDS = 3.0
"""Under load still, once the broker is back."""
_TOPIC = "orders.events"
_HEADER = [
    "down", "seconds", "orders", "events", "duplicates at the other",
    "p50 / p99 / maximum s to the other", "lost", "out of order",
    "duplicates at the one that was down", "all delivered after s",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Got:
    """An event as a broker's consumer got it, and when, in seconds of the Unix epoch."""

    id: str
    order_id: str
    sequence: int
    happened_at: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an outage has come to. Times in seconds."""

    away: str
    seconds: float
    orders: int
    failed: int
    """Requests that were not answered 201."""
    events: int
    most_at_other: int
    """How often the broker that was up got one event, at most."""
    repeated_at_other: int
    delays: tuple[float, ...]
    """Of the broker that was up, from when an event happened during the outage, sorted."""
    usual_delay: float
    """The median at that broker before and after the outage."""
    lost: int
    out_of_order: int
    """Orders of which a broker got a later event before an earlier one."""
    repeated_at_one: int
    drained: float
    """From the broker's return to when it had all."""

    def row(self) -> list[object]:
        """As a line of the report."""
        p50, p99 = (self.delays[int(len(self.delays) * share)] for share in (0.5, 0.99))
        return [
            self.away, f"{self.seconds:g}", self.orders, self.events, self.repeated_at_other,
            f"{p50:.2f} / {p99:.2f} / {self.delays[-1]:.2f}", self.lost, self.out_of_order,
            self.repeated_at_one, f"{self.drained:.1f}",
        ]  # fmt: skip


def two_brokers(folder: Path, options: argparse.Namespace) -> str:
    """Each of two brokers is down for a minute, under load."""
    if not rabbitmq_is_installed():
        raise SystemExit(RABBITMQ_MISSING)
    rate, seconds = options.rate or 20, options.seconds or 60
    outcomes = []
    for away in ("rabbitmq", "kafka"):
        outcomes.append(lose_one(folder / away, away, rate=rate, seconds=seconds))
        assert outcomes[-1].most_at_other <= 2, outcomes[-1]
    kafka = "a real one, killed" if kafka_jars() else "librdkafka's mock cluster, frozen"
    return (
        f"## One of two brokers is down\n\nRabbitMQ (killed) and Kafka ({kafka}) are both "
        f"configured, with two workers and {rate:g} paid orders per second; one broker is down for "
        f"{seconds:g} s. Duplicates are deliveries of an event that the broker had received "
        "before.\n\n" + table(_HEADER, [each.row() for each in outcomes])
    )


def lose_one(folder: Path, away: str, *, rate: float, seconds: float, **settings: str) -> Outcome:
    """Lose one of two brokers under load for so many seconds; wait until it has everything."""
    for logger in ("aiormq", "aio_pika", "aiokafka"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # they tell of a broker that is away
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        rabbit = stack.enter_context(rabbit_server(folder / "rabbit"))
        kafka = stack.enter_context(_kafka(folder))
        environ = {
            "ORDERS_RABBITMQ_URI": rabbit.uri,
            "ORDERS_KAFKA_BOOTSTRAP": kafka.bootstrap,
            **settings,
        }
        shape = Shape(apis=1, workers=2, environ=environ)
        service = stack.enter_context(cluster(folder / "cluster", shape))
        outage = stack.enter_context(closing(_Outage(service, rabbit, kafka)))
        return asyncio.run(outage.happen(away, rate, seconds))


class _Outage:
    """A service under load, and its brokers."""

    def __init__(
        self, service: Cluster, rabbit: RabbitServer, kafka: KafkaMock | KafkaServer
    ) -> None:
        self._service = service
        self._rabbit = rabbit
        self._kafka = kafka
        self._heard = Deliveries(rabbit.uri)
        client: MongoClient[Document] = MongoClient(service.mongo_uri)
        self._orders = client.get_database("orders", codec_options=CODEC)["orders"]

    def close(self) -> None:
        """Close the connection to the database."""
        self._orders.database.client.close()

    async def happen(self, away: str, rate: float, seconds: float) -> Outcome:
        lose, restore = {
            "rabbitmq": (self._rabbit.kill, self._rabbit.start),
            "kafka": (self._kafka.lose, self._kafka.restore),
        }[away]
        await self._heard.start()
        if away == "rabbitmq":  # Its queue keeps all until it is read in the end.
            await self._heard.stop()
        load = self._load(rate, BEFORE_SECONDS + seconds + AFTER_SECONDS)
        await asyncio.sleep(BEFORE_SECONDS)
        await asyncio.to_thread(lose)
        lost_at = time.time()
        await asyncio.sleep(seconds)
        restoring = time.time()
        await asyncio.to_thread(restore)
        back_at = time.time()
        answers = (await asyncio.to_thread(load.finish)).answers
        wanted = await self._wanted()
        await self._until_nothing_waits()
        drained = time.time() - back_at
        got = {"rabbitmq": await self._from_rabbit(wanted, away), "kafka": await self._from_kafka()}
        one, other = got.pop(away), next(iter(got.values()))
        delays: dict[bool, list[float]] = {True: [], False: []}
        for each in other:
            delays[lost_at <= each.happened_at <= restoring].append(each.at - each.happened_at)
        return Outcome(
            away=away,
            seconds=seconds,
            orders=len(wanted),
            failed=sum(each.status != 201 for each in answers),
            events=sum(wanted.values()),
            most_at_other=max(Counter(each.id for each in other).values()),
            repeated_at_other=len(other) - len({each.id for each in other}),
            delays=tuple(sorted(delays[True])),
            usual_delay=median(delays[False]),
            lost=sum(_missing(each, wanted) for each in (one, other)),
            out_of_order=sum(_out_of_order(each) for each in (one, other)),
            repeated_at_one=len(one) - len({each.id for each in one}),
            drained=drained,
        )

    def _load(self, rate: float, seconds: float) -> Sending:
        where = self._service.apis[0]
        running = Running(
            where, self._service.data.path, self._service.addresses(), httpx.Client(base_url=where)
        )
        caller = running.someone(exp=running.claims()["exp"] + 3600)
        raw = request("POST", "/v1/orders", caller.token or "", body=paid())
        port = int(where.rpartition(":")[2])
        return Sending(Load(port=port, rate=rate, seconds=seconds, kinds=[Kind("place", 1, [raw])]))

    async def _wanted(self) -> Mapping[str, int]:
        """The last sequence of each order that is stored."""
        found = await asyncio.to_thread(lambda: list(self._orders.find({}, {"sequence": 1})))
        return {str(each["_id"]): each["sequence"] for each in found}

    async def _until_nothing_waits(self) -> None:
        deadline = time.monotonic() + DRAINED_WITHIN_SECONDS
        while await asyncio.to_thread(self._waits):
            assert time.monotonic() < deadline, "events are still in the outbox"
            await asyncio.sleep(0.5)  # a database tells of no change
        left = await asyncio.to_thread(self._orders.find_one, {"outbox.0": {"$exists": True}})
        assert left is None, f"nobody sees to {left}"

    def _waits(self) -> bool:
        queues = ("outbox_claim.at", "publisher_lags.rabbitmq.at", "publisher_lags.kafka.at")
        return any(
            self._orders.find_one({each: {"$gte": IMMEDIATELY}}, {"_id": 1}) for each in queues
        )

    async def _from_rabbit(self, wanted: Mapping[str, int], away: str) -> list[Got]:
        if away == "rabbitmq":
            await self._heard.start()
        async with asyncio.timeout(DRAINED_WITHIN_SECONDS):
            while len(self._heard.ids) < sum(wanted.values()):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
        await self._heard.stop()
        epoch = time.time() - time.monotonic()
        deliveries = [e for own in self._heard.by_order.values() for e in own]
        return [_got(e.event, e.at + epoch) for e in deliveries if e.order_id in wanted]

    async def _from_kafka(self) -> list[Got]:
        records: list[ConsumerRecord] = []
        consumer = AIOKafkaConsumer(
            _TOPIC, bootstrap_servers=self._kafka.bootstrap, auto_offset_reset="earliest"
        )
        try:
            # Not `async with`: a consumer whose start fails would stay open.
            await consumer.start()
            for each, end in (await consumer.end_offsets(consumer.assignment())).items():
                while await consumer.position(each) < end:
                    found = await consumer.getmany(each, timeout_ms=1_000)
                    records += found.get(each, [])
        finally:
            await consumer.stop()
        # Kafka has an order's events in one partition, and says when each was sent.
        return [_got(json.loads(each.value), each.timestamp / 1_000) for each in records]


@contextmanager
def _kafka(folder: Path) -> Iterator[KafkaMock | KafkaServer]:
    jars = kafka_jars()
    kafka = KafkaServer(folder / "kafka", jars) if jars else KafkaMock()
    with closing(kafka):
        if isinstance(kafka, KafkaServer):
            kafka.restore()
        yield kafka


def _got(event: Mapping[str, Any], at: float) -> Got:
    happened_at = datetime.fromisoformat(event["time"]).timestamp()
    return Got(event["id"], event["subject"], int(event["sequence"]), happened_at, at)


def _missing(got: list[Got], wanted: Mapping[str, int]) -> int:
    ids = {f"{order}:{n}" for order, last in wanted.items() for n in range(1, last + 1)}
    return len(ids - {each.id for each in got})


def _out_of_order(got: list[Got]) -> int:
    """Orders whose first deliveries are not 1, 2, 3 …"""
    firsts: dict[str, list[int]] = {}
    for each in got:
        own = firsts.setdefault(each.order_id, [])
        if each.sequence not in own:
            own.append(each.sequence)
    return sum(own != [*range(1, len(own) + 1)] for own in firsts.values())
