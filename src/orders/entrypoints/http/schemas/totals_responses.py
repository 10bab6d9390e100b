"""All amounts of an order as JSON, and its tax by rate. Amounts are minor units."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from orders.domain.lines import TaxLine
from orders.domain.pricing import Totals
from orders.entrypoints.http.schemas.response_part import ResponsePart


class TaxLineResponse(ResponsePart, frozen=True):
    """The tax at one rate, and what it is on, without the tax. `rate` is a decimal such as "0.19";
    null for tax that was stated as an amount.
    """

    rate: str | None
    taxable: int
    tax: int

    @classmethod
    def of(cls, tax_line: TaxLine) -> TaxLineResponse:
        """Show the tax at one rate."""
        return cls(rate=tax_line.rate, taxable=tax_line.taxable, tax=tax_line.tax)


class TotalsResponse(ResponsePart, frozen=True):
    """All amounts. `gross` is what the live units cost, `due` what is owed for them in all,
    `outstanding` what is still to be paid, `refund_due` what is owed back. `tax_lines` is `tax` by
    rate, with the tax on shipping.
    """

    subtotal: int
    discount: int
    tax: int
    shipping: int
    gross: int
    credits: int
    due: int
    authorized: int
    captured: int
    refunded: int
    charged_back: int
    net: int
    outstanding: int
    pending_refunds: int
    refund_due: int
    tax_lines: list[TaxLineResponse]

    @classmethod
    def of(cls, totals: Totals, tax_lines: Iterable[TaxLine]) -> TotalsResponse:
        """Show all amounts."""
        lines = [TaxLineResponse.of(each) for each in tax_lines]
        return cls(*_amounts_of(totals), lines)  # type: ignore[call-arg] # mypy counts one for the tuple


_amounts_of: Final = attrgetter(*TotalsResponse.__struct_fields__[:-1])
