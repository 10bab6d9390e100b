"""The price list of another service: while it is asked, others work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orders.application.ports import PriceList
from orders.entrypoints.admission import yield_slot


class SlotYieldingPriceList:
    """`PriceList`: passes every call on, and gives the request's turn away meanwhile."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int]:
        """Prices in minor units by SKU. A SKU without a price is left out."""
        with yield_slot():
            return await self._prices.prices(skus, currency)
