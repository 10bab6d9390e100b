"""The output of a replay: progress, outcomes of the invoices, the balance.

If the output is no terminal, it has plain lines without control characters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from orders.entrypoints.sandbox.replay.balance import Balance, Money
from orders.entrypoints.sandbox.replay.journey import CURRENCY
from orders.entrypoints.sandbox.replay.outcomes import Outcome, OutcomeKind

_MAX_NAMED: Final = 40
_MIN_WIDTH: Final = 100
_ORDERS: Final = frozenset({OutcomeKind.PLACED, OutcomeKind.REPLAYED, OutcomeKind.UNFINISHED})


class Report:
    """Writes to standard output."""

    def __init__(self) -> None:
        """Prepare for a terminal or a file."""
        plain = Console(markup=False, highlight=False, emoji=False)
        # A file has no width: each line is as long as it needs to be.
        wide = None if plain.is_terminal else max(plain.width, _MIN_WIDTH)
        self._console = Console(markup=False, highlight=False, emoji=False, width=wide)

    def begin(self, file: str, invoices: int, url: str) -> None:
        """Print what will be done."""
        self._console.print(f"{invoices} invoices of {file} to {url}", soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show the progress; the callable counts one more."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self._console, disable=not self._console.is_terminal
        ) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Show how many invoices had each outcome, and name those that need attention."""
        groups: dict[tuple[OutcomeKind, str], list[str]] = {}
        for outcome in outcomes:
            groups.setdefault((outcome.kind, outcome.reason), []).append(outcome.invoice)
        table = Table("outcome", box=box.SIMPLE)
        table.add_column("invoices", justify="right")
        table.add_column("which", overflow="fold")
        for kind in OutcomeKind:
            counted = {reason: who for (each, reason), who in groups.items() if each is kind}
            for row in _rows(kind, counted):
                table.add_row(*row)
        self._console.print(table)

    def balance(self, compared: Balance, *, orders: int, earlier: int) -> None:
        """Show the money of both sides and the difference.

        `orders` is the number of orders from the file, `earlier` of those that it returns units of.
        """
        others = f" and {earlier} earlier ones that cancellations fit" if earlier else ""
        self._console.print(f"Money of {orders} orders{others}", soft_wrap=True)
        table = Table(CURRENCY, box=box.SIMPLE)
        for side in ("in the orders", "in the ledger", "difference"):
            table.add_column(side, justify="right")
        for name in ("captured", "refunded", "charged_back", "net"):
            ours, theirs = (_amount(side, name) for side in (compared.orders, compared.ledger))
            amounts = map(_pounds, (ours, theirs, ours - theirs))
            table.add_row(name.replace("_", " "), *amounts)
        self._console.print(table)

    def no_ledger(self) -> None:
        """Print that the money was not compared."""
        self._console.print("No ledger was given, so the money is not compared.")

    def end(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Print the duration."""
        orders = sum(outcome.kind in _ORDERS for outcome in outcomes)
        self._console.print(
            f"{orders} orders in {seconds:.1f} s: {orders / seconds:.1f} orders per second",
            soft_wrap=True,
        )


def _rows(kind: OutcomeKind, invoices: Mapping[str, list[str]]) -> Iterator[tuple[str, str, str]]:
    """Return the rows of an outcome; placed, replayed and refused are always shown."""
    if not invoices and kind in {OutcomeKind.PLACED, OutcomeKind.REPLAYED, OutcomeKind.REFUSED}:
        yield str(kind), "0", ""
    for reason, numbers in sorted(invoices.items(), key=lambda each: -len(each[1])):
        name = f"{kind}: {reason}" if reason else str(kind)
        yield name, f"{len(numbers)}", _named(numbers) if reason else ""


def _named(numbers: Sequence[str]) -> str:
    more = len(numbers) - _MAX_NAMED
    shown = " ".join(sorted(numbers)[:_MAX_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def _amount(money: Money, name: str) -> int:
    amount: int = getattr(money, name)
    return amount


def _pounds(pence: int) -> str:
    sign = "-" if pence < 0 else ""
    return f"{sign}{abs(pence) // 100:,}.{abs(pence) % 100:02}"
