"""Try every database that this machine has, and write docs/reports/databases.md.

On each: all contract tests, a real day with a worker that is killed, and the upgrade of the stored
form. `ORDERS_TEST_MONGO_URI` adds one of your own. `make databases ARGS="--engine stand-alone"`
tries some only, and writes no report.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from tests.databases.contracts import Outcome, try_contracts
from tests.databases.day import KILLS, Day, replay_day
from tests.databases.engines import Engine, engines, why_no_java
from tests.databases.forms import Forms, change_forms

ROOT: Final = Path(__file__).parents[2]
REPORT: Final = ROOT / "docs" / "reports" / "databases.md"
_DAY: Final = ROOT.parent / "shared" / "data" / "online-retail" / "2010-12-01.csv"
_EXAMPLE: Final = ROOT / "examples" / "day.csv"


class Tried(NamedTuple):
    """One engine, and all that was seen on it."""

    engine: Engine
    contracts: Outcome
    day: Day
    forms: Forms

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        differing = self.forms.differing
        form = [f"{differing} orders differ after their form changed"] if differing else []
        return [*self.contracts.failed, *self.day.faults, *form]


def main() -> int:
    """Returns 1 if anything failed that no limit of the engine excuses."""
    parser = argparse.ArgumentParser(prog="python -m tests.databases", description=__doc__)
    parser.add_argument("--engine", default="", help="a part of the names of those to try")
    parser.add_argument("--data", type=Path, default=_DAY if _DAY.exists() else _EXAMPLE)
    parser.add_argument("--orders", type=int, default=10_000, help="whose form is changed")
    given = parser.parse_args()
    tried = [
        _try(engine, given.data, given.orders)
        for engine in engines()
        if given.engine in engine.name
    ]
    report = _report(tried, given.data.name)
    sys.stdout.write(report)
    if not given.engine:
        REPORT.write_text(report, encoding="utf-8")
    return int(any(each.faults for each in tried))


def _try(engine: Engine, day: Path, orders: int) -> Tried:
    began = time.monotonic()

    def say(what: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:5.0f} s] {engine.name}: {what}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder)) as uri:
        say("the contract tests")
        contracts = try_contracts(uri, Path(folder))
        say(f"{contracts.passed} of {contracts.total} passed; a day")
        seen = replay_day(uri, Path(folder), day)
        say(f"{seen.orders} orders; the stored form of {orders:,} orders")
        forms = change_forms(uri, Path(folder), orders)
    tried = Tried(engine, contracts, seen, forms)
    for fault in tried.faults:
        say(f"FAULT {fault}")
    return tried


def _report(tried: Sequence[Tried], day: str) -> str:
    lines = [
        "# Databases",
        "",
        (
            f"`make databases`, {datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, "
            f"PyMongo {version('pymongo')}."
        ),
        f"On each engine: all tests in `tests/contract/mongo`, the real day {day} through the",
        f"HTTP API while its worker was killed {KILLS} times, and the upgrade of the stored form.",
        "MongoDB itself was not at hand: see [verification.md](verification.md).",
        "",
        "| Engine | Version | Contract tests passed | Failed | Excused | The day, to the penny |",
        "|---|---|---|---|---|---|",
        *map(row, tried),
        "",
        *_day_lines(tried),
        "",
        *_excused_lines(tried),
        *_form_lines(tried),
        *_fault_lines(tried),
    ]
    if why := why_no_java():
        lines += ["", f"mongo-java-server was not tried: {why}."]
    return "\n".join(lines) + "\n"


def row(tried: Tried) -> str:
    """Return an engine's row of the table, which `docs/operate.md` shows, too."""
    contracts, day = tried.contracts, tried.day
    money = f"net {day.net}" if not day.faults else "no"
    return (
        f"| {tried.engine.name} | {tried.engine.version} | {contracts.passed} | "
        f"{len(contracts.failed)} | {contracts.excused.total()} | {money} |"
    )


def _day_lines(tried: Sequence[Tried]) -> list[str]:
    return [
        "## The day",
        "",
        "The orders and the payment service's ledger agree on the amount. The feed has no gap, and",
        "has every event of every order once and in order, although the worker was killed.",
        "",
        "| Engine | Orders | Events | Seconds |",
        "|---|---|---|---|",
        *(
            f"| {each.engine.name} | {day.orders} | {day.events} | {day.seconds:.0f} |"
            for each in tried
            for day in [each.day]
        ),
    ]


def _excused_lines(tried: Sequence[Tried]) -> list[str]:
    rows = [
        f"| {each.engine.name} | {reason} | {count} |"
        for each in tried
        for reason, count in each.contracts.excused.most_common()
    ]
    if not rows:
        return []
    return ["## Excused", "", "| Engine | Its limit | Tests |", "|---|---|---|", *rows, ""]


def _form_lines(tried: Sequence[Tried]) -> list[str]:
    return [
        "## The stored form",
        "",
        "`orders migrate` from form 1 to form 2 and back; afterwards all orders were as before.",
        "Seconds and peak memory are those of its process, with its start.",
        "",
        "| Engine | Orders | Forward | Back |",
        "|---|---|---|---|",
        *(
            f"| {each.engine.name} | {each.forms.orders:,} | "
            + " | ".join(
                f"{change.seconds:.1f} s, {change.megabytes:.0f} MB"
                for change in (each.forms.forward, each.forms.back)
            )
            + " |"
            for each in tried
        ),
    ]


def _fault_lines(tried: Sequence[Tried]) -> list[str]:
    faults = [f"- {each.engine.name}: {fault}" for each in tried for fault in each.faults]
    return ["", "## Faults", "", *faults] if faults else []


if __name__ == "__main__":
    sys.exit(main())
