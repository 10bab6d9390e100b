"""Kill everything, everywhere, and tell whether a promise was broken.

`python -m tests.chaos --points C6,C7 --runs 3 --storm 0 --outage 0` tries two points.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orders.entrypoints.sandbox.database import database_command
from tests.chaos.client_journeys import Case
from tests.chaos.crash_points import NAMES
from tests.chaos.deployment import Deployment, Plan
from tests.chaos.planted.sitecustomize import FAULTS
from tests.chaos.report import Findings, report
from tests.chaos.storm import outage, storm
from tests.chaos.trial import Trial, run_points
from tests.support.processes.brokers import RABBITMQ_MISSING, rabbitmq_is_installed

_PLANTED = Path(__file__).parent / "planted"
_OUTAGE_ORDERS = 40


def main() -> int:
    """Returns 1 if a promise was broken."""
    chosen = _arguments()
    if not rabbitmq_is_installed():
        raise SystemExit(RABBITMQ_MISSING)
    # Both tell of a broker that is away, which it is all the time.
    for name in ("aiormq", "aio_pika"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="orders-chaos-"))
    findings = asyncio.run(_run(chosen, folder))
    text = report(findings)
    if chosen.report is not None:
        chosen.report.write_text(text)
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    broken = bool(findings.trial.found)
    if broken or chosen.keep:
        Console().print(f"what the processes left is in {folder}")
    else:
        shutil.rmtree(folder)
    return int(broken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="of each crash point")
    parser.add_argument("--at-once", type=int, default=5, help="runs of each before a quiet time")
    parser.add_argument("--lanes", type=int, default=10, help="runs side by side")
    parser.add_argument("--points", default=",".join(NAMES), help="some of C0,C1,…,C17")
    parser.add_argument("--storm", type=int, default=500, help="orders in the storm")
    parser.add_argument("--outage", type=float, default=150, help="seconds without payments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, help="break the service on purpose")
    parser.add_argument("--secantusd", type=Path, help="the Rust server instead of the Python one")
    parser.add_argument("--report", type=Path, help="where the report goes, as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    return parser.parse_args()


async def _run(chosen: argparse.Namespace, folder: Path) -> Findings:
    began = time.monotonic()
    deployment = Deployment(folder, _plan(chosen))
    with _progress() as bars:
        starting = bars.add_task("starting", total=1, kills=0, violations=0)
        async with Trial(deployment, seed=chosen.seed) as trial:
            bars.advance(starting)
            findings = Findings(trial, f"make chaos ARGS={_given()!r}", _database(chosen))
            await _points(findings, chosen, bars)
            if chosen.storm and not (chosen.fault and trial.found):
                await _storm(findings, chosen.storm, bars)
            if chosen.outage:
                findings.outage_seconds = chosen.outage
                findings.outage = await outage(trial, _OUTAGE_ORDERS, seconds=chosen.outage)
            await trial.judge_all()
    findings.seconds = time.monotonic() - began
    return findings


async def _points(findings: Findings, chosen: argparse.Namespace, bars: Progress) -> None:
    names, trial = chosen.points.split(","), findings.trial
    bar = bars.add_task("crash points", total=chosen.runs * len(names), kills=0, violations=0)

    def tell(case: Case) -> None:
        kills = sum(trial.deployment.kills.values())
        bars.update(bar, advance=not case.missed, kills=kills, violations=len(trial.found))

    for first in range(0, chosen.runs, chosen.at_once):
        numbers = range(first, min(first + chosen.at_once, chosen.runs))
        findings.points += await run_points(trial, names, numbers, lanes=chosen.lanes, tell=tell)
        if chosen.fault and trial.found:
            return


async def _storm(findings: Findings, orders: int, bars: Progress) -> None:
    trial, began = findings.trial, time.monotonic()
    before = trial.deployment.kills
    bar = bars.add_task("storm", total=orders, kills=0, violations=0)

    def tell(case: Case) -> None:
        findings.storm_seconds = time.monotonic() - began
        findings.storm_kills = trial.deployment.kills - before
        kills = sum(findings.storm_kills.values())
        bars.update(bar, advance=1, kills=kills, violations=len(trial.found))

    findings.storm = await storm(trial, orders, tell=tell)
    findings.storm_faults = sum(wire.faults for wire in trial.deployment.wires)


def _plan(chosen: argparse.Namespace) -> Plan:
    planted = {"PYTHONPATH": str(_PLANTED), "CHAOS_FAULT": chosen.fault} if chosen.fault else {}
    serve = database_command if chosen.secantusd is None else partial(_rust, chosen.secantusd)
    return Plan(mongo_uri=os.environ.get("ORDERS_MONGO_URI"), database=serve, environ=planted)


def _rust(binary: Path, storage_path: Path, port: int) -> Sequence[str]:
    storage_path.mkdir(parents=True, exist_ok=True)
    # fmt: off
    return [
        str(binary), "--host", "127.0.0.1", "--port", str(port), "--storage-path",
        str(storage_path), "--sync-on-commit", "--log-level", "WARNING", "--cache-size", "512M",
    ]
    # fmt: on


def _database(chosen: argparse.Namespace) -> str:
    if os.environ.get("ORDERS_MONGO_URI"):
        return "the one of ORDERS_MONGO_URI, not killed"
    if chosen.secantusd is None:
        return f"SecantusDB {version('secantusdb')}, the embedded one, --sync-on-commit"
    told = subprocess.run(
        [chosen.secantusd, "--version"], capture_output=True, text=True, check=True
    )
    return f"{told.stdout.splitlines()[0]} (Rust), --sync-on-commit"


def _given() -> str:
    """The arguments as given, without this machine's paths."""
    kept = [each for each in sys.argv[1:] if not each.startswith("/")]
    return shlex.join(kept)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[kills]} kills, {task.fields[violations]} violations"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    raise SystemExit(main())
