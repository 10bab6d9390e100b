"""Price lists in memory, in a file and over HTTP keep what `PriceList` promises."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from orders.adapters.catalogue import HttpPriceList, JsonPriceList, PriceListUnreadable
from orders.adapters.contracts.price_list import (
    PRICES,
    TAXED_PRICES,
    PriceListContract,
    RemotePriceListContract,
    TaxedPriceListContract,
)
from orders.adapters.in_memory import StaticPriceList
from orders.application.errors import PricesUnavailable
from orders.application.ports import ListedPrice

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def as_json(price: int | ListedPrice) -> object:
    """A price as a catalogue or a file states it, its rate with a zero more."""
    if isinstance(price, int):
        return price
    stated = {
        "price": price.amount,
        "tax_rate": f"{price.tax_rate}{'.0' * (price.tax_rate == '0')}",
    }
    return {**stated, "includes_tax": True} if price.includes_tax else stated


class TestStaticPriceList(RemotePriceListContract, TaxedPriceListContract):
    @pytest.fixture
    def price_list(self) -> StaticPriceList:
        return StaticPriceList(PRICES)

    @pytest.fixture
    def taxed_price_list(self) -> StaticPriceList:
        return StaticPriceList(TAXED_PRICES)

    @pytest.fixture
    def lost_price_list(self) -> StaticPriceList:
        lost = StaticPriceList(PRICES)
        lost.unavailable = True
        return lost


class TestJsonPriceList(PriceListContract, TaxedPriceListContract):
    @pytest.fixture
    def price_list(self, tmp_path: Path) -> JsonPriceList:
        path = tmp_path / "prices.json"
        path.write_text(json.dumps({**PRICES}))
        return JsonPriceList(path)

    @pytest.fixture
    def taxed_price_list(self, tmp_path: Path) -> JsonPriceList:
        path = tmp_path / "prices.json"
        path.write_text(taxed_json())
        return JsonPriceList(path)


def taxed_json() -> str:
    return json.dumps(
        {
            currency: {sku: as_json(price) for sku, price in prices.items()}
            for currency, prices in TAXED_PRICES.items()
        }
    )


@asynccontextmanager
async def a_catalogue(answer: Handler) -> AsyncIterator[str]:
    """A catalogue service on loopback; its address."""
    app = web.Application()
    app.router.add_get("/base/prices", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/base/"
    await runner.cleanup()


def answer_from(prices: Mapping[str, Mapping[str, int | ListedPrice]]) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        known = prices.get(request.query["currency"], {})
        wanted = request.query.getall("sku")
        found = {sku: as_json(known[sku]) for sku in wanted if sku in known}
        return web.json_response({"prices": found})

    return answer


class TestHttpPriceList(RemotePriceListContract, TaxedPriceListContract):
    @pytest.fixture
    async def price_list(self) -> AsyncIterator[HttpPriceList]:
        async with a_catalogue(answer_from(PRICES)) as address, HttpPriceList(address) as prices:
            yield prices

    @pytest.fixture
    async def taxed_price_list(self) -> AsyncIterator[HttpPriceList]:
        async with (
            a_catalogue(answer_from(TAXED_PRICES)) as address,
            HttpPriceList(address) as prices,
        ):
            yield prices

    @pytest.fixture
    async def lost_price_list(self, dead_port: int) -> AsyncIterator[HttpPriceList]:
        async with HttpPriceList(f"http://127.0.0.1:{dead_port}") as prices:
            yield prices


# -- the file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "must hold an object of currencies"),
        ('{"eur": {}}', "ISO 4217"),
        ('{"EUR": 1}', "EUR: must be an object"),
        ('{"EUR": {"": 1}}', "EUR/: must be 1 to 64"),
        ('{"EUR": {"MUG": 12.5}}', "EUR/MUG: must be a whole number"),
        ('{"EUR": {"MUG": "12"}}', "EUR/MUG: must be a whole number"),
        ('{"EUR": {"MUG": true}}', "EUR/MUG: must be a whole number"),
        ('{"EUR": {"MUG": -1}}', "EUR/MUG: must be a whole number"),
        ('{"EUR": {"MUG": 9007199254740992}}', "EUR/MUG: must be a whole number"),
        ('{"EUR": {"MUG": {}}}', "EUR/MUG: .*missing required field `price`"),
        ('{"EUR": {"MUG": {"price": -1}}}', "EUR/MUG: .*>= 0"),
        ('{"EUR": {"MUG": {"price": 1, "tax_rate": 0.19}}}', "EUR/MUG: .*tax_rate"),
        ('{"EUR": {"MUG": {"price": 1, "tax_rate": "19"}}}', "EUR/MUG: .*tax_rate"),
        ('{"EUR": {"MUG": {"price": 1, "tax_rate": "0.19\\n"}}}', "EUR/MUG: .*tax_rate"),
        ('{"EUR": {"MUG": {"price": 1, "includes_tax": 1}}}', "EUR/MUG: .*includes_tax"),
        ('{"EUR": {"MUG": {"price": 1, "tax-rate": "0.19"}}}', "EUR/MUG: .*unknown field"),
        ('{"EUR": {"MUG": 1, "MUG": 2}}', "MUG: occurs twice"),
        ('{"EUR": {}, "EUR": {}}', "EUR: occurs twice"),
        (b"\xff", "utf-8"),
    ],
    ids=repr,
)
def test_a_file_that_is_no_price_list_says_what_is_wrong(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(PriceListUnreadable, match=problem) as refusal:
        JsonPriceList(path)

    assert str(refusal.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceListUnreadable, match=r"prices\.json"):
        JsonPriceList(tmp_path / "prices.json")


# -- the service -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"prices": {"MUG": 1}}'),
        (404, b""),
        (302, b""),
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"prices": {"MUG": 12.5}}'),
        (200, b'{"prices": {"MUG": 1e2}}'),
        (200, b'{"prices": {"MUG": "12"}}'),
        (200, b'{"prices": {"MUG": true}}'),
        (200, b'{"prices": {"MUG": -1}}'),
        (200, b'{"prices": {"MUG": 9007199254740992}}'),
        (200, b'{"prices": {"MUG": {}}}'),
        (200, b'{"prices": {"MUG": {"price": -1}}}'),
        (200, b'{"prices": {"MUG": {"price": 1, "tax_rate": "19"}}}'),
        (200, b'{"prices": {"MUG": {"price": 1, "tax_rate": 0.19}}}'),
        (200, b'{"prices": {"MUG": {"price": 1, "includes_tax": "yes"}}}'),
        (200, b'{"prices": {"\xff": 1}}'),
        (200, b" " * (2**20 + 1) + b'{"prices": {}}'),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_believes_no_answer_but_a_good_one(status: int, body: bytes) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "/base/prices"})

    async with a_catalogue(answer) as address, HttpPriceList(address) as prices:
        with pytest.raises(PricesUnavailable):
            await prices.prices(["MUG"], "EUR")


class Asked:
    """A catalogue that counts, and whose prices can change."""

    def __init__(self) -> None:
        self.skus: list[str] = []
        self.price = 1

    async def answer(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("sku")
        self.skus += wanted
        known = {sku: self.price for sku in wanted if sku != "NONE"}
        return web.json_response({"prices": {**known, "UNASKED": 5}})


async def test_asks_again_when_a_price_is_older_than_30_seconds() -> None:
    asked, now = Asked(), [1_000.0]
    async with (
        a_catalogue(asked.answer) as address,
        HttpPriceList(address, clock=lambda: now[0]) as prices,
    ):
        for _ in range(2):
            assert await prices.prices(["A", "NONE"], "EUR") == {"A": 1}
        assert asked.skus == ["A", "NONE"]
        asked.price = 2
        now[0] += 29.9
        assert await prices.prices(["A", "B"], "EUR") == {"A": 1, "B": 2}
        assert asked.skus == ["A", "NONE", "B"]
        now[0] += 0.1
        assert await prices.prices(["A", "B", "UNASKED"], "EUR") == {"A": 2, "B": 2, "UNASKED": 5}
        assert asked.skus == ["A", "NONE", "B", "A", "UNASKED"]


async def test_keeps_a_bounded_number_of_prices_and_forgets_the_oldest() -> None:
    asked = Asked()
    async with (
        a_catalogue(asked.answer) as address,
        HttpPriceList(address, max_cached_prices=3) as prices,
    ):
        await prices.prices(["A", "B"], "EUR")
        assert await prices.prices(["C", "D", "E", "F"], "EUR") == dict.fromkeys("CDEF", 1)
        asked.skus.clear()

        await prices.prices(["D", "E", "F"], "EUR")
        await prices.prices(["C"], "EUR")

    assert asked.skus == ["C"]


async def test_so_many_wait_for_a_slow_catalogue_and_no_more() -> None:
    asked, may_answer = asyncio.Semaphore(0), asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        asked.release()
        await may_answer.wait()
        return await answer_from(PRICES)(request)

    async with a_catalogue(slowly) as url, HttpPriceList(url, max_waiting_calls=2) as price_list:
        waiting = [asyncio.create_task(price_list.prices(["MUG"], "EUR")) for _ in range(2)]
        for _ in waiting:
            await asked.acquire()
        with pytest.raises(PricesUnavailable, match="too many"):
            await price_list.prices(["MUG"], "EUR")
        may_answer.set()
        assert [*(await asyncio.gather(*waiting))[1]] == ["MUG"]
        assert await price_list.prices(["N1"], "EUR")
