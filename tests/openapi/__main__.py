"""Lint the published OpenAPI documents, and validate answers of the service against them.

`python -m tests.openapi`. Needs Node; the validators in Go and Rust run where these are installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orders.entrypoints.published.schema import render
from tests.openapi.lint import PACKAGES, Lint, linted
from tests.openapi.validators import Check, validated

DOCUMENTS = ("openapi", "openapi-3.0")


def main() -> int:
    """Returns 1 for an error, a warning that is not excused, or an excuse that nothing needs."""
    arguments = argparse.ArgumentParser(prog="python -m tests.openapi", description=__doc__)
    arguments.add_argument("--report", type=Path, help="write the report to this file")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="orders-openapi-") as folder:
        files = [Path(folder, f"{name}.json") for name in DOCUMENTS]
        for file in files:
            file.write_text(render(file.stem), encoding="utf-8")
        lint = linted(files)
        checks = validated(Path(folder), files)
    report = "\n".join(_report(lint, checks))
    if chosen.report:
        chosen.report.write_text(report, encoding="utf-8")
    sys.stdout.write(report)
    return int(bool(lint.open or lint.idle) or any(check.failed for check in checks))


def _report(lint: Lint, checks: Sequence[Check]) -> Iterator[str]:
    tools = ", ".join(f"{name} {version}" for name, version in PACKAGES.items())
    yield "# The OpenAPI documents, linted and validated\n"
    yield f"Command: `make lint-openapi`, {datetime.now(UTC):%Y-%m-%d}. {tools}, standard rules.\n"
    yield "| Document | Tool | Errors | Warnings | excused |"
    yield "|---|---|---|---|---|"
    for document in DOCUMENTS:
        for tool in ("spectral", "redocly"):
            found = [f for f in lint.findings if (f.document, f.tool) == (document, tool)]
            errors = sum(each.severity == "error" for each in found)
            excused = sum(each not in lint.open for each in found)
            yield f"| {document} | {tool} | {errors} | {len(found) - errors} | {excused} |"
    yield from _reasons(lint)
    yield "\n## Validators\n"
    for check in checks:
        yield f"- {check.name}: {check.said or 'not run, the language is not installed'}"
    yield ""


def _reasons(lint: Lint) -> Iterator[str]:
    if lint.excuses:
        yield "\n## Excused\n"
    for excuse in lint.excuses:
        count = Counter(excuse.covers(each) for each in lint.findings)[True]
        yield f"- {excuse.tool} `{excuse.rule}` ({count}): {excuse.why}"
    for found in lint.open:
        yield f"- **{found.severity}** {found.tool} `{found.rule}` {found.where}: {found.text}"
    for excuse in lint.idle:
        yield f"- **nothing needs the excuse** {excuse.tool} `{excuse.rule}` {excuse.where}"


if __name__ == "__main__":
    raise SystemExit(main())
