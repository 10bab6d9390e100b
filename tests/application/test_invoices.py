"""Invoices as a replay reads them, and what a cancellation is matched with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orders.entrypoints.sandbox.replay.cancellations import match, return_reason
from orders.entrypoints.sandbox.replay.invoices import (
    COLUMNS,
    FileUnusable,
    Invoice,
    InvoiceLine,
    Refusal,
    read_invoices,
)
from orders.entrypoints.sandbox.replay.views import Item, Line, Order, Return, Totals

EXAMPLE = Path(__file__).parents[2] / "examples" / "day.csv"
HEAD = ",".join(COLUMNS)


def a_file(folder: Path, *rows: str, head: str = HEAD, encoding: str = "utf-8") -> Path:
    file = folder / "day.csv"
    file.write_bytes("\r\n".join([head, *rows, ""]).encode(encoding))
    return file


def a_row(
    number: str = "1",
    sku: str = "22423",
    name: str = "CAKESTAND",
    quantity: str = "1",
    price: str = "1.00",
    date: str = "2010-12-01 08:26:00",
    customer: str = "17850.0",
) -> str:
    return f'{number},{sku},"{name}",{quantity},{date},{price},{customer},EIRE'


def test_an_invoice_is_all_rows_of_its_number_wherever_they_stand(tmp_path: Path) -> None:
    rows = (
        a_row("536365", " 85123A ", ' 7"" FRAME, WHITE ', "6", "2.55"),
        a_row("536366"),
        a_row("536365", "POST", "", "1", "18"),
    )
    invoices, refusals = read_invoices(a_file(tmp_path, *rows))

    assert refusals == []
    assert [invoice.number for invoice in invoices] == ["536365", "536366"]
    assert invoices[0] == Invoice(
        number="536365",
        customer_id="17850",
        date="2010-12-01T08:26:00",
        country="EIRE",
        lines=(
            InvoiceLine(sku="85123A", name='7" FRAME, WHITE', quantity=6, unit_price=255),
            InvoiceLine(sku="POST", name="POST", quantity=1, unit_price=1800),
        ),
    )
    assert [line.shippable for line in invoices[0].lines] == [True, False]
    assert invoices[0].total == 6 * 255 + 1800


def test_a_cancellation_counts_the_units_it_takes_back(tmp_path: Path) -> None:
    ((cancellation,), _) = read_invoices(a_file(tmp_path, a_row("C536379", quantity="-4")))
    assert cancellation.is_cancellation
    assert cancellation.lines[0].quantity == 4


def test_a_guest_has_no_customer(tmp_path: Path) -> None:
    ((guest,), _) = read_invoices(a_file(tmp_path, a_row(customer="")))
    assert guest.customer_id is None


@pytest.mark.parametrize(
    ("text", "pence"),
    [("2.55", 255), ("0.29", 29), ("0", 0), ("0.0", 0), ("4.350", 435), ("11062.06", 1106206)],
)
def test_prices_are_exact(tmp_path: Path, text: str, pence: int) -> None:
    ((invoice,), _) = read_invoices(a_file(tmp_path, a_row(price=text)))
    assert invoice.lines[0].unit_price == pence


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2010-12-01 08:26:00", "2010-12-01T08:26:00"),
        ("2010-12-01 08:26", "2010-12-01T08:26:00"),
        ("12/1/2010 8:26", "2010-12-01T08:26:00"),
    ],
)
def test_dates_are_read_in_every_published_form(tmp_path: Path, text: str, date: str) -> None:
    ((invoice,), _) = read_invoices(a_file(tmp_path, a_row(date=text)))
    assert invoice.date == date


@pytest.mark.parametrize(
    ("row", "shown", "reason"),
    [
        (a_row(quantity="-10"), "1", "a quantity below 1 without a C: a correction of the stock"),
        (a_row(quantity="0"), "1", "a quantity below 1 without a C: a correction of the stock"),
        (a_row(quantity="1.5"), "1", "a quantity that is no whole number"),
        (a_row(quantity=""), "1", "a quantity that is no whole number"),
        (a_row("C1", quantity="1"), "C1", "a cancellation that takes nothing back"),
        (a_row(price="-0.01"), "1", "a negative price"),
        (a_row(price="3.333"), "1", "a price that is not in whole pence"),
        (a_row(price="2,5").replace("2,5", '"2,5"'), "1", "a price that is no number"),
        (a_row(price="NaN"), "1", "a price that is no number"),
        (a_row(price="1e2"), "1", "a price that is no number"),
        (a_row(date="yesterday"), "1", "an invoice date that cannot be read"),
        (a_row("A563185"), "A563185", "a correction of the accounts, not a sale"),
        (a_row(""), "''", "no usable invoice number"),
        (a_row("\x1b[2J"), r"'\x1b[2J'", "no usable invoice number"),
        ("1,22423,CAKESTAND", "1", "a row with too few or too many fields"),
        (a_row() + ",more", "1", "a row with too few or too many fields"),
    ],
)
def test_what_cannot_be_an_order_is_refused_with_its_reason(
    tmp_path: Path, row: str, shown: str, reason: str
) -> None:
    invoices, (refusal,) = read_invoices(a_file(tmp_path, row, a_row("2")))
    assert [invoice.number for invoice in invoices] == ["2"]
    assert refusal.number == shown
    assert refusal.reason.startswith(reason)


def test_one_bad_line_refuses_its_whole_invoice(tmp_path: Path) -> None:
    rows = a_row("1"), a_row("1", quantity="-1"), a_row("1")
    invoices, (refusal,) = read_invoices(a_file(tmp_path, *rows))
    assert invoices == []
    assert refusal.number == "1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_every_usual_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    file = a_file(tmp_path, a_row(name="CAFÉ £5 SIGN"), encoding=encoding)
    ((invoice,), _) = read_invoices(file)
    assert invoice.lines[0].name == "CAFÉ £5 SIGN"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (HEAD.encode(), "has no invoice in it"),
        (b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,Price,CustomerID\n1,2,3\n",
         "has no column UnitPrice, Country"),
        (HEAD.encode("utf-16"), "is neither UTF-8 nor Latin-1 text"),
        (f'{HEAD}\n1,2,"never closed'.encode(), "is no CSV: line 2"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_told_in_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "day.csv"
    file.write_bytes(content)
    with pytest.raises(FileUnusable) as refused:
        read_invoices(file)
    assert str(refused.value).startswith(f"{file} {problem}")
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match=r"cannot read .*gone\.csv: No such file"):
        read_invoices(tmp_path / "gone.csv")


def test_the_sample_holds_what_it_is_there_to_show() -> None:
    invoices, refusals = read_invoices(EXAMPLE)
    assert refusals == [
        Refusal("700113", "a quantity below 1 without a C: a correction of the stock, not a sale"),
        Refusal("700117", "a price that is not in whole pence"),
        Refusal("700124", "a negative price: a correction of the accounts, not a sale"),
    ]
    sales = [invoice for invoice in invoices if not invoice.is_cancellation]
    assert (len(sales), len(invoices)) == (18, 24)
    assert sum(invoice.total for invoice in sales) == 997_960
    assert max(len(invoice.lines) for invoice in sales) == 120
    assert sum(invoice.customer_id is None for invoice in sales) == 2


MUG = ("22423", 100)
NOON = "2010-12-02T12:00:00"


def an_order(
    name: str = "o",
    *,
    date: str = "2010-12-01T08:00:00",
    delivered: int = 5,
    returned: int = 0,
    price: int = 100,
    currency: str = "GBP",
    returns: tuple[Return, ...] = (),
    lines: int = 1,
) -> Order:
    line = {"sku": "22423", "unit_price": price, "shippable": True, "cancelled": 0, "allocated": 0}
    units = {"quantity": 5, "shipped": 5, "delivered": delivered, "returned": returned}
    return Order(
        id=name,
        status="completed",
        payment_status="paid",
        currency=currency,
        version=1,
        external_reference=None,
        metadata={"invoice_date": date} if date else {},
        lines=[Line(id=str(n + 1), **line, **units) for n in range(lines)],  # type: ignore[arg-type]
        shipments=[],
        returns=list(returns),
        payments=[],
        totals=Totals(outstanding=0, pending_refunds=0, refund_due=0),
    )


def test_the_newest_earlier_order_is_asked_first() -> None:
    old, new = an_order("old"), an_order("new", date="2010-12-02T08:00:00")
    assert match(Counter({MUG: 7}), NOON, [old, new]) == (
        {"new": {"1": 5}, "old": {"1": 2}},
        Counter(),
    )


def test_lines_with_one_sku_and_price_are_taken_together() -> None:
    order = an_order(lines=2)
    assert match(Counter({MUG: 8}), NOON, [order]) == ({"o": {"1": 5, "2": 3}}, Counter())


@pytest.mark.parametrize(
    "order",
    [
        an_order(date="2010-12-02T12:00:01"),
        an_order(date=""),
        an_order(price=101),
        an_order(currency="EUR"),
        an_order(delivered=0),
        an_order(returned=5),
        an_order(returns=(Return("1", "approved", "customer", [Item("1", 5)]),)),
    ],
    ids=[
        "later",
        "of no date",
        "other price",
        "other money",
        "not delivered",
        "back",
        "on its way",
    ],
)
def test_an_order_that_cannot_give_the_units_is_left_alone(order: Order) -> None:
    assert match(Counter({MUG: 1}), NOON, [order]) == ({}, Counter({MUG: 1}))


def test_units_that_no_order_has_are_told() -> None:
    order = an_order(returned=2, returns=(Return("1", "closed", "customer", [Item("1", 2)]),))
    assert match(Counter({MUG: 4}), NOON, [order]) == ({"o": {"1": 3}}, Counter({MUG: 1}))


def test_a_return_is_known_by_a_reason_that_the_api_takes() -> None:
    assert return_reason("C536379") == "invoice-c536379"
    assert return_reason("C/5 x") == "invoice-c-5-x"
