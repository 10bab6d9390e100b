"""A primary of Redis that is lost: how soon the replicas of the service share their count again."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

from tests.brokers.replicas import LIMITED, replicas
from tests.support.processes.redis_process import Guarded, guarded_redis

RUNS = 3


def lost(folder: Path) -> str:
    """Lose primaries in two ways."""
    rows = []
    for way in ("killed", "frozen"):
        for run in range(RUNS):
            with guarded_redis(folder / f"redis-{way}-{run}") as guarded:
                rows.append(_row(folder / f"service-{way}-{run}", guarded, way))
    return (
        "## A primary that is lost\n\nThree sentinels, one replica, passwords everywhere; the "
        "sentinels take 1 s to notice (`down-after-milliseconds`). *Elected after*: until the "
        "replica says that it is the primary. *Used after*: until two replicas of the service "
        "share their count again, both measured from the loss. No request failed.\n\n"
        "| The primary is | Elected after | Used after | Service alone | Slowest request |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _row(folder: Path, guarded: Guarded, way: str) -> str:
    with replicas(folder, uri_of(guarded), LIMITED) as pair:
        pair.until_shared(time.monotonic())
        while guarded.replica.command("DBSIZE") == [b":0"]:
            time.sleep(0.01)
        began = time.monotonic()
        guarded.primary.kill() if way == "killed" else guarded.primary.freeze()
        slowest, elected = 0.0, 0.0
        while not elected:
            shared, seconds = pair.are_sharing()
            slowest = max(slowest, seconds)
            if guarded.replica.command("ROLE")[:1] == [b"master"]:
                elected = time.monotonic() - began
            else:
                assert not shared, "there is no primary"
        used, seconds = pair.until_shared(began)
    slowest = 1_000 * max(slowest, seconds)
    return (
        f"| {way} | {elected:.1f} s | **{used:.1f} s** | {max(0.0, used - elected):.1f} s | "
        f"{slowest:.0f} ms |"
    )


def uri_of(guarded: Guarded) -> str:
    """How the service is told of the sentinels."""
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in guarded.sentinels)
    password, own = (quote(each, safe="") for each in (guarded.password, guarded.sentinel_password))
    return f"redis+sentinel://:{password}@{hosts}/rates/0?sentinel_password={own}"
