"""`PriceList` from a catalogue service over HTTP, or from a JSON file for development."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Final, Self

import aiohttp
import msgspec

from orders.adapters.http_client import DIRECT, NO_CONNECTION, HttpRoute, why
from orders.application.errors import PricesUnavailable
from orders.application.ports import ListedPrice
from orders.domain.errors import InvalidValue
from orders.domain.lines import RATE, validate_rate
from orders.domain.money import AMOUNT_LIMIT, exponent
from orders.domain.validation import validate_amount, validate_sku

_SKUS_PER_REQUEST: Final = 50
_BODY_LIMIT: Final = 2**20


class PriceListUnreadable(Exception):
    """A price file is not valid. The message has its path and the error."""


class JsonPriceList:
    """Prices from a file, read once: `{"GBP": {"MUG-RED": 1250}}`, in minor units.

    A price with its tax rate is `{"price": 1250, "tax_rate": "0.2", "includes_tax": true}`.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            PriceListUnreadable: If the file is missing or not a valid list of prices.
        """
        try:
            text = path.read_text("utf-8")
            self._prices = _checked(json.loads(text, object_pairs_hook=_without_duplicates))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise PriceListUnreadable(f"{path}: {error}") from error
        except InvalidValue as error:
            raise PriceListUnreadable(f"{path}: {error}") from error

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int | ListedPrice]:
        """Prices by SKU, with tax rates where the file has them. A SKU without one is left out."""
        known = self._prices.get(currency, {})
        return {each: known[each] for each in skus if each in known}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise InvalidValue(duplicate, "occurs twice")
    return members


def _checked(content: Any) -> Mapping[str, Mapping[str, int | ListedPrice]]:
    if not isinstance(content, dict):
        raise InvalidValue("the file", "must hold an object of currencies")
    for currency, prices in content.items():
        exponent(currency)
        if not isinstance(prices, dict):
            raise InvalidValue(currency, "must be an object of prices by SKU")
    return {
        currency: {name: _checked_price(currency, name, price) for name, price in prices.items()}
        for currency, prices in content.items()
    }


def _checked_price(currency: str, name: str, price: Any) -> int | ListedPrice:
    field = f"{currency}/{name}"
    validate_sku(name, field)
    if not isinstance(price, dict):
        return validate_amount(price, field)
    try:
        return msgspec.convert(price, _ListedInFile).listed()
    except msgspec.ValidationError as error:
        raise InvalidValue(field, str(error)) from error


_Amount = Annotated[int, msgspec.Meta(ge=0, lt=AMOUNT_LIMIT)]


class _Listed(msgspec.Struct, frozen=True):
    price: _Amount
    tax_rate: Annotated[str, msgspec.Meta(pattern=f"^{RATE.pattern}")] | None = None
    includes_tax: bool = False

    def listed(self) -> ListedPrice:
        rate = None if self.tax_rate is None else validate_rate(self.tax_rate, "tax_rate")
        return ListedPrice(self.price, rate, self.includes_tax)


class _ListedInFile(_Listed, frozen=True, forbid_unknown_fields=True):
    """Who writes a file should know of a misspelled name."""


class _PricesResponse(msgspec.Struct, frozen=True):
    prices: dict[str, _Amount | _Listed]

    def listed(self) -> dict[str, int | ListedPrice]:
        return {
            name: each if isinstance(each, int) else each.listed()
            for name, each in self.prices.items()
        }


class HttpPriceList:
    """Prices from a catalogue service: `GET {base}/prices?currency=EUR&sku=A&sku=B` returns
    `{"prices": {"A": 1250}}`, or instead of 1250 `{"price": 1250, "tax_rate": "0.19",
    "includes_tax": true}`.

    Results are cached for `cache_seconds`, including that a SKU has no price. At most
    `max_waiting_calls` calls of `prices` wait for the service: a slow service must not build a
    queue. Open it in the event loop that uses it, and close it there.
    """

    def __init__(
        self,
        base_url: str,
        *,
        route: HttpRoute = DIRECT,
        total_seconds: float = 2.0,
        max_waiting_calls: int = 256,
        cache_seconds: float = 30.0,
        max_cached_prices: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the address. `total_seconds` bounds one call of `prices`."""
        self._url = base_url.rstrip("/") + "/prices"
        self._route = route
        self._total_seconds = total_seconds
        self._max_waiting_calls = max_waiting_calls
        self._waiting = 0
        self._cache_seconds = cache_seconds
        self._max_cached_prices = max_cached_prices
        self._clock = clock
        self._cache: dict[tuple[str, str], tuple[float, int | ListedPrice | None]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = self._route.session(timeout=aiohttp.ClientTimeout(sock_connect=1.0))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int | ListedPrice]:
        """Prices by SKU, with tax rates where the service states them. Unknown ones are left out.

        Raises:
            PricesUnavailable: If there is no valid response in time.
        """
        now = self._clock()
        unknown = [each for each in dict.fromkeys(skus) if not self._is_cached(currency, each, now)]
        found = {each: self._cache[currency, each][1] for each in {*skus} - {*unknown}}
        if unknown:
            fetched = await self._fetch(unknown, currency)
            fresh = {each: fetched.get(each) for each in unknown}
            self._store(currency, fresh, now)
            found |= fresh
        return {each: price for each, price in found.items() if price is not None}

    def _is_cached(self, currency: str, name: str, now: float) -> bool:
        fetched_at, _ = self._cache.get((currency, name), (-math.inf, None))
        return now - fetched_at < self._cache_seconds

    def _store(
        self, currency: str, prices: Mapping[str, int | ListedPrice | None], now: float
    ) -> None:
        for name, price in prices.items():
            self._cache.pop((currency, name), None)
            self._cache[currency, name] = (now, price)
        # The dictionary is in the order of storing, so the oldest price is removed first.
        while len(self._cache) > self._max_cached_prices:
            del self._cache[next(iter(self._cache))]

    async def _fetch(self, skus: Sequence[str], currency: str) -> dict[str, int | ListedPrice]:
        """Ask the service for prices, in requests of at most 50 SKUs because a URL is limited."""
        prices: dict[str, int | ListedPrice] = {}
        if self._waiting >= self._max_waiting_calls:
            raise PricesUnavailable("too many calls wait for the price list")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._total_seconds):
                for start in range(0, len(skus), _SKUS_PER_REQUEST):
                    part = skus[start : start + _SKUS_PER_REQUEST]
                    body = await self._body([("currency", currency), *(("sku", s) for s in part)])
                    prices |= msgspec.json.decode(body, type=_PricesResponse).listed()
        except (TimeoutError, *NO_CONNECTION) as error:
            message = f"the price list gave no response in time: {why(error)}"
            raise PricesUnavailable(message) from error
        except (aiohttp.ClientError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PricesUnavailable("the price list's response cannot be read") from error
        finally:
            self._waiting -= 1
        return prices

    async def _body(self, query: list[tuple[str, str]]) -> bytes:
        assert self._session is not None, "the price list is not open"
        async with self._session.get(self._url, params=query, allow_redirects=False) as response:
            if response.status != 200:
                raise PricesUnavailable(f"the price list returned {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _BODY_LIMIT:
                    raise PricesUnavailable("the price list's response is too long")
            return bytes(body)
