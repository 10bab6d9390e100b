"""A real day on a database: its money to the penny, its events without a gap, workers killed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from pymongo import MongoClient

from orders.adapters.mongo.documents import CODEC, ORDER_EVENTS, ORDERS
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.support.processes.cluster import UNHURRIED, Shape, cluster

KILLS: Final = 3
"""How often the worker is killed while the day is replayed."""
_DRAIN_SECONDS: Final = 300


class Day(NamedTuple):
    """What was seen."""

    orders: int
    net: str
    """What the orders and the payment service agree on, in pounds."""
    events: int
    seconds: float
    faults: tuple[str, ...]


def replay_day(uri: str, folder: Path, file: Path) -> Day:
    """Replay the file through the API, over this database, and kill the worker meanwhile."""
    environ = {**UNHURRIED, "ORDERS_DATABASE": f"test_{uuid4().hex}"}
    shape = Shape(apis=1, workers=1, mongo_uri=uri, environ=environ)
    began = time.monotonic()
    with ExitStack() as stack:
        client = stack.enter_context(MongoClient[Any](uri))
        database = client.get_database(environ["ORDERS_DATABASE"], codec_options=CODEC)
        stack.callback(client.drop_database, database.name)
        running = stack.enter_context(cluster(folder / "cluster", shape))
        command = [sys.executable, "-m", "orders", "replay", str(file), "--url", running.apis[0]]
        token = sandbox_token(running.data, subject="import", roles=["admin"])
        with subprocess.Popen(
            [*command, "--token", token, "--ledger", running.payments_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as replaying:
            for _ in range(KILLS):
                _wait_for_more_events(database, replaying)
                running.restart("worker-0")
            printed, _ = replaying.communicate()
        _wait(lambda: _is_drained(database), "events are left in the outbox")
        faults = [*_feed_faults(database)]
        if replaying.returncode:
            faults.append(printed.strip().splitlines()[-1])
        return Day(
            orders=database[ORDERS].count_documents({}),
            net=_net(printed),
            events=database[ORDER_EVENTS].count_documents({}),
            seconds=time.monotonic() - began,
            faults=tuple(faults),
        )


def _wait_for_more_events(database: Any, replaying: subprocess.Popen[str]) -> None:
    logged = database[ORDER_EVENTS].count_documents({})
    _wait(
        lambda: database[ORDER_EVENTS].count_documents({}) > logged or replaying.poll() is not None,
        "no event is logged",
    )


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)  # another process's work gives no event to wait for


def _is_drained(database: Any) -> bool:
    waiting: int = database[ORDERS].count_documents({"outbox_claim": {"$exists": True}})
    return not waiting


def _feed_faults(database: Any) -> list[str]:
    """Gaps in the feed, or in the events of an order."""
    events = [*database[ORDER_EVENTS].find({}, {"position": 1, "order_id": 1, "sequence": 1})]
    events.sort(key=lambda each: each["position"])
    seen: dict[object, list[int]] = {}
    for each in events:
        seen.setdefault(each["order_id"], []).append(each["sequence"])
    faults = []
    if [each["position"] for each in events] != [*range(1, len(events) + 1)]:
        faults.append("the feed has gaps")
    last: Mapping[object, int] = {
        each["_id"]: each["sequence"] for each in database[ORDERS].find({}, {"sequence": 1})
    }
    wrong = [each for each, count in last.items() if seen.get(each) != [*range(1, count + 1)]]
    if wrong:
        faults.append(f"{len(wrong)} orders lack events in the feed, or have them out of order")
    return faults


def _net(printed: str) -> str:
    found = re.search(r"^ *net +(\S+) +(\S+) +(\S+) *$", printed, re.MULTILINE)
    return found[1] if found and found[3] == "0.00" else "differs"
