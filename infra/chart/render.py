"""Render the chart and check it with Helm's lint and the schemas of Kubernetes.

Runs in the environment of `make tools`. Reads a JSON list of values from standard input; writes
a JSON list with, for each, its `manifests` and its `problems`: lines of text.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from helm_python import HelmError
from helm_python.chart import Chart, lint

CHART = Path(__file__).parent
VERSIONS = ("1.30", "1.35", "1.36", "1.37")
"""The oldest version that the chart supports, and the newest version."""
_OF_OPERATORS = "monitoring.coreos.com/v1"  # their schemas are the operator's


def main() -> None:
    """Return the result for every set of values."""
    given = json.load(sys.stdin)
    with Chart.load(CHART) as chart:
        json.dump([_rendered(chart, values) for values in given], sys.stdout)


def _rendered(chart: Chart, values: dict[str, Any]) -> dict[str, Any]:
    try:
        chart.validate_schema(values)
        rendered = chart.render(values, name="orders", namespace="shop")
    except HelmError as refusal:
        return {"manifests": [], "problems": [str(refusal)]}
    report = lint(CHART, values, strict=True, namespace="shop", quiet=True)
    documents = [
        document
        for text in rendered.values()
        for document in yaml.safe_load_all(text)
        if document is not None
    ]
    problems = [*report["errors"], *(line for each in documents for line in _faults(each))]
    return {"manifests": documents, "problems": problems}


def _faults(manifest: dict[str, Any]) -> list[str]:
    found = []
    if manifest["apiVersion"] != _OF_OPERATORS:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as fault:
                place = ".".join(map(str, fault.path))
                name = f"{manifest['kind']} {manifest['metadata']['name']}"
                found.append(f"{name}: {place}: {fault.message} ({version})")
    return found


if __name__ == "__main__":
    logging.disable()
    main()
