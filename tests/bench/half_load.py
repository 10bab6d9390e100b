"""What it is like for callers while a contender has half as much to do as it can."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Final

import uvloop

from tests.bench.days import Sale
from tests.bench.jobs import JOBS, Job
from tests.bench.load import LoadFailed
from tests.bench.rigs.contenders import CONTENDERS
from tests.bench.rounds import Course

SUSTAINED_SECONDS: Final = 2
"""For how long a contender goes as fast as it can before half of that is asked of it."""
HALF_LOAD_SECONDS: Final = 4
_ALIKE: Final = 0.2


def of_middle_size(sales: list[Sale]) -> list[Sale]:
    """The orders that are as large as the one in the middle, give or take a fifth.

    Of the orders as they are, the hundredth is forty times as large as that, and takes as long as
    it is large: it tells of sales, not of the service.
    """
    middle = sorted(sale.lines for sale in sales)[len(sales) // 2]
    return [sale for sale in sales if abs(sale.lines - middle) <= _ALIKE * middle]


def half_loads(course: Course, *, turns: int) -> dict[str, Any]:
    """For each job and contender, some turns: the rate, and the percentiles in microseconds.

    The jobs that place orders come last: a database that sorts all pending ones to find twenty
    would have too many of them. A job that is not answered in time has no more turns.
    """
    found: dict[str, Any] = {job.name: {name: [] for name in CONTENDERS} for job in JOBS}
    for job in reversed(JOBS):
        with suppress(LoadFailed):
            for number in range(turns):
                for name in course.order(number):
                    found[job.name][name].append(_turn(course, job, name))
        sys.stderr.write(f"half load, {job.name}\n")
    return found


def _turn(course: Course, job: Job, name: str) -> dict[str, float]:
    # A burst says how much is done at once, not for how long.
    burst = uvloop.run(course.full_speed(job, name, share=0.3)).per_second
    share = max(0.5, SUSTAINED_SECONDS * burst / job.count)
    rate = uvloop.run(course.full_speed(job, name, share=share)).per_second / 2
    measured = uvloop.run(course.at_a_rate(job, name, rate, HALF_LOAD_SECONDS))
    return {
        "per_second": rate,
        **{f"p{each}": measured.percentile(each) * 1e6 for each in (50, 95, 99)},
        "requests": len(measured.latencies),
    }
