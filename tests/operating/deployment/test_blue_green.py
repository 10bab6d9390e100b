"""The switch between colours, against what stands for a cluster: a kubectl over one file.

`test_kubernetes.py` does the same on a real API server, where there is one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.operating.deployment.chart import CHART

KUBECTL = f"""#!{sys.executable}
import json, sys
from pathlib import Path

file = Path(__file__).with_name("cluster.json")
cluster = json.loads(file.read_text())
arguments = sys.argv[1:]
assert arguments[:2] == ["--namespace", "shop"], arguments
verb, *rest = arguments[2:]
if verb == "get" and rest[0] == "service":
    print(cluster["services"][rest[1]], end="")
elif verb == "get" and rest[0] == "deployment":
    colour = rest[1].removeprefix("orders-api-")
    if colour not in cluster["ready"]:
        sys.exit("not found")
    print(cluster["ready"][colour] or "", end="")
elif verb == "rollout":
    sys.exit(rest[1].removeprefix("deployment/orders-api-") not in cluster["rolled_out"])
elif verb == "patch":
    name = rest[1]
    test, replace = json.loads(rest[rest.index("--patch") + 1])
    assert test["path"] == replace["path"] == "/spec/selector/colour"
    if test["value"] != cluster["services"][name] or cluster["raced"]:
        sys.exit("the test failed")
    cluster["services"][name] = replace["value"]
    file.write_text(json.dumps(cluster))
else:
    sys.exit(f"unknown: {{arguments}}")
"""


class Switch:
    """A cluster in which blue is live, and the script that changes that."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "cluster.json"
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL)
        kubectl.chmod(0o755)
        self._environ = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NAMESPACE": "shop"}
        self.given()

    def given(self, **changed: Any) -> None:
        """What the cluster holds, where it is not the usual."""
        usual = {
            "services": {"orders": "blue", "orders-preview": "green"},
            "ready": {"blue": 3, "green": 3},
            "rolled_out": ["blue", "green"],
            "raced": False,
        }
        self._file.write_text(json.dumps(usual | changed))

    def __call__(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [str(CHART / "blue-green.sh"), *arguments]
        return subprocess.run(
            command, env=self._environ | environ, capture_output=True, text=True, check=False
        )

    @property
    def colours(self) -> tuple[str, str]:
        """Which colour callers reach, and which the preview."""
        services = json.loads(self._file.read_text())["services"]
        return services["orders"], services["orders-preview"]


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    return Switch(tmp_path)


def test_callers_go_to_the_other_colour_and_back(switch: Switch) -> None:
    assert switch("status").stdout == "blue is live, ready: 3\ngreen waits, ready: 3\n"
    assert switch("switch", "green").returncode == 0
    assert switch.colours == ("green", "blue")
    assert switch("switch").returncode == 0
    assert switch.colours == ("blue", "green")


REFUSED = [
    ({"rolled_out": ["blue"]}, "green is not rolled out; blue stays live"),
    ({"ready": {"blue": 3, "green": 2}}, "green has 2 ready replicas, blue 3; blue stays live"),
    ({"ready": {"blue": 0, "green": 0}}, "green has 0 ready replicas, blue 0; blue stays live"),
    ({"raced": True}, "somebody else has switched"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_nobody_is_sent_where_nothing_answers(
    switch: Switch, given: dict[str, Any], why: str
) -> None:
    switch.given(**given)
    refused = switch("switch")
    assert refused.returncode == 1
    assert why in refused.stderr
    assert switch.colours == ("blue", "green")


def test_fewer_replicas_do_where_somebody_says_so(switch: Switch) -> None:
    switch.given(ready={"blue": 3, "green": 1})
    assert switch("switch", FEWER="1").returncode == 0
    assert switch.colours == ("green", "blue")


def test_a_colour_that_is_live_or_unknown_changes_nothing(switch: Switch) -> None:
    assert "blue is live already" in switch("switch", "blue").stderr
    assert "there is no colour red" in switch("switch", "red").stderr
    assert "say status" in switch("jump").stderr
    assert switch.colours == ("blue", "green")


def test_a_service_without_a_colour_is_left_alone(switch: Switch) -> None:
    switch.given(services={"orders": "", "orders-preview": ""})
    assert "service orders has no colour" in switch("switch").stderr
