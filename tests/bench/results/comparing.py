"""Two runs side by side: what became cheaper, what dearer."""

from __future__ import annotations

from typing import Any

from tests.bench.results.report import figure, jobs_of, ratio
from tests.bench.rigs.contenders import FLOOR, SERVICE


def compared(first: dict[str, Any], second: dict[str, Any]) -> str:
    """A table of the CPU of one request, and of its ratio to the floor, in both runs.

    Only ratios can be compared between machines, or between a busy and an idle one.
    """
    heads = f"{'µs before':>11}{'after':>9}{'change':>9}   {'ratio before':>13}{'after':>7}"
    lines = [f"{'':24}{heads}{'change':>9}"]
    for job in jobs_of(first):
        if job not in jobs_of(second):
            continue
        before, after = (figure(run, job, SERVICE, "cpu") or 0 for run in (first, second))
        told_before, told_after = ratio(first, job), ratio(second, job)
        lines.append(
            f"{job:24}{before:11,.0f}{after:9,.0f}{after / before - 1:+9.0%}   "
            f"{told_before:13.2f}{told_after:7.2f}{told_after / told_before - 1:+9.0%}"
        )
    weather = [
        sum(figure(run, job, FLOOR, "cpu") or 0 for job in jobs_of(run)) for run in (first, second)
    ]
    lines.append(f"The floor itself, all jobs: {weather[1] / weather[0] - 1:+.0%}")
    return "\n".join(lines) + "\n"
