"""Redis at a distance: how soon it is used, and what a request pays for it."""

from __future__ import annotations

import socket
import statistics
import time
from pathlib import Path

from tests.brokers.replicas import ALONE, COUNTED, Replicas, replicas
from tests.brokers.wire import wire
from tests.support.processes.redis_process import redis_process

BLOCKS, REQUESTS = 12, 50


def far(folder: Path, *, milliseconds: int) -> str:
    """Measure for a round trip."""
    with (
        redis_process(folder / "redis") as redis,
        wire(redis.port, milliseconds / 1_000) as port,
        replicas(folder / "service", f"redis://127.0.0.1:{port}/0") as service,
    ):
        service.running.restart("api-1")
        shared_after, _ = service.until_shared(time.monotonic())
        blocks = medians(service)
        ping = pings(port)
    added = [shared - alone for alone, shared in blocks]
    return (
        f"## Redis {milliseconds} ms away\n\nA proxy delays each way between the service and Redis "
        f"by half of {milliseconds} ms; a PING through it took {ping:.2f} ms.\n\n"
        f"A replica was restarted. {shared_after:.2f} s after it was ready, a new caller got one "
        "burst from two replicas together, not one from each. The first request begins to connect."
        f"\n\nThen lists of no orders were requested in turn from a replica that counts alone and "
        f"from one that counts in Redis, in {BLOCKS} blocks of {REQUESTS} each. Other work ran on "
        "the same cores, so the quietest block says most.\n\n"
        "| | p50 alone | p50 in Redis | added |\n|---|---|---|---|\n"
        f"| quietest block | {blocks[0][0]:.2f} ms | {blocks[0][1]:.2f} ms "
        f"| **{added[0]:.2f} ms** |\n"
        f"| median of the blocks | | | {statistics.median(added):.2f} ms |"
    )


def medians(service: Replicas) -> list[tuple[float, float]]:
    """The medians of both replicas in each of some blocks, in milliseconds, the quietest first."""
    caller = service.someone()
    blocks = []
    for _ in range(BLOCKS + 1):
        took: dict[int, list[float]] = {ALONE: [], COUNTED: []}
        for _ in range(REQUESTS):
            for replica, times in took.items():
                status, seconds = service.take(replica, caller, "/v1/orders")
                if status == 200:  # on a busy machine the database may not answer in time
                    times.append(1_000 * seconds)
        blocks.append((statistics.median(took[ALONE]), statistics.median(took[COUNTED])))
    return sorted(blocks[1:], key=lambda block: block[1] - block[0])


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
