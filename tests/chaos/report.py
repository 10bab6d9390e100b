"""What a trial has shown, as a page of `docs/reports/`."""

from __future__ import annotations

import math
import os
import platform
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.chaos.client_journeys import Case
from tests.chaos.crash_points import CRASH_POINTS, NAMES
from tests.chaos.trial import Trial

_RABBITMQ = Path("/usr/lib/rabbitmq/lib")


@dataclass(slots=True)
class Findings:
    """The parts of a trial that the report tells of."""

    trial: Trial
    command: str
    database: str
    points: list[Case] = field(default_factory=list)
    storm: list[Case] = field(default_factory=list)
    storm_seconds: float = 0.0
    storm_kills: Counter[str] = field(default_factory=Counter)
    storm_faults: int = 0
    outage_seconds: float = 0.0
    outage: list[float] = field(default_factory=list)
    seconds: float = 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share does not exceed; 0 of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


def report(findings: Findings) -> str:
    """The page, in Markdown."""
    return "\n".join(_page(findings)) + "\n"


def _page(told: Findings) -> Iterator[str]:
    trial, found = told.trial, [*told.trial.found]
    kills = trial.deployment.kills
    yield "# Processes killed at every crash point\n"
    yield (
        "Real processes run: three API replicas, two workers, RabbitMQ, the payment sandbox with "
        "its ledger, and a database. The test kills one with SIGKILL when a certain message passes "
        "on a connection, and restarts it at once. Then it checks the invariants I1 to I9 from "
        "outside only: the sandbox's ledger, a consumer of all events, and the API of every "
        "replica. `tests/chaos/` says how.\n"
    )
    yield f"- Command: `{told.command}`"
    yield f"- Database: {told.database}"
    yield f"- Machine: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, shared"
    yield f"- Versions: {_versions()}"
    yield f"- {told.seconds / 60:.0f} minutes, {sum(kills.values())} kills: {_counted(kills)}"
    yield f"- **Violations: {len(found)}**{_first(told, found)}"
    yield from (f"  - {text}" for text in found[:50])
    if told.points:
        yield from _points(told, found)
    yield from _unknown(told)
    if told.storm:
        yield from _storm(told, found)
    yield from _seen(trial)


def _first(told: Findings, found: Sequence[str]) -> str:
    """How many kills it took."""
    text = " ".join(found)
    broken = [case.killed_at for case in told.points if str(case.order_id) in text and case.kills]
    if not broken:
        return ""
    before = sum(at <= min(broken) for _, at in told.trial.deployment.killed)
    return f", the first after {before} kills"


def _points(told: Findings, found: Sequence[str]) -> Iterator[str]:
    yield "\n## By crash point\n"
    yield (
        "A run is one order that reached the crash point; ten runs proceed in parallel. An order "
        "has recovered when nothing is left to do and all its events are delivered. Times count "
        "from its last kill, while other runs still killed processes, and from the moment when "
        "every process ran and no more were killed (0 s: recovered before that).\n"
    )
    yield (
        "| Point | Variants | Runs | Kills | Violations | After its kill, p50 | p95 "
        "| After all processes ran, p95 | max |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for name in NAMES:
        cases = [case for case in told.points if case.point == name]
        if not cases:
            continue
        reached = [case for case in cases if not case.missed]
        took = [max(0.0, c.settled_at - c.killed_at) for c in reached if c.settled_at]
        rest = [max(0.0, c.settled_at - c.healthy_at) for c in reached if c.settled_at]
        ways = "; ".join(row.what for row in CRASH_POINTS if row.name == name)
        broken = sum(text.split()[1] == name for text in found)
        kills = sum(len(case.kills) for case in cases)
        yield (
            f"| {name} | {ways} | {len(reached)} | {kills} | {broken} "
            f"| {percentile(took, 0.5):.1f} s | {percentile(took, 0.95):.1f} s "
            f"| {percentile(rest, 0.95):.1f} s | {max(rest, default=0):.1f} s |"
        )


def _unknown(told: Findings) -> Iterator[str]:
    """How long payments of unknown outcome took to be known."""
    back = told.trial.deployment.payments_back_after
    took = [
        max(0.0, case.money_known_at - back(case.killed_at))
        for case in told.points
        if case.point in _IN_DOUBT and case.kills and case.money_known_at
    ]
    yield "\n## Payments of unknown outcome\n"
    yield "| When | Payments | p50 | p95 | max |"
    yield "|---|---:|---:|---:|---:|"
    if took:
        yield _times("unknown after a kill (C3 to C9), from the kill or the service's return", took)
    if told.outage:
        away = f"placed while the payment service was down for {told.outage_seconds:.0f} s"
        yield _times(f"{away}, after its return", told.outage)


_IN_DOUBT = ("C3", "C4", "C5", "C6", "C7", "C8", "C9")


def _times(what: str, took: Sequence[float]) -> str:
    p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
    return f"| {what} | {len(took)} | {p50:.1f} s | {p95:.1f} s | {max(took, default=0):.1f} s |"


def _storm(told: Findings, found: Sequence[str]) -> Iterator[str]:
    broken = sum(text.split()[1] == "storm" for text in found)
    stuck = sum(case.settled_at is None for case in told.storm)
    statuses = Counter("cancelled" if case.cancelled else case.method for case in told.storm)
    kills = told.storm_kills
    yield "\n## Random kills\n"
    yield (
        f"{len(told.storm)} orders ({_counted(statuses)}) in {told.storm_seconds:.0f} s, a random "
        f"process killed every 2 s ({sum(kills.values())} kills: {_counted(kills)}), "
        f"{told.storm_faults} calls to the payment service lost, cut off or unanswered. "
        f"Afterwards: **{stuck} stuck orders, {broken} violations**."
    )


def _seen(trial: Trial) -> Iterator[str]:
    deliveries = trial.deliveries
    yield "\n## What was checked\n"
    yield f"- {len(trial.cases)} orders, each on every replica, in the ledger and in the broker"
    yield f"- {len(deliveries.ids)} events in {deliveries.total} deliveries"
    yield f"- {sum(trial.client.memory.statuses.values())} responses to clients: " + _counted(
        Counter({str(code): n for code, n in trial.client.memory.statuses.items()})
    )


def _counted(counted: Counter[str]) -> str:
    return ", ".join(f"{times} {name}" for name, times in sorted(counted.items()))


def _versions() -> str:
    broker = next((re.sub(r".*-", "", p.name) for p in _RABBITMQ.glob("rabbitmq_server-*")), "?")
    packages = ("pymongo", "litestar", "uvicorn", "aio-pika", "aiohttp")
    libraries = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"Python {platform.python_version()}, RabbitMQ {broker}, {libraries}"
