"""Generate parts of `docs/*.md` from the code, or check that they match it.

A part is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from orders.application import errors as application_errors
from orders.application.access import ACCESS, Role
from orders.domain import errors as domain_errors
from orders.domain.actions import Action
from orders.domain.identifiers import PartId
from orders.domain.lifecycle import (
    TRANSITIONS,
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
    derive_fulfillment_status,
    derive_payment_status,
    derive_return_status,
)
from orders.domain.lines import Line
from orders.domain.pricing import Totals
from orders.domain.returns import Return, ReturnStatus
from orders.entrypoints.http.errors import EDGE_REFUSALS, STATUS
from orders.entrypoints.observability.metrics import metrics_table
from orders.entrypoints.settings.table import settings_table

DOCS = Path(__file__).parents[1] / "docs"
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check every page. Returns 1 if one differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the pages are")
    given = parser.parse_args(arguments)
    stale = [page for page in sorted(given.docs.glob("*.md")) if rewrite(page, given.check)]
    for page in stale:
        state = "differs from the code: run python infra/docs.py" if given.check else "written"
        print(f"{page.name} {state}")
    return int(given.check and bool(stale))


def rewrite(page: Path, check: bool) -> bool:
    """Update one page, unless `check`. Returns whether it was out of date."""
    old = page.read_text(encoding="utf-8")
    new = PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", old)
    if new != old and not check:
        page.write_text(new, encoding="utf-8")
    return new != old


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in lines
    )


def code(text: str) -> str:
    """Text as inline code; empty text stays empty."""
    return f"`{text}`" if text else ""


# -- the state machine -------------------------------------------------------------------------


def transitions() -> str:
    """The status after each command, for each status before."""
    return table(
        ["", *map(code, OrderStatus)],
        [
            [code(action), *(code(TRANSITIONS.get((status, action), "")) for status in OrderStatus)]
            for action in Action
        ],
    )


def diagram() -> str:
    """The changes from one status to another."""
    moves: dict[tuple[str, str], list[str]] = {}
    for (status, action), after in TRANSITIONS.items():
        if after is not status:
            moves.setdefault((status, after), []).append(action)
    ends = [status for status in OrderStatus if all(before != status for before, _ in moves)]
    lines = [
        "stateDiagram-v2",
        f"[*] --> {OrderStatus.PENDING}: place",
        *(f"{before} --> {after}: {', '.join(by)}" for (before, after), by in moves.items()),
        *(f"{status} --> [*]" for status in ends),
    ]
    return "```mermaid\n" + "\n    ".join(lines) + "\n```"


# -- the derived statuses ------------------------------------------------------------------------


class Rule(NamedTuple):
    """When a status applies, in words and as a predicate. The first match decides."""

    words: str
    fits: Callable[[Mapping[str, Any]], bool]
    status: str


def rules(
    cases: Iterable[tuple[Mapping[str, Any], str]], rules: Sequence[Rule], statuses: Iterable[str]
) -> str:
    """The rules as a table, after checking every case against them; each rule must decide one."""
    needed = set()
    for facts, status in cases:
        rule = next(rule for rule in rules if rule.fits(facts))
        if rule.status != status:
            raise AssertionError(f"{rule.words!r} returns {rule.status}, not {status}: {facts}")
        needed.add(rule)
    if needed != set(rules) or {rule.status for rule in rules} != set(statuses):
        raise AssertionError("a rule that never decides, or a status without a rule")
    return table(
        ["", "If", "Then"],
        [[str(place), rule.words, code(rule.status)] for place, rule in enumerate(rules, start=1)],
    )


def payment_cases() -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every combination of small amounts, with the status that the code computes."""
    nothing = Totals(subtotal=0, discount=0, tax=0, shipping=0, gross=0)
    for due, a, c, flags in product(range(3), range(3), range(3), product((0, 1), repeat=3)):
        in_flight, voided, failed = map(bool, flags)
        for r, k in product(range(c + 1), repeat=2):
            totals = replace(nothing, due=due, authorized=a, captured=c, refunded=r, charged_back=k)
            facts = {
                "due": due,
                "net": c - r - k,
                "a": a,
                "c": c,
                "r": r,
                "k": k,
                "in_flight": in_flight,
                "voided": voided,
                "failed": failed,
            }
            yield (
                facts,
                derive_payment_status(totals, in_flight=in_flight, voided=voided, failed=failed),
            )


