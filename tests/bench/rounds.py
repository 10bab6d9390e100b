"""The measurement: every job, the contenders in turns, so that both have the same weather."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.bench.jobs import JOBS, RELAY, Job
from tests.bench.load import Measured, at_full_speed, connected
from tests.bench.results.accounting import cpu_seconds
from tests.bench.rigs.contenders import Contender
from tests.bench.rigs.databases import Database
from tests.bench.rigs.shop import REGULARS, Shop

SEEDING: Final = 16
"""Connections that place the first orders."""
FEWEST: Final = 150
"""Requests of a job at a rate, or there is no 99th percentile."""
SEEDED: Final = 40
"""Orders of each regular customer before anything is measured: more than a page."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One contender's turn at one job. Times in microseconds, of one request."""

    cpu: float
    database_cpu: float | None
    per_second: float
    p50: float
    p95: float
    p99: float
    answer_bytes: float


class Course:
    """The contenders at work on one database."""

    def __init__(
        self,
        contenders: Mapping[str, Contender],
        shops: Mapping[str, Shop],
        database: Database,
        environs: Mapping[str, dict[str, str]],
    ) -> None:
        self._contenders = contenders
        self._shops = shops
        self._database = database
        self._environs = environs

    async def warm_up(self) -> None:
        """Place the regular customers' orders, and do every job once."""
        for name in self._contenders:
            async with connected(self._contenders[name].port, SEEDING) as connections:
                seeds = SEEDED * len(REGULARS)
                await at_full_speed(connections, self._shops[name].seeding(), seeds, status=201)
            for job in JOBS:
                await self.full_speed(job, name, share=0.1)
            self.relay(name)

    async def round(self, number: int) -> dict[str, dict[str, dict[str, Any]]]:
        """Every job by every contender."""
        order = self.order(number)
        done: dict[str, dict[str, dict[str, Any]]] = {}
        for job in JOBS:
            done[job.name] = {name: asdict(await self.full_speed(job, name)) for name in order}
        done[RELAY] = {name: self.relay(name) for name in order}
        return done

    def order(self, number: int) -> list[str]:
        """Whose turn is when: who begins changes from round to round."""
        names = [*self._contenders]
        return names if number % 2 else names[::-1]

    async def full_speed(self, job: Job, name: str, *, share: float = 1.0) -> Turn:
        """As many requests as are answered, some at once."""
        contender, shop = self._contenders[name], self._shops[name]
        count = round(job.count * share)
        async with connected(contender.port, job.callers) as connections:
            await job.prepared(shop, connections, count)
            service, database = contender.family(), self._database.family()
            cost, database_cost = cpu_seconds(service), cpu_seconds(database)
            measured = await job.done(shop, connections, count)
            cost = cpu_seconds(service) - cost
            database_cost = cpu_seconds(database) - database_cost
        return Turn(
            cpu=cost / count * 1e6,
            database_cpu=database_cost / count * 1e6 if database else None,
            per_second=measured.per_second,
            p50=measured.percentile(50) * 1e6,
            p95=measured.percentile(95) * 1e6,
            p99=measured.percentile(99) * 1e6,
            answer_bytes=sum(map(len, measured.answers)) / count,
        )

    async def at_a_rate(self, job: Job, name: str, per_second: float, seconds: float) -> Measured:
        """What it is like when requests come at this rate for some seconds."""
        shop = self._shops[name]
        count = max(FEWEST, round(per_second * seconds))
        async with connected(self._contenders[name].port, job.callers) as connections:
            await job.prepared(shop, connections, count)
            return await job.done(shop, connections, count, per_second=per_second)

    def relay(self, name: str) -> dict[str, Any]:
        """What relaying all that waits has cost, of one event."""
        database = self._database.family()
        before = cpu_seconds(database)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.relaying", name],
            env=self._environs[name],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout)
        events = max(1, told["events"])
        cost = (cpu_seconds(database) - before) / (events + told["first"]) if database else None
        return {
            "cpu": told["cpu_seconds"] / events * 1e6,
            "database_cpu": None if cost is None else cost * 1e6,
            "per_second": events / max(told["seconds"], 1e-9),
        }
