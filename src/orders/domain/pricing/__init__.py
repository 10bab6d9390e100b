"""Prices: what a draft would cost, what an order costs, and what is still owed by or to the
customer.
"""

from orders.domain.pricing.quotes import (
    MAX_FIRST_HOLDS,
    Confirmation,
    OrderDraft,
    Quote,
    quote,
    taxed_shipping,
)
from orders.domain.pricing.totals import LineTotals, Totals, tax_lines_of, totals_of

__all__ = [
    "MAX_FIRST_HOLDS",
    "Confirmation",
    "LineTotals",
    "OrderDraft",
    "Quote",
    "Totals",
    "quote",
    "tax_lines_of",
    "taxed_shipping",
    "totals_of",
]
