"""A price list that lets other requests run while it waits for another service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orders.application.ports import PriceList
from orders.entrypoints.admission import yield_slot


class SlotYieldingPriceList:
    """Implements `PriceList` with another one, and yields the request's slot for each call."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int]:
        """Return prices in minor units by SKU. A SKU without a price is left out."""
        with yield_slot():
            return await self._prices.prices(skus, currency)
