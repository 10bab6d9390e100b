"""Relay all waiting events in a process of its own, and tell what that cost.

`python -m tests.bench.relaying service|floor` with the contender's settings; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

from orders.adapters.mongo.connection import open_mongo
from orders.entrypoints.container import Container, opened
from orders.entrypoints.settings.table import Settings
from orders.entrypoints.worker import RELAY_BATCH
from tests.bench.rigs import floor
from tests.bench.rigs.contenders import SERVICE

Turn = Callable[[], Awaitable[int]]


@asynccontextmanager
async def _turns(name: str, settings: Settings) -> AsyncIterator[Turn]:
    """One batch at a time, as the worker takes them."""
    if name == SERVICE:
        container = Container(settings=settings)
        async with opened(container):
            relay = container.relay_events()

            async def of_service() -> int:
                return (await relay(limit=RELAY_BATCH)).events

            yield of_service
        return
    async with open_mongo(
        settings.mongo_uri, database=settings.database, timeout_seconds=30
    ) as database:
        yield lambda: floor.relay(database, limit=RELAY_BATCH)


async def _relay_all(name: str, settings: Settings) -> dict[str, float]:
    async with _turns(name, settings) as turn:
        events = await turn()  # connects, and is not counted
        counted, began, cpu = 0, time.perf_counter(), time.process_time()
        while relayed := await turn():
            counted += relayed
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    return {"first": events, "events": counted, "cpu_seconds": cpu, "seconds": seconds}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_relay_all(sys.argv[1], Settings.read()))))
