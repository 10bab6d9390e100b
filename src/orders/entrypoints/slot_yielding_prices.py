"""A catalogue that is another service: while a request waits for it, other requests run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orders.application.ports import ListedPrice, PriceList
from orders.entrypoints.admission import yield_slot


class SlotYieldingPriceList:
    """`PriceList` that passes each call on, and yields the request's slot while it waits."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int | ListedPrice]:
        """Prices by SKU, as the list has them. A SKU without a price is left out."""
        with yield_slot():
            return await self._prices.prices(skus, currency)
