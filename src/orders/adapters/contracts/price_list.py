"""What every `PriceList` promises. Subclass this suite and provide your adapter with `PRICES`:

class TestMyPrices(PriceListContract):
    @pytest.fixture
    async def price_list(self) -> PriceList: ...

    @pytest.fixture
    async def lost_price_list(self) -> PriceList: ...

One that knows tax rates keeps `TaxedPriceListContract`, too, with `TAXED_PRICES`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest

from orders.application.errors import PricesUnavailable
from orders.application.ports import ListedPrice

if TYPE_CHECKING:
    from orders.application.ports import PriceList

PRICES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "EUR": {"MUG": 1450, "GIFT-WRAP": 0, "shipping/standard": 495, "A+B #1": 7, "BIG": 2**40}
        | {f"N{n}": n for n in range(2_000)},
        "JPY": {"MUG": 1800},
    }
)
"""The prices of the price list under test, in minor units."""
TAXED_PRICES: Final[Mapping[str, Mapping[str, int | ListedPrice]]] = MappingProxyType(
    {
        "EUR": {
            "TEA": ListedPrice(1190, "0.19", includes_tax=True),
            "NET": ListedPrice(1000, "0.07"),
            "STAMP": ListedPrice(80, "0"),
            "PLAIN": 500,
        }
    }
)
"""The prices of the price list under test, some with their tax rates."""
OUTAGE_SECONDS = 3.0


class PriceListContract:
    """The suite. Nothing in it changes a price."""

    @pytest.fixture
    def price_list(self) -> PriceList:
        """The price list under test, with `PRICES`."""
        raise NotImplementedError("override the fixture `price_list`")

    async def test_returns_prices_by_sku(self, price_list: PriceList) -> None:
        wanted = ["MUG", "GIFT-WRAP", "shipping/standard", "A+B #1", "BIG"]

        assert await price_list.prices(wanted, "EUR") == {
            "MUG": 1450,
            "GIFT-WRAP": 0,
            "shipping/standard": 495,
            "A+B #1": 7,
            "BIG": 2**40,
        }

    async def test_a_second_call_returns_the_same(self, price_list: PriceList) -> None:
        first = await price_list.prices(["MUG", "NONE"], "EUR")

        assert await price_list.prices(["MUG", "NONE"], "EUR") == first == {"MUG": 1450}

    async def test_leaves_out_a_sku_without_a_price(self, price_list: PriceList) -> None:
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
    """The suite for a price list behind a network."""

    @pytest.fixture
    def lost_price_list(self) -> PriceList:
        """A price list that does not respond."""
        raise NotImplementedError("override the fixture `lost_price_list`")

    async def test_raises_in_time_if_there_is_no_response(self, lost_price_list: PriceList) -> None:
        async with asyncio.timeout(OUTAGE_SECONDS):
            with pytest.raises(PricesUnavailable):
                await lost_price_list.prices(["MUG"], "EUR")


class TaxedPriceListContract:
    """The suite for a price list that knows tax rates. Nothing in it changes a price."""

    @pytest.fixture
    def taxed_price_list(self) -> PriceList:
        """The price list under test, with `TAXED_PRICES`."""
        raise NotImplementedError("override the fixture `taxed_price_list`")

    async def test_returns_tax_rates(self, taxed_price_list: PriceList) -> None:
        known = TAXED_PRICES["EUR"]

        for _ in range(2):
            assert await taxed_price_list.prices([*known, "NONE"], "EUR") == known

        assert await taxed_price_list.prices(["TEA"], "EUR") == {"TEA": known["TEA"]}
