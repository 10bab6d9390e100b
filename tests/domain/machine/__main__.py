"""Run the machine of an order for long, and report what it has seen.

`python -m tests.domain.machine --first 17 --runs 50` repeats what seed 17 has found.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.domain.machine.long_run import Found, run_many
from tests.domain.machine.planted import PLANTS, Planted, search
from tests.domain.machine.report import EVENTS, report

ALL_RUNS = 10_000


def main() -> int:
    """Returns 1 if a run broke a rule, an event never happened, or a fault was not found."""
    arguments = argparse.ArgumentParser(prog="python -m tests.domain.machine", description=__doc__)
    arguments.add_argument("--runs", type=int, default=ALL_RUNS)
    arguments.add_argument("--steps", type=int, default=60, help="of each run")
    arguments.add_argument("--first", type=int, default=0, help="the first seed, of 50 runs")
    arguments.add_argument("--report", type=Path, help="where the report goes, as Markdown")
    chosen = arguments.parse_args()
    began = time.monotonic()
    with _progress() as bars:
        found = _run(chosen, bars)
        planted = _plant(bars)
    text = report(chosen.steps, found, planted, seconds=time.monotonic() - began)
    if chosen.report:
        chosen.report.write_text(text)
    stories = [f"seed {number}: {story}" for number, story in found.failures.items()]
    # A few runs need not lead everywhere.
    unseen = [
        f"never seen: {name}" for name in EVENTS if not found.seen[name] and chosen.runs >= ALL_RUNS
    ]
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    console.print("\n".join([text, *stories, *unseen]))
    return int(bool(stories or unseen or not all(fault.runs for fault in planted)))


def _run(chosen: argparse.Namespace, bars: Progress) -> Found:
    found = Found()
    bar = bars.add_task("runs", total=chosen.runs, failed=0)
    for each in run_many(first=chosen.first, runs=chosen.runs, steps=chosen.steps):
        found.add(each)
        bars.update(bar, completed=found.seen["runs"], failed=len(found.failures))
    return found


def _plant(bars: Progress) -> list[Planted]:
    planted: list[Planted] = []
    bar = bars.add_task("faults", total=len(PLANTS), failed=0)
    with ProcessPoolExecutor() as pool:
        for result in pool.map(search, PLANTS):
            planted.append(result)
            bars.update(bar, advance=1, failed=sum(not each.runs for each in planted))
    return planted


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    raise SystemExit(main())
