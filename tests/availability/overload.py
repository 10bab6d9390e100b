"""Three times the load that one replica can serve."""

from __future__ import annotations

import argparse
import statistics
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.availability.cluster import staged
from tests.availability.figures import Figures, figures, table
from tests.availability.load import Sent
from tests.support.processes.fleet import Crowd, status_of

SECONDS = 60.0
STEP_SECONDS = 5.0
HELD_SECONDS = 30.0
WARM_SECONDS = 1.0
MIX = {"places": 3.0, "reads": 7.0}


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: the maximum, three times the maximum, and the recovery."""

    peak: Figures
    calm: Figures
    held: tuple[Figures, Figures]
    rate: float
    over: Figures
    lives: int
    deaths: int
    normal_after: float

    @property
    def goodput(self) -> float:
        """The share of the peak that is left; the peak was held just before and just after."""
        return self.over.good_per_second / statistics.mean(x.good_per_second for x in self.held)

    @property
    def slower(self) -> float:
        """How much longer the accepted ones take than at the peak."""
        return self.over.good_p99 / statistics.mean(x.good_p99 for x in self.held)


def overload(folder: Path, options: argparse.Namespace) -> str:
    """Goodput, times and recovery at three times the capacity, measured in the same run."""
    seconds = options.seconds or SECONDS
    with staged(folder, options) as fleet:
        crowd, url = Crowd(fleet.running), fleet.running.url
        crowd.come(url, rate=50, seconds=3, **MIX).finish()
        runs = [_run(crowd, url, seconds) for _ in range(options.runs)]
    rows = [
        [
            f"{run.peak.good_per_second:.0f}",
            " / ".join(f"{x.good_per_second:.0f}" for x in run.held),
            " / ".join(f"{x.good_p99:.0f}" for x in run.held),
            f"{run.calm.good_per_second:.0f} / {run.calm.good_p99:.0f}",
            f"{run.rate:.0f}",
            f"{run.over.good_per_second:.0f} ({100 * run.goodput:.0f} %)",
            f"{run.over.good_p50:.0f} / {run.over.good_p99:.0f}",
            run.over.refused,
            f"{run.over.refused_p50:.0f} / {run.over.refused_p99:.0f}",
            run.over.refused_without_retry_after,
            dict(run.over.failed) or 0,
            f"{run.lives} / {run.deaths}",
            f"{run.normal_after:.1f}",
        ]
        for run in runs
    ]
    goodput = statistics.median(run.goodput for run in runs)
    slower = statistics.median(run.slower for run in runs)
    header = [
        "maximum/s", "peak/s, before / after", "its p99 ms", "99 % accepted up to /s, p99 ms",
        "sent/s", "good/s", "accepted p50 / p99 ms", "refused", "refused p50 / p99 ms",
        "without Retry-After", "failed", "/livez answered / not", "normal after s",
    ]  # fmt: skip
    return (
        "## Overload\n\n"
        f"One replica; reads and placements 7 : 3; three times the maximum for {seconds:g} s, "
        f"{len(runs)} time(s). The maximum is the highest number of successful responses per "
        f"second while the rate rises in steps of {STEP_SECONDS:g} s. The peak is the goodput when "
        f"that rate is held for {HELD_SECONDS:g} s, before and after. The next column is the "
        f"highest rate at which 99 % were accepted. Median: goodput {100 * goodput:.0f} % of the "
        f"peak, accepted p99 {slower:.1f} times that at the peak.\n\n" + table(header, rows)
    )


def _run(crowd: Crowd, url: str, seconds: float) -> Run:
    best, peak, calm = _peak(crowd, url)
    rate = 3 * peak.good_per_second

    def held() -> Figures:
        sent = crowd.come(url, rate=best, seconds=HELD_SECONDS, **MIX).finish()
        return figures(sent, after=WARM_SECONDS)

    before = held()
    probe = _Probe(url)
    load = crowd.come(url, rate=rate, seconds=seconds, **MIX)
    over = figures(load.finish())
    lives, deaths = probe.end()
    after = crowd.come(url, rate=peak.good_per_second / 2, seconds=12, **MIX).finish()
    return Run(peak, calm, (before, held()), rate, over, lives, deaths, _last_trouble(after))


def _peak(crowd: Crowd, url: str) -> tuple[float, Figures, Figures]:
    """Of rising rates, that with the most good answers, and the highest that was taken whole.

    The most of many short looks is more than can be held: a machine is faster now and then.
    """
    rate, poor = 100.0, 0
    rates: list[float] = []
    steps: list[Figures] = []
    while poor < 2:
        sent = crowd.come(url, rate=rate, seconds=STEP_SECONDS, **MIX).finish()
        rates.append(rate)
        steps.append(figures(sent, after=WARM_SECONDS))
        poor = poor + 1 if steps[-1].good < 0.9 * steps[-1].sent else 0
        rate *= 1.15
    whole = [step for step in steps if step.good >= 0.99 * step.sent]
    assert whole, "not even the lowest rate is taken"
    best, most = max(zip(rates, steps, strict=True), key=lambda pair: pair[1].good_per_second)
    return best, most, whole[-1]


def _last_trouble(after: Sent) -> float:
    """When the last request that was refused, or lost, was sent."""
    return max((each.at for each in after.answers if not 200 <= each.status < 300), default=0.0)


class _Probe:
    """Asks, five times a second, whether the process is alive."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._statuses: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def end(self) -> tuple[int, int]:
        """How often it was, and was not."""
        self._stop.set()
        self._thread.join()
        lives = self._statuses.count(200)
        return lives, len(self._statuses) - lives

    def _ask(self) -> None:
        while not self._stop.wait(0.2):
            self._statuses.append(status_of(self._url, "/livez"))
