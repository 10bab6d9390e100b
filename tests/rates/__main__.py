"""Measure how fast events are published, and what a minute without the broker costs.

`python -m tests.rates` needs RabbitMQ (infra/setup/services.sh) and writes docs/reports/events.md.
The database is the fast one of `make bench-database` if it is there, else the embedded one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from orders.adapters.contracts.samples import STAFF, a_new_order
from orders.adapters.mongo.migration import migrate
from orders.adapters.mongo.orders import MongoOrders
from orders.entrypoints import clock
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from orders.entrypoints.worker import PAUSE_SECONDS, RELAY_BATCH
from tests.bench.rigs.databases import Database, running_database
from tests.chaos.deliveries import Deliveries
from tests.rates.deliveries import faults, repeated
from tests.rates.relaying import DATABASE, relaying
from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.cluster import Shape, cluster

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "events.md"
ORDERS, EVENTS_EACH = 2_500, 4
OUTAGE_SECONDS = 60
CALLERS = 4
REPLAYS, WARM = 400, 30
_MUG = {"currency": "GBP", "lines": [{"sku": "MUG-RED", "name": "Red mug", "quantity": 1}]}


@dataclass(frozen=True, slots=True)
class Where:
    """The servers that an experiment has."""

    folder: Path
    database: Database
    broker: RabbitServer


async def backlog(where: Where) -> str:
    """Drain a backlog that grew while no relay ran."""
    wanted: dict[str, int] = {}
    async with relaying(where.database.uri, where.broker.uri) as (database, relay, _):
        orders = MongoOrders(database)
        for _ in range(ORDERS):
            order = a_new_order()
            for _ in range(EVENTS_EACH - 1):
                order.add_note("Called", by=STAFF, now=clock.now())
            await orders.add(order)
            wanted[str(order.id)] = EVENTS_EACH
        told = Deliveries(where.broker.uri)
        await told.start()
        began = time.perf_counter()
        events = 0
        while done := (await relay(limit=RELAY_BATCH)).events:
            events += done
        seconds = time.perf_counter() - began
        while told.total < events:  # noqa: ASYNC110 - a consumer tells of no total
            await asyncio.sleep(0.1)
        await told.stop()
    wrong = [*faults(told.by_order, wanted)]
    return (
        f"## A backlog\n\n{events:,} events of {ORDERS:,} orders were relayed in {seconds:.1f} s: "
        f"**{events / seconds:.0f} per second** by one relay. In order for each order, without "
        f"duplicates that differ: {'yes' if not wrong else wrong[:3]}."
    )


async def latency(where: Where) -> str:
    """The time from an event until the broker has confirmed it."""
    rate, seconds = 20, 30
    async with relaying(where.database.uri, where.broker.uri) as (database, relay, publisher):
        orders = MongoOrders(database)
        placing = asyncio.create_task(_place(orders, rate=rate, seconds=seconds))
        # As the worker does: at once while there is work, else after a pause.
        while (await relay(limit=RELAY_BATCH)).events or not placing.done():  # noqa: ASYNC110
            await asyncio.sleep(PAUSE_SECONDS)
    took = sorted((at - e.recorded.occurred_at).total_seconds() for e, at in publisher.confirmed)
    p50, p95, p99 = (took[int(len(took) * share)] for share in (0.5, 0.95, 0.99))
    return (
        f"## From commit to the broker's confirmation\n\n{len(took)} orders, {rate} per second. "
        f"The relay polls every {PAUSE_SECONDS:g} s, also after each batch. Measured from the time "
        f"of the event, which is before its write: p50 {p50:.2f} s, p95 {p95:.2f} s, "
        f"**p99 {p99:.2f} s**, maximum {took[-1]:.2f} s."
    )


async def _place(orders: MongoOrders, *, rate: int, seconds: int) -> None:
    began = time.monotonic()
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        await orders.add(a_new_order(now=clock.now()))


async def outage(where: Where) -> str:
    """A minute without the broker, under load, over HTTP."""
    environ = {"ORDERS_RABBITMQ_URI": where.broker.uri, "ORDERS_DATABASE": "outage"}
    shape = Shape(apis=2, workers=1, environ=environ, mongo_uri=where.database.uri)
    told = Deliveries(where.broker.uri)
    with cluster(where.folder / "cluster", shape) as running:
        await told.start()
        load = _Load(running.apis, sandbox_token(running.data, subject="ada", roles=["admin"]))
        await asyncio.sleep(5)
        await asyncio.to_thread(where.broker.kill)
        await asyncio.sleep(OUTAGE_SECONDS)
        await asyncio.to_thread(where.broker.start)
        back_at = time.monotonic()
        await asyncio.sleep(5)
        statuses, wanted = await asyncio.to_thread(load.stop)
        while any(len(told.by_order[each]) < wanted[each] for each in wanted):
            assert time.monotonic() < back_at + 180, "events are missing"
            await asyncio.sleep(0.1)
        drained = time.monotonic() - back_at
        await told.stop()
    wrong = [*faults({each: told.by_order[each] for each in wanted}, wanted)]
    failed = sum(count for status, count in statuses.items() if status not in {200, 201})
    return (
        f"## A minute without the broker\n\nRabbitMQ was killed for {OUTAGE_SECONDS} s while "
        f"{CALLERS} callers placed and paid: {statuses.total():,} requests, **{failed} failed**. "
        f"All {sum(wanted.values()):,} events were delivered within {drained:.0f} s of its return, "
        f"{repeated(told.by_order)} of them more than once. In order for each order, duplicates "
        f"byte for byte equal: {'yes' if not wrong else wrong[:3]}."
    )


async def replay(where: Where) -> str:
    """The time of a retry that is sent to another replica than the request."""
    shape = Shape(apis=3, workers=1, mongo_uri=where.database.uri)
    with cluster(where.folder / "cluster", shape) as running:
        token = sandbox_token(running.data, subject="ada", roles=["customer"])
        headers = {"Authorization": f"Bearer {token}"}
        clients = [httpx.Client(base_url=each, headers=headers) for each in running.apis]
        took: dict[str, list[float]] = {"first": [], "replay": []}
        for number in range(REPLAYS + WARM):
            body = {**_MUG, "payment": {"method": "tok_ok", "capture": True}}
            key = {"Idempotency-Key": f"replayed-{number}"}
            for turn, name in enumerate(took):
                began = time.perf_counter()
                answer = clients[(number + turn) % 3].post("/v1/orders", json=body, headers=key)
                took[name].append(1_000 * (time.perf_counter() - began))
                assert answer.status_code == 201
                assert ("idempotency-replayed" in answer.headers) is (name == "replay")
        for client in clients:
            client.close()
    first, again = (sorted(each[WARM:]) for each in took.values())
    p50, p99 = (int(REPLAYS * share) for share in (0.5, 0.99))
    return (
        f"## A retried request\n\n{REPLAYS} orders were placed and paid; each request was retried "
        f"at once at another of three replicas. First request: p50 {first[p50]:.1f} ms, p99 "
        f"{first[p99]:.1f} ms. Retry: p50 {again[p50]:.1f} ms, **p99 {again[p99]:.1f} ms**."
    )


class _Load:
    """Callers that place and pay one order after another."""

    def __init__(self, urls: list[str], token: str) -> None:
        self._statuses: Counter[int] = Counter()
        self._placed: list[str] = []
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {token}"}
        self._over = threading.Event()
        self._callers = [
            threading.Thread(target=self._call, args=(number,)) for number in range(CALLERS)
        ]
        for caller in self._callers:
            caller.start()

    def stop(self) -> tuple[Counter[int], dict[str, int]]:
        """The answers' statuses, and the last sequence of each order that was placed."""
        self._over.set()
        for caller in self._callers:
            caller.join()
        with httpx.Client(base_url=self._urls[0], headers=self._headers, timeout=30) as client:
            last = {
                each: client.get(f"/v1/orders/{each}/events").json()["items"][-1]["sequence"]
                for each in self._placed
            }
        return self._statuses, last

    def _call(self, number: int) -> None:
        url = self._urls[number % len(self._urls)]
        body = {**_MUG, "payment": {"method": "tok_ok", "capture": True}}
        with httpx.Client(base_url=url, headers=self._headers, timeout=30) as client:
            for count in range(100_000):
                key = {"Idempotency-Key": f"{number}-{count}"}
                answer = client.post("/v1/orders", json=body, headers=key)
                self._statuses[answer.status_code] += 1
                if answer.status_code == 201:
                    self._placed.append(answer.json()["id"])
                if self._over.wait(0.05):
                    return


EXPERIMENTS: dict[str, Callable[[Where], object]] = {
    "latency": latency,
    "backlog": backlog,
    "outage": outage,
    "replay": replay,
}


async def _measured(names: list[str]) -> str:
    parts, kind = [], ""
    for name in names:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orders-rates-")))
            database = stack.enter_context(running_database(folder / "database", None))
            broker = stack.enter_context(rabbit_server(folder / "rabbit"))
            kind = database.kind
            await migrate(database.uri, database=DATABASE)
            parts.append(str(await EXPERIMENTS[name](Where(folder, database, broker))))  # type: ignore[misc]
    return "\n\n".join([f"Database: {kind}.", *parts])


def main() -> int:
    """Write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.rates", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    names = parser.parse_args().names or [*EXPERIMENTS]
    if not rabbitmq_is_installed():
        raise SystemExit(RABBITMQ_MISSING)
    for logger in ("aiormq", "aio_pika"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # they tell of a broker that is away
    text = asyncio.run(_measured(names))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    REPORT.write_text(
        "# How fast events are published\n\n"
        f"Command: `python -m tests.rates`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} shared "
        f"cores, load average at the end {load}.\n\n{text}\n",
        encoding="utf-8",
    )
    sys.stdout.write(REPORT.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
