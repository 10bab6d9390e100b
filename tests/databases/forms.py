"""The upgrade of the stored form, with many orders: forward and back, with what it costs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from bson import ObjectId
from pymongo import MongoClient

from orders.adapters.contracts.samples import a_new_order
from orders.adapters.mongo.documents import CODEC, ORDERS, Document
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.storing import restore
from tests.support.database.old_build import old_document
from tests.support.orders import an_order_that_is
from tests.support.processes.cluster import Cluster, Shape

_BATCH: Final = 500
_PAUSE_SECONDS: Final = 0.05


class Change(NamedTuple):
    """One run of `orders migrate`."""

    seconds: float
    megabytes: float
    """The most memory that the process of the migration had."""


class Forms(NamedTuple):
    """What it cost, and whether anything differs afterwards."""

    orders: int
    forward: Change
    back: Change
    differing: int


def change_forms(uri: str, folder: Path, count: int) -> Forms:
    """Store orders in form 1, change all to form 2 and back to form 1, and compare."""
    name = f"test_{uuid4().hex}"
    environ = Cluster(folder / "forms", Shape(mongo_uri=uri)).environ | {"ORDERS_DATABASE": name}
    with MongoClient[Any](uri) as client, ExitStack() as stack:
        stack.callback(client.drop_database, name)
        orders = client.get_database(name, codec_options=CODEC)[ORDERS]
        _migrate(environ, "1")
        documents = [*_documents(count)]
        for first in range(0, count, _BATCH):
            orders.insert_many([dict(each) for each in documents[first : first + _BATCH]])
        before = {each["_id"]: each for each in orders.find()}
        forward = _migrate(environ, "both")
        left = orders.count_documents({"schema": 1})
        back = _migrate(environ, "1")
        after = {each["_id"]: each for each in orders.find()}
    differing = sum(after.get(each) != document for each, document in before.items())
    return Forms(len(before), forward, back, differing + left)


def _documents(count: int) -> Iterator[Document]:
    """Orders in every status, and with payment operations, which are changed one by one."""
    paying = a_new_order()
    paying.start_payment("tok_ok", by=paying.new_events[0].actor, now=paying.state.created_at)
    kinds = [*(an_order_that_is(each) for each in OrderStatus), a_new_order(), paying]
    templates = [old_document(restore(replace(each.state, version=0))) for each in kinds]
    for number in range(count):
        order_id = uuid4()
        template = templates[number % len(templates)]
        yield template | {
            "_id": order_id,
            "number": f"N-{number}",
            "listed": template["listed"][:13] + order_id.hex,
            "write": ObjectId(),
        }


def _migrate(environ: dict[str, str], form: str) -> Change:
    began, most = time.monotonic(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "orders", "migrate"],
        env=environ | {"ORDERS_STORED_FORM": form},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        # Not what `wait4` returns: that counts the memory of the parent, which holds all orders.
        most = max(most, _peak_megabytes(process.pid))
        time.sleep(_PAUSE_SECONDS)
    if process.returncode:
        raise RuntimeError(f"orders migrate to form {form} ended with {process.returncode}")
    return Change(time.monotonic() - began, most)


def _peak_megabytes(pid: int) -> float:
    """The most memory that a running process has had; 0 if it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0