def payment_status() -> str:
    """The rules of `payment_status`."""
    return rules(
        payment_cases(),
        [
            Rule(
                "nothing captured or authorised, a payment in flight",
                lambda f: not f["c"] and not f["a"] and f["in_flight"],
                "pending",
            ),
            Rule(
                "nothing captured or authorised, a payment voided",
                lambda f: not f["c"] and not f["a"] and f["voided"],
                "voided",
            ),
            Rule(
                "nothing captured or authorised, nothing due",
                lambda f: not f["c"] and not f["a"] and not f["due"],
                "not_required",
            ),
            Rule(
                "nothing captured or authorised, a payment failed",
                lambda f: not f["c"] and not f["a"] and f["failed"],
                "failed",
            ),
            Rule("nothing captured or authorised", lambda f: not f["c"] and not f["a"], "unpaid"),
            Rule(
                "nothing captured, authorised ≥ due",
                lambda f: not f["c"] and f["a"] >= f["due"],
                "authorized",
            ),
            Rule("nothing captured", lambda f: not f["c"], "partially_authorized"),
            Rule(
                "charged back, net < due", lambda f: f["k"] and f["net"] < f["due"], "charged_back"
            ),
            Rule("net > due", lambda f: f["net"] > f["due"], "overpaid"),
            Rule("net < due", lambda f: f["net"] < f["due"], "partially_paid"),
            Rule(
                "refunded or charged back, nothing due",
                lambda f: (f["r"] or f["k"]) and not f["due"],
                "refunded",
            ),
            Rule("refunded or charged back", lambda f: f["r"] or f["k"], "partially_refunded"),
            Rule("otherwise", lambda _: True, "paid"),
        ],
        OrderPaymentStatus,
    )


def possible_lines() -> Iterator[Line]:
    """Every line of two units that keeps its invariants."""
    line = Line(id=PartId("1"), sku="S", name="N", quantity=2, unit_price=1)
    for cancelled, undeliverable, allocated, shipped in product(range(3), repeat=4):
        if cancelled + undeliverable + allocated + shipped > line.quantity:
            continue
        for delivered in range(shipped + 1):
            for returned in range(delivered + 1):
                yield replace(
                    line,
                    cancelled=cancelled,
                    undeliverable=undeliverable,
                    allocated=allocated,
                    shipped=shipped,
                    delivered=delivered,
                    returned=returned,
                )
    yield replace(line, shippable=False)


def facts_of(lines: Sequence[Line]) -> Mapping[str, Any]:
    """Units over the shippable lines."""
    shippable = [line for line in lines if line.shippable]
    names = ("deliverable", "allocated", "shipped", "delivered", "returned")
    return {"shippable": bool(shippable)} | {
        name: sum(getattr(line, name) for line in shippable) for name in names
    }


def fulfillment_status() -> str:
    """The rules of `fulfillment_status`."""
    return rules(
        (
            (facts_of(lines), derive_fulfillment_status(lines))
            for lines in product(possible_lines(), repeat=2)
        ),
        [
            Rule("no line is shippable", lambda f: not f["shippable"], "not_required"),
            Rule("no unit is deliverable", lambda f: not f["deliverable"], "cancelled"),
            Rule(
                "delivered = deliverable", lambda f: f["delivered"] == f["deliverable"], "delivered"
            ),
            Rule("delivered > 0", lambda f: f["delivered"] > 0, "partially_delivered"),
            Rule("shipped = deliverable", lambda f: f["shipped"] == f["deliverable"], "shipped"),
            Rule("shipped > 0", lambda f: f["shipped"] > 0, "partially_shipped"),
            Rule("packed > 0", lambda f: f["allocated"] > 0, "in_progress"),
            Rule("otherwise", lambda _: True, "unfulfilled"),
        ],
        OrderFulfillmentStatus,
    )


