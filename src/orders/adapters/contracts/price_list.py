"""What every `PriceList` promises. Subclass it and say how to make yours from `PRICES`:

class TestMyPrices(PriceListContract):
    @pytest.fixture
    async def price_list(self) -> PriceList: ...

    @pytest.fixture
    async def lost_price_list(self) -> PriceList: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest

from orders.application.errors import PricesUnavailable

if TYPE_CHECKING:
    from orders.application.ports import PriceList

PRICES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "EUR": {"MUG": 1450, "GIFT-WRAP": 0, "shipping/standard": 495, "A+B #1": 7, "BIG": 2**40}
        | {f"N{n}": n for n in range(2_000)},
        "JPY": {"MUG": 1800},
    }
)
"""What the price list under test holds, in minor units."""
OUTAGE_SECONDS = 3.0


class PriceListContract:
    """The suite. Nothing in it changes a price."""

    @pytest.fixture
    def price_list(self) -> PriceList:
        """The price list under test, holding `PRICES`."""
        raise NotImplementedError("override the fixture `price_list`")

    async def test_gives_prices_by_sku(self, price_list: PriceList) -> None:
        wanted = ["MUG", "GIFT-WRAP", "shipping/standard", "A+B #1", "BIG"]

        assert await price_list.prices(wanted, "EUR") == {
            "MUG": 1450,
            "GIFT-WRAP": 0,
            "shipping/standard": 495,
            "A+B #1": 7,
            "BIG": 2**40,
        }

    async def test_gives_the_same_again(self, price_list: PriceList) -> None:
        first = await price_list.prices(["MUG", "NONE"], "EUR")

        assert await price_list.prices(["MUG", "NONE"], "EUR") == first == {"MUG": 1450}

    async def test_leaves_out_what_has_no_price(self, price_list: PriceList) -> None:
        assert await price_list.prices(["NONE", "MUG", "mug"], "EUR") == {"MUG": 1450}
        assert await price_list.prices(["GIFT-WRAP"], "JPY") == {}
        assert await price_list.prices(["MUG"], "USD") == {}
        assert await price_list.prices([], "EUR") == {}

    async def test_keeps_currencies_apart(self, price_list: PriceList) -> None:
        assert await price_list.prices(["MUG"], "EUR") == {"MUG": 1450}
        assert await price_list.prices(["MUG"], "JPY") == {"MUG": 1800}

    async def test_prices_the_longest_order(self, price_list: PriceList) -> None:
        wanted = [f"N{n}" for n in range(2_000)]

        prices = await price_list.prices([*wanted, *wanted], "EUR")

        assert prices == {f"N{n}": n for n in range(2_000)}


class RemotePriceListContract(PriceListContract):
    """The suite for a price list that can be lost."""

    @pytest.fixture
    def lost_price_list(self) -> PriceList:
        """A price list that does not answer."""
        raise NotImplementedError("override the fixture `lost_price_list`")

    async def test_says_in_time_that_there_is_no_answer(self, lost_price_list: PriceList) -> None:
        async with asyncio.timeout(OUTAGE_SECONDS):
            with pytest.raises(PricesUnavailable):
                await lost_price_list.prices(["MUG"], "EUR")
