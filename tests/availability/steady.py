"""Replicas that restart or are killed, idle connections, and half an hour of steady load."""

from __future__ import annotations

import argparse
import resource
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.availability.cluster import staged
from tests.availability.figures import Figures, figures, table
from tests.availability.load import Answer
from tests.support.processes.cluster import Process
from tests.support.processes.fleet import Crowd, children_of, open_files, placed
from tests.support.processes.haproxy import haproxy

PAGE_BYTES = resource.getpagesize()
_HEADER = [
    "sent",
    "good",
    "p50 / p99 ms",
    "refused",
    "by the service",
    "failed",
    "orders acknowledged",
    "stored",
]


def roll(folder: Path, options: argparse.Namespace) -> str:
    """All replicas restart, one after the other, repeatedly."""
    rate, seconds = options.rate or 200, options.seconds or 105
    with staged(folder, options, apis=3) as fleet, haproxy(folder, fleet.cluster.urls) as balancer:
        crowd = Crowd(fleet.running)
        load, restarts = crowd.come(balancer.url, rate=rate, seconds=seconds), 0
        end = time.monotonic() + seconds - 10
        while time.monotonic() < end:
            process = fleet.cluster.processes[f"api-{restarts % 3}"]
            assert process.stop() == 0
            process.start()
            process.wait_until_up()
            balancer.wait_for(process.name)
            restarts += 1
        sent = load.finish()
        row = _row(sent.answers, figures(sent), crowd)
    return (
        f"## Rolling restart\n\nThree replicas behind HAProxy at {rate:g} requests per second; "
        f"{restarts} times one was stopped with SIGTERM and restarted.\n\n" + table(_HEADER, [row])
    )


def crash(folder: Path, options: argparse.Namespace) -> str:
    """One of three replicas gets SIGKILL."""
    rate, seconds = options.rate or 200, options.seconds or 10
    rows = []
    with staged(folder, options, apis=3) as fleet, haproxy(folder, fleet.cluster.urls) as balancer:
        for name in fleet.cluster.urls:
            crowd = Crowd(fleet.running)
            load = crowd.come(balancer.url, rate=rate, seconds=seconds)
            time.sleep(seconds / 3)
            victim = fleet.cluster.processes[name]
            victim.kill()
            sent = load.finish()
            victim.start()
            victim.wait_until_up()
            balancer.wait_for(name)
            rows.append(_row(sent.answers, figures(sent), crowd))
    return (
        f"## A replica is killed\n\nOne of three replicas behind HAProxy gets SIGKILL, at {rate:g} "
        f"requests per second for {seconds:g} s; each replica once. A failure 0 is a request "
        "without a response.\n\n" + table(_HEADER, rows)
    )


def idle(folder: Path, options: argparse.Namespace) -> str:
    """Five thousand connections that send nothing."""
    count = 5_000
    with staged(folder, options) as fleet, ExitStack() as stack:
        crowd, where = Crowd(fleet.running), urlsplit(fleet.running.url)
        before = crowd.come(fleet.running.url, rate=50, seconds=8).finish()
        for _ in range(count):
            stack.callback(socket.create_connection((where.hostname or "", where.port)).close)
        files = open_files(fleet.cluster.processes["api-0"])
        during = crowd.come(fleet.running.url, rate=50, seconds=8).finish()
    rows = [
        [name, now.sent, now.good, f"{now.good_p50:.0f} / {now.good_p99:.0f}"]
        for name, now in (("before", figures(before)), ("with them", figures(during)))
    ]
    return (
        f"## Idle connections\n\n{count} connections to one replica that send nothing (open files "
        f"then: {files}), and 50 requests per second over other connections.\n\n"
        + table(["", "sent", "good", "p50 / p99 ms"], rows)
    )


def soak(folder: Path, options: argparse.Namespace) -> str:
    """Half an hour at a steady rate."""
    rate, seconds = options.rate or 100, options.seconds or 1_800
    rows = []
    with staged(folder, options) as fleet:
        crowd, process = Crowd(fleet.running), fleet.cluster.processes["api-0"]
        began = time.monotonic()
        part = seconds / 10
        for number in range(10):
            sent = crowd.come(fleet.running.url, rate=rate, seconds=part, lists=0.05).finish()
            now = figures(sent)
            rows.append([
                f"{(time.monotonic() - began) / 60:.1f}", now.sent, now.good,
                f"{now.good_p50:.0f} / {now.good_p99:.0f}", f"{_resident(process) / 2**20:.1f}",
                open_files(process), _connections(process, fleet.cluster.mongo_uri),
            ])  # fmt: skip
            assert process.exit_code is None, f"it ended in part {number}"
    header = ["minute", "sent", "good", "p50 / p99 ms", "MiB resident", "open files", "database"]
    return (
        f"## Half an hour of steady load\n\nOne replica at {rate:g} requests per second for "
        f"{seconds / 60:g} min. Memory is that of all its processes; `database` is the number of "
        "its connections there.\n\n" + table(header, rows)
    )


def _row(answers: Sequence[Answer], now: Figures, crowd: Crowd) -> list[object]:
    times = f"{now.good_p50:.0f} / {now.good_p99:.0f}"
    lost = dict(now.failed) or 0
    by_us = now.refused - now.refused_without_retry_after
    return [
        now.sent, now.good, times, now.refused, by_us, lost, placed(answers), crowd.orders(),
    ]  # fmt: skip


def _resident(process: Process) -> int:
    pids = [process.pid, *children_of(process.pid)]
    return PAGE_BYTES * sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)


def _connections(process: Process, uri: str) -> int:
    """Established connections to the database, of this process's children."""
    port = f"{urlsplit(uri).port:04X}"
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[2].endswith(f":{port}") and line.split()[3] == "01"
    }
    own = 0
    for pid in children_of(process.pid):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            name = str(each.readlink()) if each.is_symlink() else ""
            own += name.removeprefix("socket:[").removesuffix("]") in inodes
    return own
