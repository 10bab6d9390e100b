"""What a run has found, as a table, a plot and the raw figures."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench.contenders import FLOOR, SERVICE
from tests.bench.jobs import JOBS, RELAY
from tests.bench.plot import bars

PACKAGES: Final = ("litestar", "uvicorn", "httptools", "uvloop", "pymongo", "msgspec", "aiohttp")
BEGIN: Final = "<!-- measured -->"
END: Final = "<!-- end of what was measured -->"
_TARGETS: Final = {job.name: job.target for job in JOBS}


def versions() -> dict[str, str]:
    """What was measured."""
    return {
        "python": platform.python_version(),
        **{each: metadata.version(each) for each in PACKAGES},
    }


def figure(result: dict[str, Any], job: str, name: str, what: str) -> float | None:
    """The median over the rounds; None where it could not be told."""
    found = [each[job][name].get(what) for each in result["rounds"]]
    return median(found) if None not in found else None


def ratio(result: dict[str, Any], job: str, what: str = "cpu") -> float:
    """The median of the service's share of the floor, each pair of one round."""
    pairs = (each[job] for each in result["rounds"])
    return median(float(pair[SERVICE][what] / pair[FLOOR][what]) for pair in pairs)


def jobs_of(result: dict[str, Any]) -> list[str]:
    """The jobs in their order."""
    return list(result["rounds"][0])


def written(result: dict[str, Any], out: Path) -> None:
    """Write the raw figures, the tables and the plot next to each other."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    _write_tables(out.with_suffix(".md"), summary(result))
    jobs = jobs_of(result)
    out.with_suffix(".svg").write_text(
        bars(
            "CPU of one request, in microseconds",
            jobs,
            {
                name: [figure(result, job, name, "cpu") or 0 for job in jobs]
                for name in (SERVICE, FLOOR)
            },
            [f"{ratio(result, job):.2f} x" for job in jobs],
        )
    )


def _write_tables(page: Path, tables: str) -> None:
    """Write the tables where the page has its marks, or as the whole page."""
    text = page.read_text() if page.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n\n{tables}\n{end}{after}" if end else tables)


def summary(result: dict[str, Any]) -> str:
    """The tables."""
    parts = [
        _header(result),
        _cost(result),
        _speed(result),
        _half_load(result),
        _wire(result),
        _start(result),
        _growth(result),
        *([_scale(result)] if result["scale"] else []),
    ]
    return "\n\n".join(parts) + "\n"


def _header(result: dict[str, Any]) -> str:
    told = result["machine"] | {"database": result["database"]} | result["load"]
    lines = [f"- {name}: {value}" for name, value in told.items()]
    lines.append("- " + ", ".join(f"{name} {value}" for name, value in result["versions"].items()))
    return "\n".join(lines)


def _cost(result: dict[str, Any]) -> str:
    rows = []
    for job in jobs_of(result):
        target = _TARGETS.get(job)
        rows.append(
            [
                job,
                *(_whole(figure(result, job, name, "cpu")) for name in (SERVICE, FLOOR)),
                f"**{ratio(result, job):.2f}**",
                f"≤ {target}" if target else "",
                *(_whole(figure(result, job, name, "database_cpu")) for name in (SERVICE, FLOOR)),
            ]
        )
    return _table(
        "CPU of one request in µs, and the median of the paired ratios",
        ["", "service", "floor", "ratio", "target", "database under service", "under floor"],
        rows,
    )


def _speed(result: dict[str, Any]) -> str:
    rows = []
    for job in jobs_of(result):
        latencies = [
            " / ".join(_ms(figure(result, job, name, what)) for what in ("p50", "p95", "p99"))
            if job != RELAY
            else ""
            for name in (SERVICE, FLOOR)
        ]
        rates = [_whole(figure(result, job, name, "per_second")) for name in (SERVICE, FLOOR)]
        rows.append([job, *rates, f"**{ratio(result, job, 'per_second'):.2f}**", *latencies])
    return _table(
        "As fast as it goes: requests per second of one process, and p50 / p95 / p99 in ms",
        ["", "service", "floor", "ratio", "service, ms", "floor, ms"],
        rows,
    )


def _half_load(result: dict[str, Any]) -> str:
    rows = []
    for job, found in result["half load"].items():
        row = [job]
        for name in (SERVICE, FLOOR):
            turns = found[name]
            row.append(_whole(median(turn["per_second"] for turn in turns)))
            row.append(
                " / ".join(
                    _ms(median(turn[what] for turn in turns)) for what in ("p50", "p95", "p99")
                )
            )
            row.append(f"{median(turn['p99'] / turn['p50'] for turn in turns):.1f}")
        rows.append(row)
    return _table(
        "At half of what it sustains, medians of turns: requests per second, "
        "p50 / p95 / p99 in ms, and p99 over p50",
        ["", "service", "ms", "p99 / p50", "floor", "ms", "p99 / p50"],
        rows,
    )


def _wire(result: dict[str, Any]) -> str:
    rows = []
    for job, told in result["wire"][SERVICE].items():
        row = [job]
        for found in (told, result["wire"][FLOOR][job]):
            row.append(", ".join(f"{count:g} {name}" for name, count in found["commands"].items()))
            row.append(f"{found['bytes_out']:,.0f} / {found['bytes_in']:,.0f}")
        rows.append(row)
    return _table(
        "Round trips to the database, and bytes to / from it, of one request",
        ["", "service", "bytes", "floor", "bytes"],
        rows,
    )


def _start(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{told['seconds']:.2f}",
            f"{told['cpu_seconds']:.2f}",
            f"{told['resident_bytes'] / 2**20:.0f}",
            f"{result['resident_bytes after'][name] / 2**20:.0f}",
        ]
        for name, told in result["start"].items()
    ]
    return _table(
        "Start: seconds until ready, their CPU, and MiB of both processes then and at the end",
        ["", "s", "CPU s", "MiB", "MiB after the run"],
        rows,
    )


def _growth(result: dict[str, Any]) -> str:
    sizes = list(result["growth"])
    rows = [
        [step, *(f"{result['growth'][size][step]:,}" for size in sizes)]
        for step in result["growth"][sizes[0]]
    ]
    return _table("Bytes of an order's document over its life", ["", *sizes], rows)


def _scale(result: dict[str, Any]) -> str:
    sizes = list(result["scale"])
    rows = []
    for job in result["scale"][sizes[0]]:
        row = [job]
        for what in ("cpu", "database_cpu", "p99"):
            for size in sizes:
                found = [turn[what] for turn in result["scale"][size][job]]
                known = median(found) if found and None not in found else None
                row.append(_ms(known) if what == "p99" else _whole(known))
        rows.append(row)
    heads = [f"{what}, {int(size):,}" for what in ("CPU", "database", "p99 ms") for size in sizes]
    return _table("With so many orders stored: µs of one request", ["", *heads], rows)


def _whole(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value / 1_000:.1f}"


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    lines = [f"**{title}**", "", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
