"""What came of a day, as a page of `docs/reports/`."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import version

from tests.shop_day.day import Day, Money
from tests.shop_day.life import Life


def report(day: Day, *, command: str, seconds: float, requests: int) -> str:
    """The page."""
    statuses = Counter(life.order.get("status", "never placed") for life in day.lives)
    counted = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    versions = f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in ("litestar", "pymongo", "secantusdb")
    )
    return f"""# A shop's day

{len(day.lives)} orders through the HTTP API, over the sandbox's payment service and its
webhooks, an API process, a worker and a database. Prices include 7 % and 19 % tax. The script keeps
a journal of money outside the payment service. At the end, each order is compared with the payment
service's ledger and with that journal.

- Command: `{command}`
- Versions: {versions}
- {requests:,} requests in {seconds / 60:.1f} minutes, beside other work
- Orders at the end: {counted}
- **Orders whose books differ: {len(day.differing)}**

| Cents | Orders | Payment service's ledger | Journal by hand | Difference |
|---|---:|---:|---:|---:|
{_rows(_amounts(day))}

## Ways to pay

| Way | Orders | Completed | Cancelled | Other |
|---|---:|---:|---:|---:|
{_rows(_table(day.lives, lambda life: life.way))}

## What befell them

| What | Orders | Completed | Cancelled | Other |
|---|---:|---:|---:|---:|
{_rows(_table(day.lives, lambda life: life.twist))}

## Neither completed nor cancelled

| Order | Paid by | What befell it | Why |
|---:|---|---|---|
{_rows(_others(day))}
"""


def _amounts(day: Day) -> Iterable[str]:
    for name in ("captured", "refunded", "charged_back", "net"):
        sides = [_amount(side, name) for side in (day.orders, day.ledger, day.journal)]
        ours, ledger, journal = sides
        row = [*sides, ours - ledger - journal]
        yield " | ".join([name.replace("_", " "), *(f"{amount:,}" for amount in row)])


def _amount(money: Money, name: str) -> int:
    amount: int = getattr(money, name)
    return amount


def _table(lives: Iterable[Life], kind: Callable[[Life], str]) -> Iterable[str]:
    kinds: dict[str, Counter[str]] = {}
    for life in lives:
        kinds.setdefault(kind(life), Counter())[life.order.get("status", "never placed")] += 1
    for name, statuses in kinds.items():
        done = [statuses["completed"], statuses["cancelled"]]
        row = [statuses.total(), *done, statuses.total() - sum(done)]
        yield " | ".join([name, *map(str, row)])


def _others(day: Day) -> Iterable[str]:
    lives = {life.number: life for life in day.lives}
    for number, why in sorted(day.open.items()):
        yield f"{number} | {lives[number].way} | {lives[number].twist} | {why}"


def _rows(rows: Iterable[str]) -> str:
    return "\n".join(f"| {row} |" for row in rows)
