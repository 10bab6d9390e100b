"""Try every database that this machine has, and write docs/reports/databases.md.

On each: all contract tests, a real day with a worker that is killed, and the upgrade of the stored
form. `ORDERS_TEST_MONGO_URI` adds one of your own. `make databases ARGS="--engine stand-alone"`
tries some only, and keeps what the report says of the others.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.databases.contracts import ROOT, Outcome, try_contracts
from tests.databases.day import replay_day
from tests.databases.engines import Engine, engines, why_no_java
from tests.databases.forms import change_forms
from tests.databases.report import Tried, add, known

_DAY: Final = ROOT.parent / "shared" / "data" / "online-retail" / "2010-12-01.csv"
_EXAMPLE: Final = ROOT / "examples" / "day.csv"
_PARTS: Final = ("contracts", "day", "forms")


def main() -> int:
    """Returns 1 if anything failed that no limit of the engine excuses."""
    parser = argparse.ArgumentParser(prog="python -m tests.databases", description=__doc__)
    parser.add_argument("--engine", default="", help="a part of the names of those to try")
    parser.add_argument("--data", type=Path, default=_DAY if _DAY.exists() else _EXAMPLE)
    parser.add_argument("--orders", type=int, default=10_000, help="whose form is changed")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    given = parser.parse_args()
    if why := why_no_java():
        sys.stdout.write(f"without mongo-java-server: {why}\n")
    faults = []
    for engine in engines():
        if given.engine in engine.name:
            faults += _try(engine, given).faults
    return int(bool(faults))


def _try(engine: Engine, given: argparse.Namespace) -> Tried:
    began = time.monotonic()
    tried = next((each for each in known() if each.engine == engine.name), _nothing(engine))
    tried = tried._replace(version=engine.version, tried_with=_with())

    def say(what: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:5.0f} s] {engine.name}: {what}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder)) as uri:
        if "contracts" in given.parts:
            say("the contract tests")
            seen = try_contracts(uri, Path(folder), engine.only)
            add(tried := tried._replace(contracts=seen))
            say(f"{seen.passed} of {seen.total} contract tests passed")
        if "day" in given.parts and not engine.only:
            day = replay_day(uri, Path(folder), given.data)
            add(tried := tried._replace(day=day, file=given.data.stem))
            say(f"{day.orders} orders of {given.data.name}, net {day.net}")
        if "forms" in given.parts and not engine.only:
            forms = change_forms(uri, Path(folder), given.orders)
            add(tried := tried._replace(forms=forms))
            say(f"the form of {given.orders:,} orders changed, and back")
    for fault in tried.faults:
        say(f"FAULT {fault}")
    return tried


def _nothing(engine: Engine) -> Tried:
    return Tried(engine.name, engine.version, "", Outcome(0, (), {}), "", None, None)


def _with() -> str:
    python = sys.version.split()[0]
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {python}, PyMongo {version('pymongo')}"


if __name__ == "__main__":
    sys.exit(main())
