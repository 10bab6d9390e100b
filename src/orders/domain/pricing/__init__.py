"""Prices: what a draft would cost, what an order costs, and what is still owed by or to the
customer.
"""

from orders.domain.pricing.quotes import OrderDraft, Quote, quote
from orders.domain.pricing.totals import LineTotals, Totals, totals_of

__all__ = ["LineTotals", "OrderDraft", "Quote", "Totals", "quote", "totals_of"]
