"""Generate a client with each generator, compile it, run the journey, and write the report."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.clients.generated.exercise import Exercised, StepFailed, exercise
from tests.clients.generated.generators import GENERATORS, Generator
from tests.support.processes.cluster import UNHURRIED, Shape, cluster
from tests.support.processes.service import Running

REPORT: Final = Path(__file__).parents[3] / "docs" / "reports" / "clients.md"
_HEAD: Final = """# Generated clients

`make clients` starts the service with its payment sandbox, token issuer and database, and reads its
published documents. With each generator it makes a client, compiles it with all checks of its
language, and runs the main journey twice: against the service, and through a proxy that adds a
member to every object of every answer. The journey places an order for 6 000 000 000 minor units,
repeats it with the same `Idempotency-Key`, captures 4 500 000 000, is refused by a typed problem,
captures without an amount, pages through a list, edits with `If-Match`, and is refused for a stale
one. The script compares what each journey printed, and what the payment service moved, to the unit.

Each step's time is in seconds, on two cores that other work shared. "Compile" includes the checks
of types; progenitor generates while it compiles. [How to use them](../clients.md).

| Generator | Version | Document | Generate, s | Compile, s | Journey, s | Result |
| --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> int:
    """Return 1 if a generator was skipped, or anything failed."""
    arguments = argparse.ArgumentParser(prog="python -m tests.clients.generated")
    arguments.add_argument("--only", nargs="*", default=[each.folder for each in GENERATORS])
    chosen = arguments.parse_args()
    generators = [each for each in GENERATORS if each.folder in chosen.only]
    with (
        tempfile.TemporaryDirectory(prefix="orders-clients-") as folder,
        cluster(Path(folder), Shape(apis=1, environ=UNHURRIED)) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as client,
    ):
        running = Running(started.apis[0], Path(folder), started.addresses(), client)
        rows = [_row(number, each, running) for number, each in enumerate(generators, 1)]
    if None in rows:
        return 1
    if len(rows) == len(GENERATORS):
        REPORT.write_text(_HEAD + "".join(f"{row}\n" for row in rows))
    return 0


def _row(number: int, generator: Generator, running: Running) -> str | None:
    """The generator's row in the report; None if it did not pass."""
    _tell(f"{number}. {generator.name}")
    try:
        exercised = exercise(generator, running)
    except StepFailed as failed:
        _tell(f"   failed: {failed}")
    except pytest.skip.Exception as skipped:
        _tell(f"   skipped: {skipped}")
    else:
        _tell(f"   passed: {exercised}")
        return _cells(generator, exercised)
    return None


def _cells(generator: Generator, exercised: Exercised) -> str:
    seconds = exercised.seconds
    cells = (
        generator.name,
        exercised.version,
        f"`{generator.document}`",
        *(f"{seconds[each]:.1f}" for each in ("generate", "compile", "journey")),
        "passed",
    )
    return f"| {' | '.join(cells)} |"


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
