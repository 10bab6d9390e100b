"""What is promised of real brokers: the tests, their outcome, and which servers they ran with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.processes.brokers import kafka_jars

FILES = {
    "redis": "tests/contract/test_redis_servers.py",
    "rabbitmq": "tests/contract/test_rabbit_servers.py",
    "kafka": "tests/contract/test_kafka_security.py",
}
_ROOT = Path(__file__).parents[2]


def contracts(folder: Path, *, name: str) -> str:
    """Run those of one kind of server; a failure ends the report."""
    command = [sys.executable, "-m", "pytest", FILES[name], "-v", "--color=no", "--tb=short"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--basetemp={folder / 'tests'}"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\nended with {done.returncode}")
    found = re.findall(
        r"^tests/\S+::test_(\S+?)(?:\[.*\])? (PASSED|SKIPPED)", done.stdout, re.MULTILINE
    )
    rows: dict[str, list[str]] = {}
    for test, outcome in found:
        rows.setdefault(test.replace("_", " "), []).append(outcome.lower())
    lines = [f"| {test} | {len(outcomes)} {outcomes[0]} |" for test, outcomes in rows.items()]
    return f"## {FILES[name]}\n\n{_version(name)}.\n\n| Test | Cases |\n|---|---|\n" + "\n".join(
        lines
    )


def _version(name: str) -> str:
    match name:
        case "redis":
            found = re.search(r"v=(\S+)", _output("redis-server", "--version"))
            return f"Redis {found[1] if found else '?'}"
        case "rabbitmq":
            return f"RabbitMQ {_output('dpkg-query', '-W', '-f', '${Version}', 'rabbitmq-server')}"
        case _:
            jars = kafka_jars()
            found_jars = [each.stem for each in jars.glob("kafka-clients-*.jar")] if jars else []
            return f"Apache {found_jars[0] if found_jars else 'Kafka is not here'}"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
