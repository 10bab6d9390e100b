"""Whether an order costs the same however many there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from itertools import count, islice
from typing import Any, Final
from uuid import uuid4

import pymongo
import uvloop

from orders.adapters.mongo.documents import CODEC, Document, listed_at
from orders.domain.identifiers import OrderId
from tests.bench.contenders import SERVICE
from tests.bench.databases import Database
from tests.bench.jobs import JOBS
from tests.bench.load import LoadFailed
from tests.bench.rounds import Course

TURNS: Final = 5
ORDERS_OF_A_CUSTOMER: Final = 10
_BATCH: Final = 500


def scaled(
    course: Course, database: Database, environ: dict[str, str], sizes: list[int]
) -> dict[str, Any]:
    """The service's turns at every job, with so many orders stored."""
    found = {}
    for size in sorted(sizes):
        with pymongo.MongoClient[Document](database.uri) as client:
            orders = client.get_database(environ["ORDERS_DATABASE"], codec_options=CODEC)["orders"]
            missing = size - orders.estimated_document_count()
            copies = _copies(list(orders.find({}, {"outbox": 0, "relay": 0}).limit(300)))
            while missing > 0:
                batch = list(islice(copies, min(_BATCH, missing)))
                orders.insert_many(batch, ordered=False)
                missing -= len(batch)
        found[str(size)] = uvloop.run(_turns(course))
        sys.stderr.write(f"{size} stored orders\n")
    return found


async def _turns(course: Course) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for job in JOBS:
        found[job.name] = []
        # A database that reads all there is to find twenty does not answer in time.
        with suppress(LoadFailed):
            await course.full_speed(job, SERVICE, share=0.3)
            found[job.name] = [asdict(await course.full_speed(job, SERVICE)) for _ in range(TURNS)]
    return found


def _copies(originals: list[Document]) -> Iterator[Document]:
    """Orders of other customers, of the same sizes, some older than any of the originals."""
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
            "listed": listed_at(created_at, order_id),
        }
