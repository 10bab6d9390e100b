"""What is promised of real brokers: the tests, their outcome, and which servers they ran with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes.brokers import kafka_jars

FILES = (
    "tests/contract/test_redis_servers.py",
    "tests/contract/test_rabbit_servers.py",
    "tests/contract/test_kafka_security.py",
)
_ROOT = Path(__file__).parents[2]


def contracts(folder: Path) -> str:
    """Run them; a failure ends the report."""
    command = [sys.executable, "-m", "pytest", *FILES, "-v", "-p", "no:cacheprovider", "--tb=short"]
    done = subprocess.run(
        [*command, f"--basetemp={folder / 'tests'}", "--color=no"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    found = re.findall(
        r"^tests/contract/(\w+)\.py::(\S+) (PASSED|SKIPPED)", done.stdout, re.MULTILINE
    )
    rows = [
        f"| {file} | {name.partition('[')[0].removeprefix('test_').replace('_', ' ')}"
        f"{' (' + name.partition('[')[2][:-1] + ')' if '[' in name else ''} | {outcome.lower()} |"
        for file, name, outcome in found
    ]
    return (
        f"## Contracts\n\n{'; '.join(_servers())}.\n\n| File | Test | Outcome |\n|---|---|---|\n"
        + "\n".join(rows)
    )


def _servers() -> list[str]:
    redis = re.search(r"v=(\S+)", _output("redis-server", "--version"))
    rabbit = _output("dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server")
    jars = kafka_jars()
    kafka = [each.stem for each in jars.glob("kafka-clients-*.jar")] if jars else ["no Kafka"]
    return [f"Redis {redis[1] if redis else '?'}", f"RabbitMQ {rabbit}", *kafka]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
