"""Senders whose bodies do not come, beside everybody else's requests."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.availability.cluster import staged
from tests.availability.figures import figures, table
from tests.availability.findings import holding, unfinished
from tests.availability.load import Sent
from tests.support.processes.fleet import Crowd, Fleet

SENDERS = 300
_HEADER = ["", "sent", "good", "refused", "failed", "p50 / p99 ms", "ratio", "slow senders got"]


def slow_bodies(folder: Path, options: argparse.Namespace) -> str:
    """Others are answered as if they were not there."""
    rate, seconds = options.rate or 50, options.seconds or 22
    ratios: list[float] = []
    rows: list[list[object]] = []
    with staged(folder, options, apis=2) as fleet:
        crowd, (one, other) = Crowd(fleet.running), fleet.cluster.apis
        _at_both(crowd, one, other, rate, seconds=2)  # a process is slow at first
        for _ in range(options.runs):
            with holding(urlsplit(one).port or 0, unfinished(_tokens(fleet))) as held:
                beside, without = _at_both(crowd, one, other, rate, seconds)
                answered = held.finish()
            ratios.append(figures(beside).good_p99 / figures(without).good_p99)
            rows.append([*_row("without them", without), "", ""])
            rows.append([*_row("with them", beside), f"{ratios[-1]:.2f}", dict(answered)])
            one, other = other, one
    return (
        f"## Slow bodies\n\nOne of two replicas has {SENDERS} senders whose bodies do not arrive. "
        "When the service ends one, another starts, 30 per second: with a token and without, with "
        "a length and chunked, orders and webhooks. At the same time other clients send "
        f"{rate:g} requests per second to each replica (reads, placements, lists 6 : 2 : 1). Then "
        "the replicas swap roles. The p99 of the other clients is "
        f"{median(ratios):.2f} times that without slow senders (median of the runs).\n\n"
        + table(_HEADER, rows)
    )


def _at_both(crowd: Crowd, one: str, other: str, rate: float, seconds: float) -> tuple[Sent, Sent]:
    """Whatever else keeps this machine busy, it does so to both."""
    first, second = (crowd.come(url, rate=rate, seconds=seconds, lists=0.5) for url in (one, other))
    return first.finish(), second.finish()


def _tokens(fleet: Fleet) -> list[str]:
    return [fleet.running.someone().token or "" for _ in range(SENDERS // 4)]


def _row(name: str, sent: Sent) -> list[object]:
    now = figures(sent)
    times = f"{now.good_p50:.0f} / {now.good_p99:.0f}"
    return [name, now.sent, now.good, now.refused, dict(now.failed) or 0, times]
