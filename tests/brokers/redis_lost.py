"""A primary of Redis that is lost: how soon the replicas of the service share their count again."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

from tests.brokers.replicas import Replicas, replicas
from tests.support.processes.redis_process import Guarded, RedisProcess, guarded_redis

RUNS = 2


def lost(folder: Path) -> str:
    """Lose one primary after the other, in two ways."""
    with (
        guarded_redis(folder / "redis") as guarded,
        replicas(folder / "service", uri_of(guarded)) as service,
    ):
        rows = [_row(service, guarded, way) for _ in range(RUNS) for way in ("killed", "frozen")]
    return (
        "## A primary that is lost\n\nThree sentinels, one replica, passwords everywhere; the "
        "sentinels take 1 s to notice (`down-after-milliseconds`). *Elected after*: until the "
        "replica says that it is the primary. *Used after*: until two replicas of the service "
        "share their count again, both measured from the loss. No request failed.\n\n"
        "| The primary is | Elected after | Used after | Service alone | Slowest request |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _row(service: Replicas, guarded: Guarded, way: str) -> str:
    old, new = guarded.primary, guarded.replica
    if not _is_primary(old):
        old, new = new, old
    service.until_shared(time.monotonic())
    began = time.monotonic()
    old.kill() if way == "killed" else old.freeze()
    slowest, elected = 0.0, 0.0
    while not elected:
        slowest = max(slowest, service.are_sharing()[1])
        elected = time.monotonic() - began if _is_primary(new) else 0.0
    used, seconds = service.until_shared(began)
    old.start() if way == "killed" else old.thaw()
    while _is_primary(old) or b"online" not in b"".join(new.command("INFO", "replication")):
        time.sleep(0.05)  # the sentinels make a replica of it
    return (
        f"| {way} | {elected:.1f} s | **{used:.1f} s** | {max(0.0, used - elected):.1f} s | "
        f"{1_000 * max(slowest, seconds):.0f} ms |"
    )


def _is_primary(server: RedisProcess) -> bool:
    return server.command("ROLE")[:1] == [b"master"]


def uri_of(guarded: Guarded) -> str:
    """How the service is told of the sentinels."""
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in guarded.sentinels)
    password, own = (quote(each, safe="") for each in (guarded.password, guarded.sentinel_password))
    return f"redis+sentinel://:{password}@{hosts}/rates/0?sentinel_password={own}"
