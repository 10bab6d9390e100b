"""What the long run has seen, as a page of `docs/reports/`."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Final, get_args

from orders.domain.events import OrderEvent
from tests.domain.machine.driving import REFUSED
from tests.domain.machine.long_run import Found
from tests.domain.machine.planted import Planted

EVENTS: Final = sorted(each.__name__ for each in get_args(OrderEvent))


def report(steps: int, found: Found, planted: Sequence[Planted], *, seconds: float) -> str:
    """The page. `seconds` is how long all of it took."""
    seen = found.seen
    refusals = {name.removeprefix(REFUSED): n for name, n in seen.items() if REFUSED in name}
    codes = ", ".join(f"{code} {times:,}" for code, times in Counter(refusals).most_common())
    return f"""# One order under everything that can happen to it

Random commands and facts drive one order. After every step, a machine compares the order with
rules, amounts and books that it works out separately (`tests/domain/machine/`).

- Command: `make properties`
- Versions: Python {platform.python_version()}, Hypothesis {version("hypothesis")}
- {seen["runs"]:,} runs of {steps} steps in {seconds / 60:.0f} minutes, beside other work
- **Violations: {len(found.failures)}**

## Faults that are planted

Each is a patch of the running code. The machine then runs until it finds a broken rule.

| Fault | Found after runs | By the rule |
|---|---:|---|
{_rows(f"{each.name} | {each.runs or 'not found'} | {each.rule}" for each in planted)}

## What happened in the runs

| Event | Times |
|---|---:|
{_rows(f"{name} | {seen[name]:,}" for name in EVENTS)}

Commands that were refused, by code: {codes}.
"""


def _rows(rows: Iterable[str]) -> str:
    return "\n".join(f"| {row} |" for row in rows)
