"""Redis at a distance: how soon it is used, and what a request pays for it."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.brokers.replicas import LIMITED, Replicas, replicas
from tests.support.distance import at_a_distance
from tests.support.processes.redis_process import redis_process

REQUESTS = 600


def far(folder: Path) -> str:
    """Measure for several round trips."""
    rows = []
    for milliseconds in (0, 3, 10):
        with (
            redis_process(folder / f"redis-{milliseconds}") as redis,
            distance(redis.port, milliseconds / 1_000) as port,
        ):
            uri = f"redis://127.0.0.1:{port}/0"
            with replicas(folder / f"limited-{milliseconds}", uri, LIMITED) as limited:
                limited.running.restart("api-1")
                shared_after, _ = limited.until_shared(time.monotonic())
            with replicas(folder / f"free-{milliseconds}", uri, {}) as free:
                alone, shared = medians(free)
        rows.append(
            f"| {milliseconds} ms | {shared_after:.2f} s | {alone:.2f} ms | {shared:.2f} ms | "
            f"**{shared - alone:+.2f} ms** |"
        )
    return (
        "## Redis far away\n\nA proxy delays each way between the service and Redis by half of the "
        "round trip. *Shared after*: from the moment a restarted replica is ready until a new "
        "caller gets one burst from two replicas together, not one from each. The medians are of "
        f"{REQUESTS} lists of no orders, sent in turn to a replica that counts alone and to one "
        "that counts in Redis.\n\n"
        "| Round trip | Shared after | p50 alone | p50 in Redis | Added |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def medians(pair: Replicas) -> tuple[float, float]:
    """The median of both, in milliseconds."""
    caller = pair.someone()
    took: dict[int, list[float]] = {0: [], 1: []}
    for number in range(2 * REQUESTS + 100):
        status, seconds = pair.take(number % 2, caller, "/v1/orders")
        assert status == 200
        took[number % 2].append(1_000 * seconds)
    alone, shared = (statistics.median(each[50:]) for each in took.values())
    return alone, shared


@contextmanager
def distance(port: int, round_trip_seconds: float) -> Iterator[int]:
    """A port that leads to another, from a thread of its own."""
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    ports: list[int] = []
    is_there = threading.Event()

    async def serve() -> None:
        async with at_a_distance(port, round_trip_seconds=round_trip_seconds) as way:
            ports.append(way.own_port)
            is_there.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        is_there.wait()
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