def return_cases() -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every pair of lines with a return in every status, or none."""
    for lines in product(possible_lines(), repeat=2):
        for status in (None, *ReturnStatus):
            returns = [a_return(status)] if status else []
            awaited = status in {ReturnStatus.REQUESTED, ReturnStatus.APPROVED}
            yield {**facts_of(lines), "awaited": awaited}, derive_return_status(lines, returns)


def a_return(status: ReturnStatus) -> Return:
    """A return of one unit."""
    return Return(
        id=PartId("1"),
        items={},
        reason="r",
        created_at=datetime.min.replace(tzinfo=UTC),
        status=status,
    )


def return_status() -> str:
    """The rules of `return_status`."""
    return rules(
        return_cases(),
        [
            Rule(
                "returned = deliverable, and not 0",
                lambda f: f["returned"] > 0 and f["returned"] == f["deliverable"],
                "returned",
            ),
            Rule("returned > 0", lambda f: f["returned"] > 0, "partially_returned"),
            Rule("a return is requested or approved", lambda f: f["awaited"], "requested"),
            Rule("otherwise", lambda _: True, "none"),
        ],
        OrderReturnStatus,
    )


# -- tables of the other layers ------------------------------------------------------------------


def access() -> str:
    """The access table."""
    return table(
        ["Operation", "Scope", *map(code, Role)],
        [
            [code(operation), code(scope), *(reach(role) if role in roles else "" for role in Role)]
            for operation, (scope, roles) in ACCESS.items()
        ],
    )


def reach(role: Role) -> str:
    """The orders that a role with the operation reaches."""
    return {Role.CUSTOMER: "own", Role.INTEGRATOR: "scope"}.get(role, "yes")


def errors() -> str:
    """Every error that a client can get."""
    found = [*refusals(domain_errors), *refusals(application_errors)]
    rows = {error.code: (STATUS[error], first_line(error)) for error in found}
    rows |= EDGE_REFUSALS
    # Clients see `unauthenticated` for every invalid token, whatever its fault.
    del rows[application_errors.InvalidToken.code]
    return table(
        ["Code", "Status", "Meaning"],
        [[code(name), str(status.value), text] for name, (status, text) in sorted(rows.items())],
    )


def refusals(module: ModuleType) -> Iterator[Any]:
    """The errors of a layer, without their common base."""
    for _, error in inspect.getmembers(module, inspect.isclass):
        if error.__module__ == module.__name__ and error in STATUS:
            yield error


def first_line(thing: type) -> str:
    """The first paragraph of its docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def settings() -> str:
    """Every environment variable that the service reads."""
    return table(
        ["Variable", "Default", "Accepts", "Meaning"],
        [
            [
                code(row.name),
                "**required**" if row.default is None else code(row.default),
                row.accepts.replace("<", "&lt;"),
                row.meaning
                + (" (secret)" if row.secret else "")
                + (f"; or {code(row.file)}" if row.file else ""),
            ]
            for row in settings_table()
        ],
    )


def metrics() -> str:
    """Every metric of the service."""
    return table(
        ["Metric", "Kind", "Labels", "Meaning"],
        [
            [code(row.name), row.kind, ", ".join(map(code, row.labels)), row.meaning]
            for row in metrics_table()
        ],
    )


def databases() -> str:
    """What `make databases` saw last: the first table of its report."""
    report = (DOCS / "reports" / "databases.md").read_text(encoding="utf-8")
    return report[report.index("| Engine |") :].partition("\n\n")[0]


PARTS: Mapping[str, Callable[[], str]] = {
    "databases": databases,
    "transitions": transitions,
    "diagram": diagram,
    "payment-status": payment_status,
    "fulfillment-status": fulfillment_status,
    "return-status": return_status,
    "access": access,
    "errors": errors,
    "settings": settings,
    "metrics": metrics,
}

if __name__ == "__main__":
    sys.exit(main())
