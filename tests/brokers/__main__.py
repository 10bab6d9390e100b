"""Measure the service with Redis far away and with a primary that is lost, and run what needs a
real Apache Kafka or a cluster of RabbitMQ. Writes docs/reports/brokers.md.

Needs redis-server and RabbitMQ (infra/setup/services.sh); the tests of Kafka are left out unless
ORDERS_TEST_KAFKA names its jars (infra/setup/kafka.sh).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.brokers import contracts, redis_far, redis_lost

REPORT = Path(__file__).parents[2] / "docs" / "reports" / "brokers.md"
EXPERIMENTS: dict[str, Callable[[Path], str]] = {
    "far": redis_far.far,
    "lost": redis_lost.lost,
    "contracts": contracts.contracts,
}


def main() -> int:
    """Write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.brokers", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; all by default")
    names = parser.parse_args().names or [*EXPERIMENTS]
    sections = []
    for name in names:
        sys.stdout.write(f"{name} …\n")
        sys.stdout.flush()
        with tempfile.TemporaryDirectory(prefix="orders-brokers-") as folder:
            sections.append(EXPERIMENTS[name](Path(folder)))
        sys.stdout.write(f"{sections[-1]}\n\n")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    command = " ".join(["python -m tests.brokers", *names])
    REPORT.write_text(
        "# Redis and the brokers, as production has them\n\n"
        f"Command: `{command}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} shared cores, "
        f"load average at the end {load}.\n\n" + "\n\n".join(sections) + "\n",
        encoding="utf-8",
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
