"""The whole service under our hands: every process can be killed, every wire is held.

Real processes: API replicas, workers, RabbitMQ, the payment sandbox with its ledger, a database.
Whatever we kill is started again at once, where it was, with what its disk still has.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from orders.entrypoints.sandbox.database import database_command
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from orders.entrypoints.server.child_processes import free_ports
from tests.chaos.protocol_messages import AmqpTalk, Conversation, HttpTalk, MongoTalk
from tests.chaos.wire import Trap, Wire
from tests.support.processes.brokers import RabbitServer
from tests.support.processes.cluster import Cluster, Process, Shape

FRONT, STORE, PAYMENTS, BROKER = "front", "store", "payments", "broker"
_HOST: Final = "127.0.0.1"
_HOURS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is deployed. `environ` is told to the service's own processes."""

    apis: int = 3
    workers: int = 2
    mongo_uri: str | None = None
    database: Callable[[Path, int], Sequence[str]] = database_command
    environ: Mapping[str, str] = field(default_factory=dict)


class Deployment:
    """Up between `start` and `close`; made in the main thread."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.traps: list[Trap] = []
        self.killed: list[tuple[str, float]] = []
        """Whom we have killed, and when, on the monotonic clock."""
        self.outages: list[tuple[str, float, float]] = []
        """What was down, from when to when, on the monotonic clock."""
        self.died_by_itself: list[str] = []
        self._apis = [f"api-{number}" for number in range(plan.apis)]
        self._workers = [f"worker-{number}" for number in range(plan.workers)]
        self._broker = RabbitServer(folder / "broker")
        ports = iter(free_ports(3 * plan.apis + 3 * plan.workers))
        ways = {name: self._ways_of(name, ports) for name in (*self._apis, *self._workers)}
        shape = Shape(
            apis=plan.apis,
            workers=plan.workers,
            mongo_uri=plan.mongo_uri,
            database=plan.database,
            own_environ={name: self._environ_of(way, plan) for name, way in ways.items()},
        )
        self.cluster = Cluster(folder / "service", shape)
        self.processes: dict[str, Process] = self.cluster.processes
        self.processes["broker"] = Process(
            "broker",
            self._broker.command,
            environ=self._broker.environ(),
            log=self.cluster.data.logs / "broker.log",
            answers=self._broker.answers,
        )
        self.wires = [wire for name, way in ways.items() for wire in self._wires_of(name, way)]
        self.broker_uri = self._broker.uri
        self.ledger_url = f"{self.cluster.payments_url}/ledger"
        self.fronts = {name: f"http://{_HOST}:{ways[name][FRONT]}" for name in self._apis}
        self.token = sandbox_token(
            self.cluster.data, subject="chaos", roles=["admin"], ttl_seconds=_HOURS * 3600
        )
        self._up: set[str] = set()
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._down_since: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Return once everything answers."""
        for wire in self.wires:
            await wire.open()
        for name in ("database", "broker"):
            if name in self.processes:
                self._bring_up(name)
        await self.all_up()
        await asyncio.to_thread(self.cluster.migrate)
        for name in self.processes:
            if name not in self._up:
                self._bring_up(name)
        await self.all_up()
        self.outages.clear()

    async def close(self) -> None:
        """End everything."""
        for task in self._coming.values():
            task.cancel()
        await asyncio.gather(*self._coming.values(), return_exceptions=True)
        self.cluster.close()
        self._broker.close()
        for wire in self.wires:
            await wire.close()

    @property
    def kills(self) -> Counter[str]:
        """How often each kind of process was killed."""
        return Counter(name.partition("-")[0] for name, _ in self.killed)

    def is_up(self, name: str) -> bool:
        """Whether it answers, as far as we have done anything to it."""
        return name in self._up

    def up(self, kind: str = "") -> list[str]:
        """The names of what is up: of a kind, such as `api`, or all."""
        return sorted(name for name in self._up if name.startswith(kind))

    def kill(self, name: str) -> None:
        """Kill a process now, also while it starts, and have it started again."""
        since = self._end(name)
        self._bring_up(name, since=since)

    async def down_for(self, name: str, seconds: float) -> None:
        """Kill a process, and have it up again after a while."""
        began = self._end(name)
        await asyncio.sleep(seconds)  # the outage itself
        self._bring_up(name, since=began)
        await self.all_up()

    async def all_up(self) -> None:
        """Return once everything that was killed is up again."""
        while self._coming:
            await asyncio.wait(self._coming.values())
            for task in self._coming.values():
                if task.done():
                    task.result()
        self._note_deaths()

    async def enough_up(self) -> None:
        """Return once an order can be placed, paid and told of: two APIs, a worker, the rest."""
        wanted = {name for name in self.processes if name.partition("-")[0] not in _MANY}
        while not (wanted <= self._up and len(self.up("api")) > 1 and self.up("worker")):
            self._changed.clear()
            await self._changed.wait()

    @property
    def healthy_since(self) -> float:
        """When the last process came back, on the monotonic clock."""
        return max((until for _, _, until in self.outages), default=0.0)

    def payments_back_after(self, moment: float) -> float:
        """When the payment service answered again after a moment: that moment if it did not end."""
        ends = [end for name, began, end in self.outages if name == "sandbox" and end > moment]
        return max([moment, *ends])

    def crashes_in_logs(self) -> list[str]:
        """What logs tell of a process inside that ended though we did not kill it."""
        return re.findall(r".*[Uu]nexpected exit.*", self.cluster.logged())

    def _end(self, name: str) -> float:
        """Kill it; returns since when it is down."""
        self._note_deaths()
        self._up.discard(name)
        if (coming := self._coming.pop(name, None)) is not None:
            coming.cancel()
        self.processes[name].kill()
        self.killed.append((name, time.monotonic()))
        return self._down_since.setdefault(name, time.monotonic())

    def _bring_up(self, name: str, *, since: float | None = None) -> None:
        process, began = self.processes[name], since or time.monotonic()
        process.start()

        async def wait() -> None:
            await asyncio.to_thread(process.wait_until_up)
            self.outages.append((name, began, time.monotonic()))
            self._down_since.pop(name, None)
            self._up.add(name)
            del self._coming[name]
            self._changed.set()

        self._coming[name] = asyncio.create_task(wait())

    def _note_deaths(self) -> None:
        for name in [*self._up]:
            code = self.processes[name].exit_code
            if code is not None:
                self.died_by_itself.append(f"{name} ended with {code}")
                self._up.discard(name)
                self._bring_up(name)

    def _ways_of(self, name: str, ports: Iterator[int]) -> dict[str, int]:
        third = FRONT if name in self._apis else BROKER
        return {way: next(ports) for way in (STORE, PAYMENTS, third)}

    def _environ_of(self, ways: Mapping[str, int], plan: Plan) -> dict[str, str]:
        broker = ways.get(BROKER, self._broker.port)
        return {
            "ORDERS_MONGO_URI": _rerouted(plan.mongo_uri or "mongodb://-/", ways[STORE]),
            "ORDERS_PAYMENT_URL": f"http://{_HOST}:{ways[PAYMENTS]}",
            "ORDERS_RABBITMQ_URI": f"amqp://guest:guest@{_HOST}:{broker}/",
            **plan.environ,
        }

    def _wires_of(self, name: str, ways: Mapping[str, int]) -> Iterator[Wire]:
        store, payments = urlsplit(self.cluster.mongo_uri), urlsplit(self.cluster.payments_url)
        talks: dict[str, tuple[tuple[str, int], Callable[[], Conversation]]] = {
            STORE: (_place(store.netloc), MongoTalk),
            PAYMENTS: (_place(payments.netloc), HttpTalk),
            BROKER: ((_HOST, self._broker.port), AmqpTalk),
            FRONT: (_place(urlsplit(self.cluster.urls.get(name, "")).netloc), HttpTalk),
        }
        for way, port in ways.items():
            upstream, talk = talks[way]
            yield Wire(name, way, port, upstream, talk, self.traps)


_MANY: Final = {"api", "worker"}


def _place(netloc: str) -> tuple[str, int]:
    """The first host and port of an address."""
    first = netloc.rpartition("@")[2].split(",")[0]
    host, _, port = first.partition(":")
    return host, int(port or 27017)


def _rerouted(uri: str, port: int) -> str:
    """The same database, reached through our wire, and not around it."""
    parts = urlsplit(uri)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    query = "&".join(filter(None, [parts.query, "directConnection=true"]))
    return f"mongodb://{login}{_HOST}:{port}{parts.path or '/'}?{query}"
