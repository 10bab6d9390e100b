"""The rules fire for their reasons, each says what to do, and each knows only what is published."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.entrypoints.observability.metrics import metrics_table
from tests.support.processes.prometheus_process import RULES, hastened, installed

ROOT = Path(__file__).parents[2]
PROMETHEUS = RULES.parent
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def rules() -> Iterator[str]:
    """Every rule, as text."""
    for file in sorted(RULES.glob("*.yml")):
        yield from re.split(r"\n +- (?=alert|record)", file.read_text())[1:]


def alerts() -> dict[str, list[str]]:
    """The rules of each alert, by its name."""
    found: dict[str, list[str]] = {}
    for rule in rules():
        if rule.startswith("alert: "):
            found.setdefault(rule.split()[1], []).append(rule)
    return found


def run(binary: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [installed(binary), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROMETHEUS)


def test_every_alert_fires_for_its_reason_and_is_else_quiet() -> None:
    done = run("promtool", "test", "rules", "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_told_to_fire_and_to_be_quiet_by_a_test() -> None:
    text = (PROMETHEUS / "rules_test.yml").read_text()
    checks = re.findall(r"alertname: (\w+)(.*?)(?=- \{?alertname|- name|\Z)", text, re.DOTALL)
    assert {name for name, expected in checks if "exp_labels" in expected} == set(alerts())
    assert {name for name, expected in checks if "exp_labels" not in expected} == set(alerts())


def test_the_configuration_is_one() -> None:
    done = run("promtool", "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_alerts_go_where_their_severity_says(severity: str) -> None:
    # fmt: off
    done = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yml",
               f"severity={severity}")
    # fmt: on
    assert done.stdout.strip() == severity, done.stderr


def test_what_hides_an_alert_is_an_alert_and_so_is_what_it_hides() -> None:
    text = (PROMETHEUS / "alertmanager.yml").read_text()
    for names in re.findall(r"alertname =~? \"(\w+)(?:\(([\w|]+)\))?\"", text):
        for rest in names[1].split("|"):
            assert names[0] + rest in alerts()


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)) == set(alerts())
    for section in re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]:
        assert re.search(r"\n\n(Page|Ticket)\b", section), section
        assert "**Check**" in section, section
        assert "**Resolved when**" in section, section


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    for rule in alerts()[name]:
        severity = re.search(r"severity: (page|ticket)\b", rule)
        assert severity is not None
        said = RUNBOOKS.partition(f"## {name}\n\n")[2].partition(" ")[0].strip(".").lower()
        assert severity[1] == said or name.endswith("BudgetBurn")
        assert f"runbook_url: docs/runbooks.md#{name.lower()}\n" in rule + "\n"
        assert "summary: " in rule
        assert "description: " in rule
        assert re.search(r"\n +for: ", rule)


def test_rules_use_metrics_that_are_published() -> None:
    published = {row.name + suffix for row in metrics_table() for suffix in SUFFIXES[row.kind]}
    used = {name for rule in rules() for name in re.findall(r"\borders_\w+", rule)}
    assert used <= published


def test_hastened_rules_are_the_same_rules() -> None:
    rule = "rate(x[5m]) > 3 * 60 and y[1h] > 600\n for: 30s"
    assert hastened(rule) == "rate(x[10000ms]) > 3 * 2 and y[120000ms] > 600\n for: 1000ms"
