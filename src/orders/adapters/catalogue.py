"""`PriceList`: a catalogue service over HTTP, and a JSON file for development."""

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

from orders.application.errors import PricesUnavailable
from orders.domain.errors import InvalidValue
from orders.domain.money import AMOUNT_LIMIT, exponent
from orders.domain.validation import validate_amount, validate_sku

_SKUS_PER_REQUEST: Final = 50
_BODY_LIMIT: Final = 2**20


class PriceListUnreadable(Exception):
    """A price file cannot be used. The message names the file and what is wrong in it."""


class JsonPriceList:
    """Prices from a file, read once: `{"GBP": {"MUG-RED": 1250}}`, in minor units."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            PriceListUnreadable: If it is not there, or is no list of prices.
        """
        try:
            text = path.read_text("utf-8")
            self._prices = _checked(json.loads(text, object_pairs_hook=_without_duplicates))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise PriceListUnreadable(f"{path}: {error}") from error
        except InvalidValue as error:
            raise PriceListUnreadable(f"{path}: {error}") from error

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int]:
        """Prices in minor units by SKU. A SKU without a price is left out."""
        known = self._prices.get(currency, {})
        return {each: known[each] for each in skus if each in known}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValue(twice, "is there twice")
    return members


def _checked(content: Any) -> Mapping[str, Mapping[str, int]]:
    if not isinstance(content, dict):
        raise InvalidValue("the file", "must hold an object of currencies")
    for currency, prices in content.items():
        exponent(currency)
        if not isinstance(prices, dict):
            raise InvalidValue(currency, "must be an object of prices by SKU")
        for name, price in prices.items():
            validate_sku(name, f"{currency}/{name}")
            validate_amount(price, f"{currency}/{name}")
    return content


class _Prices(msgspec.Struct, frozen=True):
    prices: dict[str, Annotated[int, msgspec.Meta(ge=0, lt=AMOUNT_LIMIT)]]


class HttpPriceList:
    """Prices from a catalogue service: `GET {base}/prices?currency=EUR&sku=A&sku=B` answers
    `{"prices": {"A": 1250}}`.

    Prices, and that there is none, are believed for `believe_seconds`. At most `at_once` calls of
    `prices` wait for the service: a slow one makes no queue. Open it in the event
    loop that uses it, and close it there.
    """

    def __init__(
        self,
        base_url: str,
        *,
        total_seconds: float = 2.0,
        at_once: int = 256,
        believe_seconds: float = 30.0,
        believe_at_most: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total_seconds` bounds a call of `prices`; `believe_at_most` counts prices."""
        self._url = base_url.rstrip("/") + "/prices"
        self._total_seconds = total_seconds
        self._at_once = at_once
        self._waiting = 0
        self._believe_seconds = believe_seconds
        self._believe_at_most = believe_at_most
        self._clock = clock
        self._believed: dict[tuple[str, str], tuple[float, int | None]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "orders"},
            timeout=aiohttp.ClientTimeout(sock_connect=1.0),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def prices(self, skus: Sequence[str], currency: str) -> Mapping[str, int]:
        """Prices in minor units by SKU. A SKU without a price is left out.

        Raises:
            PricesUnavailable: If there is no answer in time, or one that cannot be trusted.
        """
        now = self._clock()
        unknown = [each for each in dict.fromkeys(skus) if not self._believes(currency, each, now)]
        found = {each: self._believed[currency, each][1] for each in {*skus} - {*unknown}}
        if unknown:
            answers = await self._ask(unknown, currency)
            news = {each: answers.get(each) for each in unknown}
            self._believe(currency, news, now)
            found |= news
        return {each: price for each, price in found.items() if price is not None}

    def _believes(self, currency: str, name: str, now: float) -> bool:
        learnt_at, _ = self._believed.get((currency, name), (-math.inf, None))
        return now - learnt_at < self._believe_seconds

    def _believe(self, currency: str, prices: Mapping[str, int | None], now: float) -> None:
        for name, price in prices.items():
            self._believed.pop((currency, name), None)
            self._believed[currency, name] = (now, price)
        # What was learnt first comes first, and is the first to go.
        while len(self._believed) > self._believe_at_most:
            del self._believed[next(iter(self._believed))]

    async def _ask(self, skus: Sequence[str], currency: str) -> dict[str, int]:
        """Ask the service, in several requests if the SKUs exceed the length of a URL."""
        answers: dict[str, int] = {}
        if self._waiting >= self._at_once:
            raise PricesUnavailable("too many wait for the price list")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._total_seconds):
                for start in range(0, len(skus), _SKUS_PER_REQUEST):
                    part = skus[start : start + _SKUS_PER_REQUEST]
                    body = await self._body([("currency", currency), *(("sku", s) for s in part)])
                    answers |= msgspec.json.decode(body, type=_Prices).prices
        except (TimeoutError, aiohttp.ClientConnectionError) as error:
            raise PricesUnavailable("the price list gave no answer in time") from error
        except (aiohttp.ClientError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise PricesUnavailable("the price list's answer cannot be read") from error
        finally:
            self._waiting -= 1
        return answers

    async def _body(self, query: list[tuple[str, str]]) -> bytes:
        assert self._session is not None, "the price list is not open"
        async with self._session.get(self._url, params=query, allow_redirects=False) as response:
            if response.status != 200:
                raise PricesUnavailable(f"the price list answered {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _BODY_LIMIT:
                    raise PricesUnavailable("the price list's answer is too long")
            return bytes(body)
