"""What is ordered: the invoices of real days, as bodies of the API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from orders.entrypoints.sandbox.replay.invoices import Invoice, read_invoices


@dataclass(frozen=True, slots=True)
class Sale:
    """One invoice: whose, how many lines, and the body that orders it."""

    customer_id: str | None
    lines: int
    body: dict[str, Any]

    def encoded(self, *, payment: bool) -> bytes:
        """The body as it is sent."""
        wish = {"payment": {"method": "tok_ok"}} if payment else {}
        return msgspec.json.encode(self.body | wish)


def sales_of(path: Path) -> list[Sale]:
    """The sales of a day's file, or of all files in a folder, in the order of the invoices.

    What cannot be an order (returns, corrections) or cannot be paid (all lines free) is left out.
    """
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    invoices = [invoice for file in files for invoice in read_invoices(file)[0]]
    return [_sale(each) for each in invoices if not each.is_cancellation and each.total]


def _sale(invoice: Invoice) -> Sale:
    lines = [
        {
            "sku": line.sku,
            "name": line.name,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "shippable": line.shippable,
        }
        for line in invoice.lines
    ]
    body: dict[str, Any] = {
        "currency": "GBP",
        "lines": lines,
        "external_reference": invoice.number,
    }
    if invoice.customer_id is not None:
        body["customer_id"] = invoice.customer_id
    return Sale(invoice.customer_id, len(lines), body)
