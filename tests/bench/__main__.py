"""Measure the service against the floor, and say how it compares.

`make bench` runs all of it; `make bench-compare A=one.json B=other.json` compares two runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from tests.bench.accounting import cpu_seconds, machine, resident_bytes
from tests.bench.comparing import compared
from tests.bench.contenders import CONTENDERS, SERVICE, Place
from tests.bench.databases import Database, running_database
from tests.bench.days import sales_of
from tests.bench.growth import growth_of
from tests.bench.jobs import JOBS
from tests.bench.load import connected
from tests.bench.report import summary, versions, written
from tests.bench.rounds import Course
from tests.bench.scale import scaled
from tests.bench.shop import Shop
from tests.bench.wire import CountingProxy

SUSTAINED_SECONDS: Final = 3
"""For how long a contender goes as fast as it can before half of that is asked of it."""
HALF_LOAD_TURNS: Final = 3
"""Of each contender and job: a 99th percentile is what the machine did once."""
WARM: Final = 20
"""Requests of each job that are sent through the counting proxy."""


def main() -> int:
    """Run, or compare two runs."""
    options = _options()
    if options.compare:
        first, second = (json.loads(path.read_text()) for path in options.compare)
        sys.stdout.write(compared(first, second))
        return 0
    data = next((path for path in options.data if path.exists()), None)
    if data is None:
        raise SystemExit(f"no such file or folder: {options.data[0]}")
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as folder:
        result = _run(Path(folder), data, options)
    written(result, options.out)
    sys.stdout.write(summary(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=[Path("examples/day.csv")])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=int, nargs="*", default=[], help="stored orders")
    parser.add_argument("--out", type=Path, default=Path(".bench/last"), help="without its ending")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A", "B"))
    return parser.parse_args()


def _run(folder: Path, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    sales = sales_of(data)
    by_size = sorted(sales, key=lambda sale: sale.lines)
    result: dict[str, Any] = {"machine": machine(), "versions": versions()}
    middle, largest = by_size[len(sales) // 2], by_size[-1]
    result["load"] = {
        "orders": f"{len(sales)}, of {middle.lines} lines in the middle, {largest.lines} at most"
    }
    result["growth"] = {f"{each.lines} lines": growth_of(each) for each in (middle, largest)}
    with ExitStack() as stack:
        given = os.environ.get("ORDERS_MONGO_URI")
        database = stack.enter_context(running_database(folder / "database", given))
        result["database"] = database.kind
        place = Place(folder / "data", database.uri)
        stack.enter_context(place.payments_and_issuer())
        shops = {name: Shop(name, sales, place.token) for name in CONTENDERS}
        running = {
            name: stack.enter_context(place.contender(name, database.uri)) for name in CONTENDERS
        }
        result["start"] = {
            name: {
                "seconds": each.seconds_to_ready,
                "cpu_seconds": cpu_seconds(each.family()),
                "resident_bytes": resident_bytes(each.family()),
                "processes": len(each.family()),
            }
            for name, each in running.items()
        }
        environs = {name: place.environ(name, database.uri) for name in CONTENDERS}
        course = Course(running, shops, database, environs)
        result["rounds"], result["half load"] = uvloop.run(_measured(course, options.rounds))
        result["resident_bytes after"] = {
            name: resident_bytes(each.family()) for name, each in running.items()
        }
        result["wire"] = _on_the_wire(place, database, shops)
        result["scale"] = scaled(course, database, environs[SERVICE], options.scale)
    result["machine"]["load average after"] = machine()["load average before"]
    return result


async def _measured(course: Course, rounds: int) -> tuple[list[Any], dict[str, Any]]:
    await course.warm_up()
    done = []
    for number in range(rounds):
        done.append(await course.round(number))
        _tell(f"round {number + 1} of {rounds}")
    half: dict[str, Any] = {job.name: {name: [] for name in CONTENDERS} for job in JOBS}
    for number in range(HALF_LOAD_TURNS):
        for job in JOBS:
            for name in CONTENDERS:
                rates = sorted(each[job.name][name]["per_second"] for each in done)
                # A burst says how much is done at once, not for how long.
                share = max(1.0, SUSTAINED_SECONDS * rates[len(rates) // 2] / job.count)
                rate = (await course.full_speed(job, name, share=share)).per_second / 2
                measured = await course.at_half_load(job, name, rate)
                half[job.name][name].append(
                    {
                        "per_second": rate,
                        **{f"p{each}": measured.percentile(each) * 1e6 for each in (50, 95, 99)},
                        "requests": len(measured.latencies),
                    }
                )
        _tell(f"half load, turn {number + 1} of {HALF_LOAD_TURNS}")
    return done, half


def _on_the_wire(place: Place, database: Database, shops: dict[str, Shop]) -> dict[str, Any]:
    """Round trips and bytes of each job, one request after the other."""

    async def counted(port: int, shop: Shop, proxy: CountingProxy) -> dict[str, Any]:
        trips: dict[str, Any] = {}
        async with connected(port, 1) as connections:
            for job in JOBS:
                await job.done(shop, connections, 1)
                proxy.take()
                await job.done(shop, connections, WARM)
                seen = proxy.take()
                trips[job.name] = {
                    "commands": {name: n / WARM for name, n in seen.commands.items()},
                    "bytes_out": seen.bytes_out / WARM,
                    "bytes_in": seen.bytes_in / WARM,
                }
        return trips

    found = {}
    for name in CONTENDERS:
        with CountingProxy(database.uri) as proxy, place.contender(name, proxy.uri) as contender:
            found[name] = uvloop.run(counted(contender.port, shops[name], proxy))
    return found


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    raise SystemExit(main())
