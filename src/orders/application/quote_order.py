"""Compute what an order would cost."""

from __future__ import annotations

from orders.application.access import Caller, Operation, require
from orders.application.draft_pricer import DraftPricer
from orders.domain.pricing import OrderDraft, Quote, quote
from orders.domain.validation import OrderLimits


class QuoteOrder:
    """Computes the totals of a draft, and stores nothing."""

    def __init__(self, price: DraftPricer, limits: OrderLimits) -> None:
        self._price = price
        self._limits = limits

    async def __call__(self, draft: OrderDraft, *, caller: Caller) -> Quote:
        """The totals of an order placed from this draft now. May be repeated.

        Raises:
            Forbidden: If the caller may not ask.
            OrderError: If the order could not be placed.
            PriceUnknown: If the catalogue has no price for something.
            TaxChanged: If a stated tax is not the catalogue's.
            PricesUnavailable: If the catalogue gave no answer in time.
        """
        require(caller, Operation.QUOTE)
        return quote(await self._price(draft, caller), limits=self._limits)
