"""A Prometheus of our own: a child process on a free port that scrapes what it is told to.

It may run the published rules thirty times as fast as in production, with nothing else changed:
a scrape every half second instead of every 15 s, and two seconds for each minute in the rules.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from orders.entrypoints.server.child_processes import free_ports

RULES: Final = Path(__file__).parents[3] / "infra" / "prometheus" / "rules"
FASTER: Final = 30
MISSING: Final = "no {}: run infra/setup/services.sh as root (Debian, Ubuntu)"
_SCRAPE_SECONDS: Final = 15
_PATIENCE_SECONDS = 60
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Sample(NamedTuple):
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float


def installed(binary: str) -> str:
    """Where a program is, or the test is skipped with the reason."""
    found = shutil.which(binary)
    if found is None:
        pytest.skip(MISSING.format(binary))
    return found


def hastened(rules: str) -> str:
    """The same rules for a world that is `FASTER`: windows, `for`, and thresholds of age."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found[2]) * _SECONDS[found[3]]
        return f"{found[1]}{seconds * 1000 // FASTER}ms"

    windows = re.sub(r"(\[|for: )(\d+)([smhd])\b", shorter, rules)
    return re.sub(r"\* 60\b", f"* {60 // FASTER}", windows)


class PrometheusProcess:
    """A server that scrapes `targets`: a job's addresses, each `http://host:port/metrics`."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        (port,) = free_ports(1)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)
        for file in RULES.glob("*.yml"):
            (folder / file.name).write_text(hastened(file.read_text()))
        interval = f"{_SCRAPE_SECONDS * 1000 // FASTER}ms"
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [urlsplit(url).netloc for url in of]}]}
            for job, of in targets.items()
        ]
        configuration = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [f"{folder}/*.yml"],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.json").write_text(json.dumps(configuration))
        with (folder / "prometheus.log").open("wb") as log:
            # fmt: off
            self._process = subprocess.Popen(
                [installed("prometheus"), f"--config.file={folder}/prometheus.json",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                stdout=log, stderr=log,
            )
            # fmt: on

    def query(self, expression: str) -> list[Sample]:
        """What an expression gives now.

        Raises:
            ValueError: If it is none.
        """
        answer = self._client.get("/query", params={"query": expression}).json()
        if answer["status"] != "success":
            raise ValueError(f"{answer['error']}: {expression}")
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [Sample({}, float(result[1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in result]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {each["labels"]["alertname"] for each in self._alerts() if each["state"] == "firing"}

    def troubled_rules(self) -> dict[str, str]:
        """The rules that could not be evaluated, and why."""
        groups = self._client.get("/rules").json()["data"]["groups"]
        rules = (rule for group in groups for rule in group["rules"])
        return {rule["name"]: rule["lastError"] for rule in rules if rule["health"] == "err"}

    def wait_until_up(self) -> None:
        """Return once it answers, and has scraped every target."""

        def is_up() -> bool:
            try:
                return all(each.value == 1 for each in self.query("up") or [Sample({}, 0)])
            except (httpx.HTTPError, json.JSONDecodeError):
                return False

        eventually(is_up, _PATIENCE_SECONDS, "Prometheus scrapes its targets")

    def close(self) -> None:
        """End it at once."""
        self._client.close()
        self._process.kill()
        self._process.wait()

    def _alerts(self) -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = self._client.get("/alerts").json()["data"]["alerts"]
        return alerts


def eventually(holds: Callable[[], object], seconds: float, what: str) -> float:
    """Wait until it holds, and return how many seconds that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.1)  # Prometheus gives no event to wait for
    return time.monotonic() - began


@contextmanager
def prometheus_process(
    folder: Path, targets: Mapping[str, Sequence[str]]
) -> Iterator[PrometheusProcess]:
    """A server that has scraped all its targets, until the block is left."""
    folder.mkdir(exist_ok=True)
    prometheus = PrometheusProcess(folder, targets)
    try:
        prometheus.wait_until_up()
        yield prometheus
    finally:
        prometheus.close()
