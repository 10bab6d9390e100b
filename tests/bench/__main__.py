"""Measure the service against the floor, and say how it compares.

`make bench` runs all of it; `make bench-compare A=one.json B=other.json` compares two runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pymongo
import uvloop

from tests.bench.days import Sale, sales_of
from tests.bench.growth import growth_of
from tests.bench.half_load import half_loads, of_middle_size
from tests.bench.jobs import JOBS
from tests.bench.load import connected
from tests.bench.results.accounting import cpu_seconds, held_up, machine, resident_bytes
from tests.bench.results.comparing import compared
from tests.bench.results.report import summary, versions, written
from tests.bench.rigs.children import others_kept_off
from tests.bench.rigs.contenders import CONTENDERS, Place, scene
from tests.bench.rigs.databases import Database
from tests.bench.rigs.shop import Shop
from tests.bench.rigs.wire import CountingProxy
from tests.bench.rounds import Course
from tests.bench.scale import over_orders, over_processes

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
        "orders": f"{len(sales)}, median {middle.lines} lines, at most {largest.lines}"
    }
    result["growth"] = {f"{each.lines} lines": growth_of(each) for each in (middle, largest)}
    with others_kept_off() as apart:
        result["machine"]["cores of the measured process"] = f"{len(apart)}, used by nothing else"
        with scene(folder / "compared") as (place, database):
            result["database"] = database.kind
            result |= _compared(place, database, sales, options.rounds, apart)
        if options.scale:
            with scene(folder / "orders") as (place, database):
                result["scale"] = over_orders(place, database, sales, options.scale, apart)
    if options.scale:
        with scene(folder / "processes") as (place, database):
            result["processes"] = over_processes(place, database, sales)
    result["machine"]["CPU taken by other work, after"] = held_up()
    return result


def _compared(
    place: Place, database: Database, sales: list[Sale], rounds: int, apart: Collection[int]
) -> dict[str, Any]:
    """The service beside the floor, by turns on the same core."""
    result: dict[str, Any] = {}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(place.contender(name, database.uri, cores=apart))
            for name in CONTENDERS
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
        shops = {name: Shop(name, sales, place.token) for name in CONTENDERS}
        course = Course(running, shops, database, environs)
        result["rounds"] = uvloop.run(_rounds(course, rounds))
        result["wire"] = _on_the_wire(place, database, shops)
        result["half load"] = {}
        for label, some, turns in (
            ("orders of median size", of_middle_size(sales), 5),
            ("all orders", sales, 3),
        ):
            _empty(database.uri, environs)
            shops = {name: Shop(name, some, place.token) for name in CONTENDERS}
            course = Course(running, shops, database, environs)
            uvloop.run(course.warm_up())
            result["half load"][label] = half_loads(course, turns=turns)
        result["resident_bytes after"] = {
            name: resident_bytes(each.family()) for name, each in running.items()
        }
    return result


def _empty(uri: str, environs: dict[str, dict[str, str]]) -> None:
    with pymongo.MongoClient[Any](uri) as client:
        for environ in environs.values():
            client[environ["ORDERS_DATABASE"]]["orders"].delete_many({})


async def _rounds(course: Course, rounds: int) -> list[Any]:
    await course.warm_up()
    done = []
    for number in range(rounds):
        done.append(await course.round(number))
        _tell(f"round {number + 1} of {rounds}")
    return done


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
