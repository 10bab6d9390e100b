"""The dashboards are as their code says, and show something while the service is busy."""

from __future__ import annotations

import re

import pytest

from infra.grafana.__main__ import main
from infra.grafana.boards import PANELS, dashboards
from infra.grafana.panels import Panel
from orders.entrypoints.observability.metrics import metrics_table
from tests.operating.shop import RunningShop
from tests.support.processes.prometheus_process import RULES, eventually

SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
GIVEN = {"$__rate_interval": "10s", "$namespace": ".*"}
EVERY = [panel for panels in PANELS.values() for panel in panels]


def asked(panel: Panel) -> list[str]:
    """Its expressions as Grafana sends them."""
    found = panel.expressions()
    for variable, value in GIVEN.items():
        found = [each.replace(variable, value) for each in found]
    return found


def test_the_files_are_as_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_every_metric_has_a_panel_and_no_panel_asks_for_another() -> None:
    expressions = " ".join(each for panel in EVERY for each in panel.expressions())
    used = set(re.findall(r"\b(orders_\w+|orders:[\w:]+)", expressions))
    for row in metrics_table():
        assert used & {row.name + suffix for suffix in SUFFIXES[row.kind]}, row.name
    recorded = set(re.findall(r"record: (\S+)", (RULES / "objectives.yml").read_text()))
    published = {row.name + suffix for row in metrics_table() for suffix in SUFFIXES[row.kind]}
    assert used <= published | recorded


def test_panels_stand_beside_each_other_on_no_other() -> None:
    for board in dashboards().values():
        cells = [
            (x, y)
            for panel in board["panels"]
            for place in [panel["gridPos"]]
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells))
        assert all(x < 24 for x, _ in cells)


@pytest.mark.parametrize("panel", EVERY, ids=lambda panel: panel.title)
def test_a_panel_shows_something_of_a_busy_service(shop: RunningShop, panel: Panel) -> None:
    for expression in asked(panel):

        def shows(expression: str = expression) -> bool:
            found = shop.prometheus.query(expression)
            return any(each.value == each.value for each in found)  # not all NaN

        eventually(shows, 60, expression)
