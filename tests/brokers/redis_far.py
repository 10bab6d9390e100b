"""Redis at a distance: how soon it is used, and what a request pays for it."""

from __future__ import annotations

import socket
import statistics
import time
from pathlib import Path

from tests.brokers.replicas import LIMITED, Replicas, replicas
from tests.brokers.wire import wire
from tests.support.processes.redis_process import redis_process

REQUESTS, WARM = 600, 50


def far(folder: Path) -> str:
    """Measure for several round trips."""
    rows = []
    for milliseconds in (0, 3, 10):
        with (
            redis_process(folder / f"redis-{milliseconds}") as redis,
            wire(redis.port, milliseconds / 1_000) as port,
        ):
            uri = f"redis://127.0.0.1:{port}/0"
            with replicas(folder / f"limited-{milliseconds}", uri, LIMITED) as limited:
                limited.running.restart("api-1")
                shared_after, _ = limited.until_shared(time.monotonic())
            with replicas(folder / f"free-{milliseconds}", uri, {}) as free:
                alone, shared = medians(free)
                ping = pings(port)
        rows.append(
            f"| {milliseconds} ms | {ping:.2f} ms | {shared_after:.2f} s | {alone:.2f} ms | "
            f"{shared:.2f} ms | **{shared - alone:+.2f} ms** |"
        )
    return (
        "## Redis far away\n\nA proxy delays each way between the service and Redis by half of the "
        "round trip. *Shared after*: from the moment a restarted replica is ready until a new "
        "caller gets one burst from two replicas together, not one from each. The medians are of "
        f"{REQUESTS} lists of no orders, sent in turn to a replica that counts alone and to one "
        "that counts in Redis.\n\n"
        "| Round trip | A PING takes | Shared after | p50 alone | p50 in Redis | Added |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def medians(pair: Replicas) -> tuple[float, float]:
    """The median of both, in milliseconds."""
    caller = pair.someone()
    took: dict[int, list[float]] = {0: [], 1: []}
    while min(map(len, took.values())) < REQUESTS + WARM:
        for replica, times in took.items():
            status, seconds = pair.take(replica, caller, "/v1/orders")
            if status == 200:  # on a busy machine the database may not answer in time
                times.append(1_000 * seconds)
    alone, shared = (statistics.median(each[WARM:]) for each in took.values())
    return alone, shared


def pings(port: int) -> float:
    """The median round trip to Redis, in milliseconds."""
    took = []
    with socket.create_connection(("127.0.0.1", port)) as way:
        for _ in range(100):
            began = time.perf_counter()
            way.sendall(b"PING\r\n")
            assert way.recv(7) == b"+PONG\r\n"
            took.append(1_000 * (time.perf_counter() - began))
    return statistics.median(took)
