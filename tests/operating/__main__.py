"""Cause every fault that has an alert, and report which alert fired, and when."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.operating.incidents import INCIDENTS, Course, play
from tests.operating.shop import running_shop
from tests.support.processes.prometheus_process import FASTER

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "alerts.md"
_HEAD = f"""# Alerts that fired

`make alerts` runs two API replicas, a worker, the payment sandbox, a database, RabbitMQ and Redis
as processes, customers who buy continuously, and a real Prometheus with the
[published rules](../../infra/prometheus/rules) at {FASTER} times the speed: a scrape every half
second instead of every 15 s, two seconds for each minute in a window, a `for` or an age. Then it
breaks one part at a time.

Delays of the service itself (the breaker's 10 s, a lease's 30 s) keep their length. So a few
seconds of work on a busy machine count as minutes here, and another alert may fire beside the
expected one. A worker that resumes reports for five seconds, two and a half minutes of the rules,
how much it found waiting: so `OrdersEventsStuck` may fire during a later fault.

| Fault | Alert | Fired after, s | Other alerts | Ended after, s |
| --- | --- | --- | --- | --- |
"""


def main() -> int:
    """Return 1 if an alert did not fire, or did not end."""
    arguments = argparse.ArgumentParser(prog="python -m tests.operating", description=__doc__)
    arguments.add_argument("--only", choices=INCIDENTS, nargs="*", default=[*INCIDENTS])
    chosen = arguments.parse_args()
    courses, failed = [], 0
    with (
        tempfile.TemporaryDirectory(prefix="orders-alerts-") as folder,
        running_shop(Path(folder), with_services=True) as shop,
    ):
        shop.wait_until_quiet()
        for name in chosen.only:
            try:
                courses.append(play(INCIDENTS[name], shop))
                _tell(_row(courses[-1]))
            except AssertionError as problem:
                failed += 1
                _tell(f"{name}: {problem}")
    if not failed and set(chosen.only) == set(INCIDENTS):
        REPORT.write_text(_HEAD + "\n".join(map(_row, courses)) + "\n")
    return 1 if failed else 0


def _row(course: Course) -> str:
    cells = (
        course.incident.what,
        _names(course.incident.alerts),
        f"{course.told_after:.1f}",
        _names(course.also),
        f"{course.over_after:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _names(alerts: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(alerts))


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
