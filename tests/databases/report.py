"""docs/reports/databases.md, and the results that it shows: the last of each engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from tests.databases.contracts import ROOT, Outcome
from tests.databases.day import KILLS, Day
from tests.databases.forms import Forms

REPORT: Final = ROOT / "docs" / "reports" / "databases.md"
_RESULTS: Final = REPORT.with_suffix(".json")


class Tried(NamedTuple):
    """One engine, and all that was seen on it."""

    engine: str
    version: str
    tried_with: str
    """The day, and the versions of Python and of the driver."""
    contracts: Outcome
    file: str
    """The day that was replayed."""
    day: Day | None
    forms: Forms | None

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        differing = self.forms.differing if self.forms else 0
        form = [f"{differing} orders differ after their form changed"] if differing else []
        return [*self.contracts.failed, *(self.day.faults if self.day else ()), *form]


def known() -> list[Tried]:
    """Return what was seen so far."""
    if not _RESULTS.exists():
        return []
    return msgspec.json.decode(_RESULTS.read_bytes(), type=list[Tried])


def add(tried: Tried) -> None:
    """Put an engine's results in the place of its last ones, and write the report."""
    others = [each for each in known() if each.engine != tried.engine]
    results = sorted([*others, tried], key=lambda each: each.engine.lower())
    _RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    REPORT.write_text(report(results), encoding="utf-8")


def report(tried: Sequence[Tried]) -> str:
    """Return the text of the report."""
    lines = [
        "# Databases",
        "",
        "Written by `make databases`. On each engine: the tests in `tests/contract/mongo`, a real",
        f"day through the HTTP API while its worker was killed {KILLS} times, and the upgrade of",
        "the stored form. MongoDB itself was not at hand: see [verification.md](verification.md).",
        "",
        "| Engine | Version | Contract tests passed | Failed | Excused | The day, to the penny |",
        "|---|---|---|---|---|---|",
        *map(_row, tried),
        "",
        *(f"- {each.engine}: {each.tried_with}." for each in tried),
        "",
        *_days(tried),
        *_forms(tried),
        *_excused(tried),
        *_faults(tried),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _row(tried: Tried) -> str:
    contracts, day = tried.contracts, tried.day
    money = "" if day is None else "no" if day.faults else f"net {day.net}"
    return (
        f"| {tried.engine} | {tried.version} | {contracts.passed} | {len(contracts.failed)} | "
        f"{sum(contracts.excused.values())} | {money} |"
    )


def _days(tried: Sequence[Tried]) -> Iterator[str]:
    yield from (
        "## The day",
        "",
        "The orders and the payment service's ledger agree on the amount. The feed has no gap, and",
        "has every event of every order once and in order, although the worker was killed.",
        "",
        "| Engine | Day | Orders | Events | Seconds |",
        "|---|---|---|---|---|",
    )
    for each in tried:
        if (day := each.day) is not None:
            yield (
                f"| {each.engine} | {each.file} | {day.orders} | {day.events} | {day.seconds:.0f} |"
            )
    yield ""


def _forms(tried: Sequence[Tried]) -> Iterator[str]:
    yield from (
        "## The stored form",
        "",
        "`orders migrate` from form 1 to form 2 and back; afterwards all orders were as before.",
        "Seconds and peak memory are those of its process, with its start, on a busy machine.",
        "",
        "| Engine | Orders | Forward | Back |",
        "|---|---|---|---|",
    )
    for each in tried:
        if (forms := each.forms) is not None:
            cells = [
                f"{change.seconds:.1f} s"
                + (f", {change.megabytes:.0f} MB" if change.megabytes else "")
                for change in (forms.forward, forms.back)
            ]
            yield f"| {each.engine} | {forms.orders:,} | {cells[0]} | {cells[1]} |"
    yield ""


def _excused(tried: Sequence[Tried]) -> Iterator[str]:
    yield from ("## Excused", "", "| Engine | Its limit | Tests |", "|---|---|---|")
    for each in tried:
        for reason, count in each.contracts.excused.items():
            yield f"| {each.engine} | {reason} | {count} |"
    yield ""


def _faults(tried: Sequence[Tried]) -> Iterator[str]:
    faults = [f"- {each.engine}: {fault}" for each in tried for fault in each.faults]
    if faults:
        yield from ("## Faults", "", *faults)
