"""Senders whose bodies do not come, beside everybody else's requests."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from tests.availability.figures import figures, percentile, table
from tests.availability.held import holding, unfinished
from tests.availability.load import Sent
from tests.availability.stage import staged
from tests.e2e.cases.fleet import Crowd, Fleet

SENDERS = 300
_HEADER = ["", "sent", "good", "refused", "failed", "p50 / p99 ms", "the senders got"]


def slow_bodies(folder: Path, options: argparse.Namespace) -> str:
    """Others are answered as if they were not there."""
    rate, seconds = options.rate or 50, options.seconds or 22
    without, beside = list[Sent](), list[Sent]()
    rows: list[list[object]] = []
    with staged(folder, options, apis=2) as fleet:
        crowd, (one, other) = Crowd(fleet.running), fleet.cluster.apis
        _at_both(crowd, one, other, rate, seconds=2)  # a process is slow at first
        for _ in range(options.runs):
            with holding(urlsplit(one).port or 0, unfinished(_tokens(fleet))) as held:
                slow, free = _at_both(crowd, one, other, rate, seconds)
                answered = held.finish()
            rows += [_row("without them", free, Counter()), _row("with them", slow, answered)]
            without.append(free)
            beside.append(slow)
            one, other = other, one
    before, during = _p99(without), _p99(beside)
    return (
        f"## Slow bodies\n\nOf two replicas, one has {SENDERS} senders whose bodies do not come, "
        "and who begin again when one is ended, 30 a second: with a token and without, with a "
        "length and in chunks, orders and webhooks. At the same time others send "
        f"{rate:g} requests a second to each, to read, place and list 6 : 2 : 1. Then the two "
        f"change places. The p99 of others over all runs: {before:.0f} ms without senders, "
        f"{during:.0f} ms with them, "
        f"{during / before:.2f} times that.\n\n" + table(_HEADER, rows)
    )


def _at_both(crowd: Crowd, one: str, other: str, rate: float, seconds: float) -> tuple[Sent, Sent]:
    """Whatever else keeps this machine busy, it does so to both."""
    first, second = (crowd.come(url, rate=rate, seconds=seconds, lists=0.5) for url in (one, other))
    return first.finish(), second.finish()


def _tokens(fleet: Fleet) -> list[str]:
    return [fleet.running.someone().token or "" for _ in range(SENDERS // 4)]


def _p99(runs: Iterable[Sent]) -> float:
    good = (each for sent in runs for each in sent.answers if 200 <= each.status < 300)
    return percentile(good, 99)


def _row(name: str, sent: Sent, answered: Counter[str]) -> list[object]:
    now = figures(sent)
    times = f"{now.good_p50:.0f} / {now.good_p99:.0f}"
    failed, got = dict(now.failed) or 0, dict(answered) or ""
    return [name, now.sent, now.good, now.refused, failed, times, got]
