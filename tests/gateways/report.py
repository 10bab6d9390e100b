"""The report: what each gateway did, as the script saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.gateways.checks import FORGED, FORGERIES, Journey, Lost
from tests.gateways.draining import CLIENTS, Load
from tests.gateways.processes import GATEWAYS

REPORT: Final = Path(__file__).parents[2] / "docs" / "reports" / "gateways.md"
_HEAD: Final = """\
# Behind gateways

`make gateways` starts each gateway on the loopback in front of two API replicas (with a worker,
the payment sandbox and the embedded database): as it comes (*stock*), with
[the configuration of the guide](../gateways.md), and with the guide's compression. A client has the
address 127.0.0.2, the gateway is the trusted proxy 127.0.0.1.
"""


@dataclass
class Findings:
    """What was seen of one gateway; keys are modes, unless said otherwise."""

    version: str
    journeys: dict[str, dict[str, Journey]] = field(default_factory=dict)
    clients: dict[str, dict[str, str]] = field(default_factory=dict)
    ambiguous: dict[str, dict[str, int]] = field(default_factory=dict)
    lost: dict[str, Lost] = field(default_factory=dict)
    uploads: dict[str, tuple[float, int]] = field(default_factory=dict)
    offers: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    load: Load | None = None

    def wrong(self) -> list[str]:
        """What broke a promise; as it comes, a gateway may pass a forged address on."""
        found = [
            f"{mode}, {coding}: {each}"
            for mode, by_coding in self.journeys.items()
            for coding, each in by_coding.items()
            if not each.is_right
        ]
        found += [
            f"documented, {name}: client {address}"
            for name, address in self.clients["documented"].items()
            if address not in {"127.0.0.2", "refused: 400"}
        ]
        found += [
            f"documented, {name}: {n}"
            for name, n in self.ambiguous["documented"].items()
            if n not in {400, 415}
        ]
        for mode, lost in self.lost.items():
            if (lost.retried, lost.was_replayed, lost.times_done) != (200, True, 1):
                found.append(f"{mode}: {lost}")
        found += [f"{mode}, an offer: {n}" for mode, n in self.offers.items() if n != 201]
        found += [f"{mode}, Expect: {n}" for mode, (_, n) in self.uploads.items() if n != 201]
        found += self._wrong_sizes()
        if self.load is not None and self.load.failures:
            found.append(f"draining: {self.load}")
        return found

    def _wrong_sizes(self) -> list[str]:
        right = {"1 MiB": {422}, "1 MiB + 1": {413, 0}, "12 KiB of headers": {200}}
        given = self.sizes["documented"]
        return [f"{name}: {given[name]}" for name in right if given[name] not in right[name]]


def report(findings: Mapping[str, Findings]) -> str:
    """The report of these gateways."""
    parts = [
        _HEAD,
        _table(["Gateway", "Version"], [[name, each.version] for name, each in findings.items()]),
        _tags(findings),
        _addresses(findings),
        _single_fields(findings),
        _lost_answers(findings),
        _others(findings),
        _drained(findings),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def merged(old: str, new: str) -> str:
    """A new report, with the rows that an old one has of other gateways."""
    before = {_title(section): _rows(section) for section in old.split("\n## ")}
    parts = []
    for section in new.split("\n## "):
        own = _rows(section)
        names = {_gateway(row) for row in own}
        kept = [row for row in before.get(_title(section), ()) if _gateway(row) not in names]
        rows = sorted([*own, *kept], key=lambda row: [*GATEWAYS].index(_gateway(row)))
        parts.append(section.replace("\n".join(own), "\n".join(rows)))
    return "\n## ".join(parts)


def _title(section: str) -> str:
    return section.partition("\n")[0]


def _rows(section: str) -> list[str]:
    return [line for line in section.splitlines() if _gateway(line) in GATEWAYS]


def _gateway(row: str) -> str:
    return row.removeprefix("| ").partition(" |")[0] if row.startswith("| ") else ""


def _tags(findings: Mapping[str, Findings]) -> str:
    rows = [
        [name, mode, coding, each.coding or "plain", f"`{each.tag}`" if each.tag else "none",
         str(each.unchanged), str(each.changed), str(each.stale), str(each.by_version)]
        for name, found in findings.items()
        for mode, by_coding in found.journeys.items()
        for coding, each in by_coding.items()
        if each.coding or coding == "gzip"
    ]  # fmt: skip
    head = [
        "Gateway", "Mode", "Accept-Encoding", "Came as", "ETag", "If-None-Match", "If-Match",
        "stale", "version in quotes",
    ]  # fmt: skip
    return _section(
        "Conditional requests",
        "An order of version 1 is read, read again with the tag as received, edited with it,\n"
        "edited with it again, and edited with the version of the body in quotes. Expected: 304,\n"
        "200, 412, 200. *Forced* is compression with `no-transform` taken out of the service's\n"
        "responses. The other codings (identity; deflate, br and zstd where the gateway has none)\n"
        "gave plain responses, and the same statuses.",
        _table(head, rows),
    )


def _addresses(findings: Mapping[str, Findings]) -> str:
    rows = [
        [name, mode, *(_marked(found.clients[mode][each]) for each in FORGERIES)]
        for name, found in findings.items()
        for mode in found.clients
    ]
    return _section(
        "Forged addresses",
        "The client's address in the audit log, by what the client forged. Bold is believed,\n"
        "though the client made it up: as they come, these gateways do not write the header.",
        _table(["Gateway", "Mode", *FORGERIES], rows),
    )


def _marked(address: str) -> str:
    return f"**{address}**" if address in {FORGED, "192.0.2.1"} else address


def _single_fields(findings: Mapping[str, Findings]) -> str:
    names = list(next(iter(findings.values())).ambiguous["stock"])
    rows = [
        [name, mode, *(str(statuses[each]) for each in names)]
        for name, found in findings.items()
        for mode, statuses in found.ambiguous.items()
    ]
    return _section(
        "Fields of which there may be one",
        "The status of an order that is sent with them. As it comes, nginx puts the service's own\n"
        "address into Host, whatever the client sent.",
        _table(["Gateway", "Mode", *names], rows),
    )


def _lost_answers(findings: Mapping[str, Findings]) -> str:
    rows = [
        [name, mode, str(each.arrived), str(each.status or "closed"),
         f"{each.retried}{', replayed' if each.was_replayed else ''}", str(each.times_done)]
        for name, found in findings.items()
        for mode, each in found.lost.items()
    ]  # fmt: skip
    head = ["Gateway", "Mode", "Times sent", "The client gets", "Its retry gets", "Times done"]
    return _section(
        "A lost answer",
        "A cancellation without a body is done, and the connection closes before the answer: how\n"
        "often the gateway sent it, and what became of it.",
        _table(head, rows),
    )


def _others(findings: Mapping[str, Findings]) -> str:
    names = list(next(iter(findings.values())).sizes["stock"])
    rows = [
        [name, mode, str(found.offers[mode]), f"{found.uploads[mode][1]}, {_held(found, mode)}",
         *(str(found.sizes[mode][each] or "closed") for each in names)]
        for name, found in findings.items()
        for mode in found.sizes
    ]  # fmt: skip
    return _section(
        "Offers, `Expect` and sizes",
        "An order whose client offers HTTP/2; one whose client sends the body when it is asked to\n"
        "(or after 5 s); a body of 1 MiB (422: it is no order), one that is larger, long headers.",
        _table(["Gateway", "Mode", "Upgrade", "Expect", *names], rows),
    )


def _held(found: Findings, mode: str) -> str:
    return f"{found.uploads[mode][0]:.1f} s"


def _drained(findings: Mapping[str, Findings]) -> str:
    rows = [
        [name, f"{each.load.placed:,}", str(each.load.failures.total())]
        for name, each in findings.items()
        if each.load is not None
    ]
    return _section(
        "Draining",
        f"{CLIENTS} clients place orders through the gateway without pausing, while each replica\n"
        "is stopped with SIGTERM and started again. The clients do not retry.",
        _table(["Gateway", "Placed", "Failed"], rows),
    )


def _section(title: str, text: str, table: str) -> str:
    return f"## {title}\n\n{text}\n\n{table}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
