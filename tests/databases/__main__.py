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

from tests.databases.contracts import ROOT, try_contracts
from tests.databases.day import replay_day
from tests.databases.engines import Engine, engines, why_no_java
from tests.databases.forms import change_forms
from tests.databases.report import Tried, add

_DAY: Final = ROOT.parent / "shared" / "data" / "online-retail" / "2010-12-01.csv"
_EXAMPLE: Final = ROOT / "examples" / "day.csv"


def main() -> int:
    """Returns 1 if anything failed that no limit of the engine excuses."""
    parser = argparse.ArgumentParser(prog="python -m tests.databases", description=__doc__)
    parser.add_argument("--engine", default="", help="a part of the names of those to try")
    parser.add_argument("--data", type=Path, default=_DAY if _DAY.exists() else _EXAMPLE)
    parser.add_argument("--orders", type=int, default=10_000, help="whose form is changed")
    given = parser.parse_args()
    if why := why_no_java():
        sys.stdout.write(f"without mongo-java-server: {why}\n")
    faults = []
    for engine in engines():
        if given.engine in engine.name:
            tried = _try(engine, given.data, given.orders)
            faults += tried.faults
            add(tried)
    return int(bool(faults))


def _try(engine: Engine, file: Path, orders: int) -> Tried:
    began, day, forms = time.monotonic(), None, None

    def say(what: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - began:5.0f} s] {engine.name}: {what}\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder)) as uri:
        say("the contract tests")
        contracts = try_contracts(uri, Path(folder), engine.only)
        say(f"{contracts.passed} of {contracts.total} contract tests passed")
        if not engine.only:
            day = replay_day(uri, Path(folder), file)
            say(f"{day.orders} orders of {file.name}, net {day.net}")
            forms = change_forms(uri, Path(folder), orders)
            say(f"the form of {forms.orders:,} orders changed, and back")
    tried = Tried(
        engine=engine.name,
        version=engine.version,
        tried_with=(
            f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, "
            f"PyMongo {version('pymongo')}"
        ),
        contracts=contracts,
        file=file.stem,
        day=day,
        forms=forms,
    )
    for fault in tried.faults:
        say(f"FAULT {fault}")
    return tried


if __name__ == "__main__":
    sys.exit(main())
