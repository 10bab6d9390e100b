"""Invoices from a CSV file with the columns of the Online Retail data set.

One row is one line of an invoice. A number that begins with C cancels earlier sales.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from orders.entrypoints.failures import CommandFailed

COLUMNS: Final = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
SERVICES: Final = frozenset(
    {"AMAZONFEE", "B", "BANK CHARGES", "C2", "CRUK", "D", "DOT", "M", "PADS", "POST", "S"}
)
"""Stock codes of carriage, fees, discounts and manual work: the shop charges for them, but they
cannot be shipped or returned.
"""

_NUMBER = re.compile(r"[\x21-\x7e]{1,64}\Z")
_ACCOUNTING = re.compile(r"A[0-9]+\Z")
_QUANTITY = re.compile(r"(-?[0-9]{1,9})(?:\.0)?\Z")
_PRICE = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,10})?\Z")
# As published, as spreadsheets shorten it, and as in the copies with American dates.
_DATES: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%m/%d/%Y %H:%M")


class FileUnusable(CommandFailed):
    """The file as a whole cannot be replayed; the message says why."""

    exit_code = 2


class NotAnOrder(Exception):
    """An invoice that cannot be an order; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """Units of an article. `unit_price` is in pence; `quantity` is positive in returns, too."""

    sku: str
    name: str
    quantity: int
    unit_price: int

    @property
    def shippable(self) -> bool:
        """Whether it goes into a parcel."""
        return self.sku.upper() not in SERVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """One purchase or return of a customer. `date` is ISO 8601 in the shop's local time.

    Without a `customer_id`, the customer is a guest.
    """

    number: str
    customer_id: str | None
    date: str
    country: str
    lines: tuple[InvoiceLine, ...]

    @property
    def is_cancellation(self) -> bool:
        """Whether it cancels earlier sales."""
        return _is_cancellation(self.number)

    @property
    def total(self) -> int:
        """The sum of its lines in pence."""
        return sum(line.quantity * line.unit_price for line in self.lines)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An invoice that cannot be an order, and why. Its number can be printed."""

    number: str
    reason: str


def read_invoices(path: Path) -> tuple[list[Invoice], list[Refusal]]:
    """The file's invoices in the order of their first lines, and those that cannot be orders.

    Raises:
        FileUnusable: If there is no such file, or it is no CSV, lacks a column or has no row.
    """
    rows_by_number: dict[str, list[Mapping[str, str | None]]] = {}
    for row in _rows(path):
        rows_by_number.setdefault((row["InvoiceNo"] or "").strip(), []).append(row)
    if not rows_by_number:
        raise FileUnusable(f"{path} has no invoice in it")
    invoices: list[Invoice] = []
    refusals: list[Refusal] = []
    for number, rows in rows_by_number.items():
        try:
            invoices.append(_invoice(number, rows))
        except NotAnOrder as reason:
            shown = number if _NUMBER.match(number) else ascii(number[:64])
            refusals.append(Refusal(shown, str(reason)))
    return invoices, refusals


def _rows(path: Path) -> Iterator[dict[str, str | None]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        columns = reader.fieldnames or ()
        missing = [name for name in COLUMNS if name not in columns]
        if missing and not columns:
            raise FileUnusable(f"{path} is empty")
        if missing:
            raise FileUnusable(f"{path} has no column {', '.join(missing)}")
        yield from reader
    except csv.Error as error:
        raise FileUnusable(f"{path} is no CSV: line {reader.reader.line_num}: {error}") from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"cannot read {path}: {error.strerror}") from error
    # Latin-1 decodes any bytes, so this check finds spreadsheets and UTF-16.
    if b"\0" in content:
        raise FileUnusable(f"{path} is neither UTF-8 nor Latin-1 text: save it as CSV")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _invoice(number: str, rows: list[Mapping[str, str | None]]) -> Invoice:
    if not _NUMBER.match(number):
        raise NotAnOrder("no usable invoice number")
    if _ACCOUNTING.match(number):
        raise NotAnOrder("a correction of the accounts, not a sale")
    if any(None in row or None in row.values() for row in rows):
        raise NotAnOrder("a row with too few or too many fields")
    cells = [{name: (row[name] or "").strip() for name in COLUMNS} for row in rows]
    first = cells[0]
    return Invoice(
        number=number,
        customer_id=first["CustomerID"].removesuffix(".0") or None,
        date=_date(first["InvoiceDate"]),
        country=first["Country"],
        lines=tuple(_line(row, is_cancellation=_is_cancellation(number)) for row in cells),
    )


def _is_cancellation(number: str) -> bool:
    return number.startswith("C")


def _line(cells: Mapping[str, str], *, is_cancellation: bool) -> InvoiceLine:
    return InvoiceLine(
        sku=cells["StockCode"],
        name=cells["Description"] or cells["StockCode"],
        quantity=_quantity(cells["Quantity"], is_cancellation=is_cancellation),
        unit_price=_pence(cells["UnitPrice"]),
    )


def _quantity(text: str, *, is_cancellation: bool) -> int:
    found = _QUANTITY.match(text)
    if found is None:
        raise NotAnOrder("a quantity that is no whole number")
    quantity = int(found[1])
    if is_cancellation:
        if quantity >= 0:
            raise NotAnOrder("a cancellation that takes nothing back")
        return -quantity
    if quantity <= 0:
        raise NotAnOrder("a quantity below 1 without a C: a correction of the stock, not a sale")
    return quantity


def _pence(text: str) -> int:
    if not _PRICE.match(text):
        raise NotAnOrder("a price that is no number")
    pence = Decimal(text) * 100
    if pence < 0:
        raise NotAnOrder("a negative price: a correction of the accounts, not a sale")
    if pence != int(pence):
        raise NotAnOrder("a price that is not in whole pence")
    return int(pence)


def _date(text: str) -> str:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).isoformat()  # noqa: DTZ007 - the shop's own time
        except ValueError:
            continue
    raise NotAnOrder("an invoice date that cannot be read")
