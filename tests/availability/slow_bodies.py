"""Senders whose bodies do not come, beside everybody else's requests."""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.availability.figures import Figures, figures, table
from tests.availability.held import holding, unfinished
from tests.availability.stage import staged
from tests.e2e.cases.fleet import Crowd, Fleet

SENDERS = 300
_HEADER = ["", "sent", "good", "refused", "failed", "p50 / p99 ms", "p99 ratio", "they got"]


def slow_bodies(folder: Path, options: argparse.Namespace) -> str:
    """Others are answered as if they were not there."""
    rate, seconds = options.rate or 100, options.seconds or 11
    rows: list[list[object]] = []
    ratios: list[float] = []
    with staged(folder, options) as fleet:
        crowd = Crowd(fleet.running)
        _come(fleet, crowd, rate, seconds=2)  # the first requests of a process are slow
        for _ in range(options.runs):
            without = _come(fleet, crowd, rate, seconds)
            with holding(_port(fleet), unfinished(_tokens(fleet))) as held:
                beside = _come(fleet, crowd, rate, seconds)
                answered = held.finish()
            ratios.append(beside.good_p99 / without.good_p99)
            rows.append([*_row("without", without), "", ""])
            rows.append([*_row("with them", beside), f"{ratios[-1]:.2f}", dict(answered)])
    return (
        f"## Slow bodies\n\n{SENDERS} senders whose bodies do not come, and who begin again when "
        "one is ended: with a token and without, with a length and in chunks, orders and webhooks. "
        f"Beside them {rate:g} requests a second to the same replica, which read, place and list "
        f"6 : 2 : 1. Their p99 with the senders is {median(ratios):.2f} times that without, in the "
        "middle of the runs.\n\n" + table(_HEADER, rows)
    )


def _come(fleet: Fleet, crowd: Crowd, rate: float, seconds: float) -> Figures:
    return figures(crowd.come(fleet.running.url, rate=rate, seconds=seconds, lists=0.5).finish())


def _tokens(fleet: Fleet) -> list[str]:
    return [fleet.running.someone().token or "" for _ in range(SENDERS // 4)]


def _port(fleet: Fleet) -> int:
    port = urlsplit(fleet.running.url).port
    assert port is not None
    return port


def _row(name: str, now: Figures) -> list[object]:
    times = f"{now.good_p50:.0f} / {now.good_p99:.0f}"
    return [name, now.sent, now.good, now.refused, dict(now.failed) or 0, times]
