"""What placing, reading and paying cost beside an earlier build: CPU of the service, by turns.

`python -m tests.measurements.builds --commit 97a9564` takes the earlier sources from git, serves
both from this environment over one database, and compares them turn by turn: a busy machine holds
up both. It also says how large the document of an order with every part is.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import bson
from rich.console import Console
from rich.progress import track

from orders.adapters.mongo.documents import CODEC, to_document
from tests.bench.days import sales_of
from tests.bench.jobs import JOBS, PLACE, Job
from tests.bench.load import at_full_speed, connected
from tests.bench.rigs.contenders import scene
from tests.bench.rigs.shop import REGULARS, Shop
from tests.bench.rounds import Course
from tests.support.orders import a_placed_order, an_order_with_every_part

NOW: Final = "now"
BEFORE: Final = "before"
PAY: Final = Job("pay", 200, lambda shop: shop.paying(), 201)
READ: Final = next(job for job in JOBS if job.name == "read one")
MEASURED: Final = (PLACE, READ, PAY)
SHARE: Final = 0.4
"""Of a turn of `make bench`: many short turns come closer to the same weather for both."""
ROOT: Final = Path(__file__).parents[2]

Costs = dict[str, dict[str, list[float]]]
"""Microseconds of CPU of one request, by job and build, turn by turn."""


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", required=True, help="of the earlier build")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--data", type=Path, default=ROOT / "examples/day.csv")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orders-builds-") as temporary:
        folder = Path(temporary)
        sources = {NOW: ROOT / "src", BEFORE: _sources(chosen.commit, folder / "before")}
        costs = _measured(sources, folder / "scene", chosen.data, chosen.rounds)
    sys.stdout.write(f"| CPU of a request, µs | {chosen.commit} | now | now / before |\n")
    sys.stdout.write("|---|---:|---:|---:|\n")
    for job, turns in costs.items():
        ratios = [now / then for now, then in zip(turns[NOW], turns[BEFORE], strict=True)]
        then, now = (statistics.median(turns[build]) for build in (BEFORE, NOW))
        ratio = statistics.median(ratios)
        sys.stdout.write(f"| {job} | {then:.0f} | {now:.0f} | {ratio:.3f} |\n")
    for name, order in (("plain", a_placed_order()), ("every part", an_order_with_every_part())):
        size = len(bson.encode(to_document(order, traceparent=None), codec_options=CODEC))
        sys.stdout.write(f"document of an order, {name}: {size:,} bytes\n")


def _sources(commit: str, folder: Path) -> Path:
    packed = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def _measured(sources: Mapping[str, Path], folder: Path, data: Path, rounds: int) -> Costs:
    sales = sales_of(data)
    with scene(folder) as (place, database), ExitStack() as stack:
        contenders = {
            name: stack.enter_context(place.contender(name, database.uri, PYTHONPATH=str(source)))
            for name, source in sources.items()
        }
        shops = {name: Shop(name, sales, place.token) for name in contenders}
        course = Course(contenders, shops, database, environs={})
        return asyncio.run(
            _rounds(
                course,
                contenders={n: c.port for n, c in contenders.items()},
                shops=shops,
                rounds=rounds,
            )
        )


async def _rounds(
    course: Course, *, contenders: Mapping[str, int], shops: Mapping[str, Shop], rounds: int
) -> Costs:
    for name, port in contenders.items():
        async with connected(port, PLACE.callers) as connections:
            seeding = shops[name].seeding()
            await at_full_speed(connections, seeding, 10 * len(REGULARS), status=201)
    costs: Costs = {job.name: {name: [] for name in contenders} for job in MEASURED}
    # The first round warms up: it is not counted.
    for number in track(range(rounds + 1), "rounds", console=Console(stderr=True)):
        for job in MEASURED:
            for name in course.order(number):
                turn = await course.full_speed(job, name, share=SHARE)
                if number:
                    costs[job.name][name].append(turn.cpu)
    return costs


if __name__ == "__main__":
    main()
