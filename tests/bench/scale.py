"""Whether an order costs the same however many there are, and a request however many processes.

`python -m tests.bench.scale 1000 1000000` measures the first alone. The orders stay in a database
that was given by `ORDERS_MONGO_URI`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pymongo
import uvloop

from orders.adapters.mongo.documents import CODEC, Document, sort_key
from orders.domain.identifiers import OrderId
from tests.bench.days import Sale, sales_of
from tests.bench.jobs import JOBS, Job
from tests.bench.load import LoadFailed
from tests.bench.results.report import scale_table
from tests.bench.rigs.children import others_kept_off
from tests.bench.rigs.contenders import SERVICE, Contender, Place, scene
from tests.bench.rigs.databases import Database
from tests.bench.rigs.shop import Shop
from tests.bench.rounds import Course

TURNS: Final = 5
ORDERS_OF_A_CUSTOMER: Final = 10
_BATCH: Final = 500
_OVER_PROCESSES: Final = ("place", "read one")

Turns = dict[str, dict[str, list[dict[str, Any] | None]]]


def over_orders(
    place: Place,
    database: Database,
    sales: list[Sale],
    sizes: list[int],
    apart: Collection[int],
) -> dict[str, Any]:
    """Turns at every job of services that have so many orders stored, by turns on one core."""
    names = {f"{SERVICE}-{size}": size for size in sorted(sizes)}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(place.contender(name, database.uri, cores=apart))
            for name in names
        }
        course = _course(place, database, sales, running)
        uvloop.run(course.warm_up())
        for name, size in names.items():
            _fill(database.uri, f"bench_{name}", size)
            sys.stderr.write(f"{size} stored orders\n")
        turns = _turns(course, JOBS)
    return {
        str(size): {job: by_name[name] for job, by_name in turns.items()}
        for name, size in names.items()
    }


def over_processes(
    place: Place, database: Database, sales: list[Sale], processes: tuple[int, ...] = (1, 2, 4)
) -> dict[str, Any]:
    """Turns of services of so many processes, on all cores."""
    names = {f"{SERVICE}-of-{each}": str(each) for each in processes}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(place.contender(name, database.uri, ORDERS_WORKERS=number))
            for name, number in names.items()
        }
        course = _course(place, database, sales, running)
        uvloop.run(course.warm_up())
        turns = _turns(course, [job for job in JOBS if job.name in _OVER_PROCESSES])
    sys.stderr.write("processes\n")
    return {
        number: {job: by_name[name] for job, by_name in turns.items()}
        for name, number in names.items()
    }


def _course(
    place: Place, database: Database, sales: list[Sale], running: Mapping[str, Contender]
) -> Course:
    shops = {name: Shop(name, sales, place.token) for name in running}
    return Course(
        running, shops, database, {name: place.environ(name, database.uri) for name in running}
    )


def _turns(course: Course, jobs: tuple[Job, ...] | list[Job]) -> Turns:
    found: Turns = {job.name: {name: [] for name in course.order(1)} for job in jobs}
    failed = set()
    for number in range(TURNS):
        for job in jobs:
            for name in course.order(number):
                if (job, name) in failed:
                    continue
                try:
                    turn = asdict(uvloop.run(course.full_speed(job, name)))
                except LoadFailed:
                    # A database that reads all there is to find twenty does not answer in time.
                    failed.add((job, name))
                    turn = None
                found[job.name][name].append(turn)
    return found


def _fill(uri: str, name: str, size: int) -> None:
    with pymongo.MongoClient[Document](uri) as client:
        orders = client.get_database(name, codec_options=CODEC)["orders"]
        missing = size - orders.estimated_document_count()
        waiting = {"outbox": 0, "outbox_claim": 0, "work_claim": 0}
        copies = _copies(list(orders.find({}, waiting).limit(300)))
        while missing > 0:
            batch = list(islice(copies, min(_BATCH, missing)))
            orders.insert_many(batch, ordered=False)
            missing -= len(batch)


def _copies(originals: list[Document]) -> Iterator[Document]:
    """Orders of other customers, of the same sizes and older, with which nothing is left to do."""
    for number in count():
        original = originals[number % len(originals)]
        order_id = OrderId(uuid4())
        created_at = original["created_at"] - timedelta(seconds=number)
        customer = f"copied-{number // ORDERS_OF_A_CUSTOMER}"
        yield original | {
            "_id": order_id,
            "number": order_id.hex[:13].upper(),
            "customer_id": customer,
            "owner": customer,
            "created_at": created_at,
            "sort_key": sort_key(created_at, order_id),
            "status": "completed",
            "due_at": None,
            "has_outstanding": False,
        }


def main() -> None:
    """Print the table for the sizes that are given, with the orders of `examples/day.csv`."""
    sizes = [int(each) for each in sys.argv[1:]]
    sales = sales_of(Path("examples/day.csv"))
    with (
        tempfile.TemporaryDirectory(prefix="orders-scale-") as folder,
        others_kept_off() as apart,
        scene(Path(folder) / "scale") as (place, database),
    ):
        sys.stdout.write(scale_table(over_orders(place, database, sales, sizes, apart)) + "\n")


if __name__ == "__main__":
    main()
