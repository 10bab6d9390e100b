"""Measure the service with Redis far away and with a primary that is lost, and run what needs a
real Apache Kafka or a cluster of RabbitMQ. Writes docs/reports/brokers.md.

Needs redis-server and RabbitMQ (infra/setup/services.sh); the tests of Kafka are left out unless
ORDERS_TEST_KAFKA names its jars (infra/setup/kafka.sh).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.brokers import contracts, redis_far, redis_lost

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "brokers.md"
EXPERIMENTS: dict[str, Callable[[Path], str]] = {
    "far": partial(redis_far.far, milliseconds=3),
    "farther": partial(redis_far.far, milliseconds=10),
    "lost": redis_lost.lost,
    **{name: partial(contracts.contracts, name=name) for name in contracts.FILES},
}


def main() -> int:
    """Write the sections of the report that were asked for; the others stay."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    for name in parser.parse_args().names or EXPERIMENTS:
        sys.stdout.write(f"{name} …\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory(prefix="orders-brokers-") as folder:
            text = EXPERIMENTS[name](Path(folder))
        sys.stdout.write(f"{text}\n\n")
        _publish(name, text)
    return 0


def _publish(name: str, text: str) -> None:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    seen = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average at the end {load}"
    sections = _sections() | {name: f"{text}\n\n`python -m tests.brokers {name}` · {seen}"}
    parts = [
        f"<!-- {each} -->\n\n{sections[each]}\n\n<!-- end -->"
        for each in EXPERIMENTS
        if each in sections
    ]
    title = "# Redis and the brokers, as production has them"
    REPORT.write_text("\n\n".join([title, *parts]) + "\n", encoding="utf-8")


def _sections() -> dict[str, str]:
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    return dict(re.findall(r"<!-- (\w+) -->\n\n(.*?)\n\n<!-- end -->", text, re.DOTALL))


if __name__ == "__main__":
    raise SystemExit(main())
