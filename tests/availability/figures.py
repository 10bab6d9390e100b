"""What a load has come to: how many, how soon, and what else there was."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.availability.load import Answer, Sent

REPORT = Path(__file__).parents[2] / "docs/reports/availability.md"
REFUSALS = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts, and times in milliseconds."""

    sent: int
    good: int
    good_per_second: float
    good_p50: float
    good_p99: float
    refused: int
    refused_p50: float
    refused_p99: float
    refused_without_retry_after: int
    failed: Counter[int]
    """Every other status, 0 for no answer."""


def figures(sent: Sent, *, after: float = 0.0) -> Figures:
    """The figures of a load, less those requests sent in its first `after` seconds."""
    answers = [each for each in sent.answers if each.at >= after]
    good = [each for each in answers if 200 <= each.status < 300]
    refused = [each for each in answers if each.status in REFUSALS]
    statuses = Counter(each.status for each in answers)
    failed = {n: count for n, count in statuses.items() if n // 100 != 2 and n not in REFUSALS}
    return Figures(
        sent=len(answers),
        good=len(good),
        good_per_second=len(good) / (sent.load.seconds - after),
        good_p50=percentile(good, 50),
        good_p99=percentile(good, 99),
        refused=len(refused),
        refused_p50=percentile(refused, 50),
        refused_p99=percentile(refused, 99),
        refused_without_retry_after=sum(not each.waits for each in refused),
        failed=Counter(failed),
    )


def percentile(answers: Iterable[Answer], percent: float) -> float:
    """In milliseconds; 0 of nothing."""
    times = sorted(each.took for each in answers)
    return 1_000 * times[min(len(times) - 1, int(len(times) * percent / 100))] if times else 0.0


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def publish(name: str, text: str, *, command: str) -> None:
    """Put a section into the report, or in the place of the one of its name."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    seen = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average at the end {load}"
    section = f"<!-- {name} -->\n\n{text}\n\n`{command}` · {seen}\n\n<!-- end {name} -->"
    report = REPORT.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    if begin in report:
        before, _, rest = report.partition(begin)
        report = before + section + rest.partition(end)[2]
    else:
        report = f"{report.rstrip()}\n\n{section}\n"
    REPORT.write_text(report)
