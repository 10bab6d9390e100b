"""The chart as Helm renders it, in the environment of `make tools`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "infra" / "chart"
TOOLS: Final = ROOT / ".venv-tools" / "bin"
VALUE_SETS: Final = tuple(sorted(file.stem for file in (CHART / "ci").glob("*.yaml")))

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be applied, and what is wrong with it."""

    manifests: list[Json]
    problems: list[str]

    def of(self, kind: str) -> dict[str, Json]:
        """The manifests of a kind, by name."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] == kind}

    def pods(self) -> dict[str, Json]:
        """The specification of every kind of pod."""
        owners = {**self.of("Deployment"), **self.of("Job")}
        return {name: each["spec"]["template"]["spec"] for name, each in owners.items()}

    def environment(self, name: str) -> dict[str, Json]:
        """What the container of a pod is told, by variable."""
        (container,) = self.pods()[name]["containers"]
        return {each["name"]: each for each in container["env"]}


def tool(name: str) -> str:
    """A program of `make tools`, or the test is skipped with the reason."""
    if not (TOOLS / name).exists():
        pytest.skip(f"no {name}: make tools")
    return str(TOOLS / name)


def values(name: str) -> Json:
    """One of the sets of values that stand beside the chart."""
    given: Json = yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())
    return given


def rendered(sets: Sequence[Json]) -> list[Rendered]:
    """The chart with each of these values."""
    done = subprocess.run(
        [tool("python"), str(CHART / "render.py")],
        input=json.dumps(list(sets)),
        capture_output=True,
        text=True,
        check=True,
    )
    return [Rendered(each["manifests"], each["problems"]) for each in json.loads(done.stdout)]
