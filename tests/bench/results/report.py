"""What a run has found, as a table, a plot and the raw figures."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.bench.jobs import JOBS, RELAY
from tests.bench.results.plot import bars
from tests.bench.rigs.contenders import FLOOR, SERVICE

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
        *(_half_load(label, found) for label, found in result["half load"].items()),
        _wire(result),
        _start(result),
        _growth(result),
        *([_processes(result["processes"])] if "processes" in result else []),
        *([scale_table(result["scale"])] if "scale" in result else []),
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
        "At maximum rate: requests per second of one process, and p50 / p95 / p99 in ms",
        ["", "service", "floor", "ratio", "service, ms", "floor, ms"],
        rows,
    )


def _half_load(label: str, jobs: dict[str, Any]) -> str:
    rows = []
    for job, found in jobs.items():
        row = [job]
        for name in (SERVICE, FLOOR):
            turns = found[name]
            row.append(_whole(_median(turn["per_second"] for turn in turns)))
            row.append(
                " / ".join(
                    _ms(_median(turn[what] for turn in turns)) for what in ("p50", "p95", "p99")
                )
            )
            tails = sorted(turn["p99"] / turn["p50"] for turn in turns)
            row.append(f"{median(tails):.1f}, {tails[0]:.1f}" if tails else "?")
        rows.append(row)
    return _table(
        f"At half of the maximum rate, {label}, medians of rounds: requests per second, "
        "p50 / p95 / p99 in ms, and p99 / p50 in the median round and in the best",
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


def scale_table(scale: dict[str, Any]) -> str:
    """What each job costs with so many orders stored, and beside the fewest."""
    sizes = list(scale)
    rows = []
    for job, fewest in scale[sizes[0]].items():
        row = [job]
        for what in ("cpu", "database_cpu"):
            row += [_whole(_median(turn and turn[what] for turn in scale[n][job])) for n in sizes]
        for size in sizes[1:]:
            pairs = zip(scale[size][job], fewest, strict=False)
            more = _median(turn and few and turn["cpu"] / few["cpu"] for turn, few in pairs)
            row.append("?" if more is None else f"{more - 1:+.0%}")
        row += [_ms(_median(turn and turn["p99"] for turn in scale[n][job])) for n in sizes]
        rows.append(row)
    heads = [f"{what}, {int(size):,}" for what in ("CPU", "database") for size in sizes]
    heads += [f"CPU, {int(size):,} against {int(sizes[0]):,}" for size in sizes[1:]]
    heads += [f"p99 ms, {int(size):,}" for size in sizes]
    return _table(
        "By the number of stored orders: µs of one request, the median of the paired changes, and "
        "p99 at maximum rate",
        ["", *heads],
        rows,
    )


def _processes(found: dict[str, Any]) -> str:
    rows = []
    for job in next(iter(found.values())):
        row = [job]
        for what in ("cpu", "per_second"):
            row += [_whole(_median(turn[what] for turn in jobs[job])) for jobs in found.values()]
        rows.append(row)
    heads = [f"{what} of {number}" for what in ("CPU", "per second") for number in found]
    return _table(
        "With 1, 2 and 4 processes on these cores: µs of one request, and requests per second",
        ["", *heads],
        rows,
    )


def _median(figures: Iterable[float | None]) -> float | None:
    """The figure in the middle; None if one of them could not be told."""
    found = list(figures)
    return median(each for each in found if each) if found and None not in found else None


def _whole(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value / 1_000:.1f}"


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    lines = [f"**{title}**", "", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
