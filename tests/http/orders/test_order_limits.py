"""How much an order may hold, at the limit and beyond, and what is no order at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, a_line, assert_nothing_happened, assert_problem
from tests.support.shop import Shop

ONE_LINE = b'{"currency":"EUR","lines":[{"sku":"A","name":"A","quantity":%s,"unit_price":1}]}'


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD", "CLF"])
async def test_keeps_minor_units_of_any_exponent_exactly(
    api: Api, shop: Shop, currency: str
) -> None:
    order = await api.placed(
        who="sue",
        currency=currency,
        lines=[a_line(unit_price=1_234)],
        payment={"method": "tok_ok", "capture": True},
    )

    (report,) = [await shop.provider.find(f"{order['id']}:1")]
    assert report is not None
    assert order["totals"]["captured"] == report.captured == 1_234
    assert (order["currency"], report.amount.currency) == (currency, currency)


async def _stated(api: Api, **changes: Any) -> Any:
    return await api.place(who="sue", **changes)


@pytest.mark.parametrize(
    ("changes", "gross"),
    [
        ({"lines": [a_line(unit_price=10**10)]}, 10**10),
        ({"lines": [a_line(unit_price=1, quantity=100_000)]}, 100_000),
        ({"lines": [a_line(unit_price=1)] * 2_000}, 2_000),
        ({"lines": [a_line(unit_price=1, tax=2**53 - 2)]}, 2**53 - 1),
        ({"lines": [a_line(unit_price=1, sku="a" * 64)]}, 1),
        ({"lines": [a_line(unit_price=1, name="n" * 500)]}, 1),
        ({"lines": [a_line(unit_price=1)], "note": "é" * 1_999 + "😀"}, 1),
        ({"lines": [a_line(unit_price=1)], "note": "two\nlines\t"}, 1),
        ({"lines": [a_line(unit_price=0, discount=0)]}, 0),
        ({"lines": [a_line(unit_price=5, discount=5)]}, 0),
        ({"lines": [a_line(unit_price=5)], "discount": 5}, 0),
        ({"lines": [a_line(unit_price=1)], "metadata": {f"n{i}": "v" for i in range(50)}}, 1),
        ({"lines": [a_line(unit_price=1)], "metadata": {"n" * 64: "v" * 500}}, 1),
        ({"lines": [a_line(unit_price=1)], "external_reference": "~" * 255}, 1),
    ],
)
async def test_takes_what_is_just_within_the_limits(
    api: Api, changes: dict[str, Any], gross: int
) -> None:
    answer = await _stated(api, **changes)

    assert answer.status_code == 201, answer.text
    assert answer.json()["totals"]["gross"] == gross


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [a_line(unit_price=1)] * 2_001}, "/lines"),
        ({"lines": [a_line(unit_price=1, quantity=100_001)]}, "/lines/0/quantity"),
        ({"lines": [a_line(unit_price=1, quantity=0)]}, "/lines/0/quantity"),
        ({"lines": [a_line(unit_price=1), a_line(unit_price=1, quantity=-1)]}, "/lines/1/quantity"),
        ({"lines": [a_line(unit_price=10**10 + 1)]}, "/lines/0/unit_price"),
        ({"lines": [a_line(unit_price=-1)]}, "/lines/0/unit_price"),
        ({"lines": [a_line(unit_price=1, discount=2)]}, "/lines/0/discount"),
        ({"lines": [a_line(unit_price=1, discount=-1)]}, "/lines/0/discount"),
        ({"lines": [a_line(unit_price=1, tax=-1)]}, "/lines/0/tax"),
        ({"lines": [a_line(unit_price=1, tax=2**53)]}, "/lines/0/tax"),
        ({"lines": [a_line(unit_price=1)], "discount": 2}, "/discount"),
        ({"lines": [a_line(unit_price=1)], "shipping": {"price": -1}}, "/shipping/price"),
        ({"lines": [a_line(unit_price=1, sku="a" * 65)]}, "/lines/0/sku"),
        ({"lines": [a_line(unit_price=1, sku="")]}, "/lines/0/sku"),
        ({"lines": [a_line(unit_price=1, sku="a\n")]}, "/lines/0/sku"),
        ({"lines": [a_line(unit_price=1, sku="a\x00b")]}, "/lines/0/sku"),
        ({"lines": [a_line(unit_price=1, name=" ")]}, "/lines/0/name"),
        ({"lines": [a_line(unit_price=1, name="n" * 501)]}, "/lines/0/name"),
        ({"lines": [a_line(unit_price=1)], "note": "n" * 2_001}, "/note"),
        ({"lines": [a_line(unit_price=1)], "note": "a\x00b"}, "/note"),
        ({"lines": [a_line(unit_price=1)], "external_reference": "a b"}, "/external_reference"),
        ({"lines": [a_line(unit_price=1)], "external_reference": "~" * 256}, "/external_reference"),
        ({"lines": [a_line(unit_price=1)], "metadata": {"a b": "c"}}, "/metadata"),
        ({"lines": [a_line(unit_price=1)], "metadata": {"a": "v" * 501}}, "/metadata/a"),
        (
            {"lines": [a_line(unit_price=1)], "metadata": {f"n{i}": "v" for i in range(51)}},
            "/metadata",
        ),
        (
            {"lines": [a_line(unit_price=1)], "payment": {"method": "4111111111111111"}},
            "/payment/method",
        ),
        ({"lines": [a_line(unit_price=1)], "payment": {"method": ""}}, "/payment/method"),
        (
            {"lines": [a_line(unit_price=1)], "shipping": {"method": "Express!"}},
            "/shipping/method",
        ),
        (
            {
                "lines": [a_line(unit_price=1)],
                "shipping": {
                    "address": {"name": "A", "line1": "1", "city": "C", "country": "IE\n"}
                },
            },
            "/shipping/address/country",
        ),
    ],
)
async def test_refuses_what_is_just_beyond_the_limits(
    api: Api, shop: Shop, changes: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(await _stated(api, **changes), 422, "invalid-value")

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    await assert_nothing_happened(shop)


@pytest.mark.parametrize("currency", ["eur", "XXX", "EU", "EURO", "EUR\n", "", "XAU"])
async def test_refuses_what_is_no_currency(api: Api, shop: Shop, currency: str) -> None:
    problem = assert_problem(
        await _stated(api, currency=currency, lines=[a_line(unit_price=1)]), 422, "currency-unknown"
    )

    assert problem["errors"][0]["pointer"] == "/currency"
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    "lines",
    [
        [a_line(unit_price=1, tax=2**53 - 1)],
        [a_line(unit_price=10**10, quantity=100_000)] * 10,
        [a_line(unit_price=0, tax=2**53 - 1)] * 1_100,
    ],
)
async def test_refuses_a_total_that_json_cannot_hold(
    api: Api, shop: Shop, lines: list[dict[str, Any]]
) -> None:
    assert_problem(await _stated(api, lines=lines), 422, "amount-too-large")
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed-body"),
        (b'{"currency":"EUR","lines":[{"sku":"\xff"}]}', 400, "malformed-body"),
        (b'{"currency":"EUR","currency":"USD","lines":[]}', 400, "malformed-body"),
        (b'{"currency":"EUR","lines":[],"note":"\\ud800"}', 400, "malformed-body"),
        (b"", 400, "invalid-request"),
        (b'{"currency":"EUR"}', 422, "invalid-body"),
        (b'{"currency":"EUR","lines":[],"status":"paid"}', 422, "invalid-body"),
        (b'{"currency":"EUR","lines":[{"sku":{"$gt":""}}]}', 422, "invalid-body"),
        (ONE_LINE % b'"2"', 422, "invalid-body"),
        (ONE_LINE % b"true", 422, "invalid-body"),
        (ONE_LINE % b"null", 422, "invalid-body"),
        (ONE_LINE % b"1.5", 422, "invalid-body"),
        (ONE_LINE % b"9223372036854775808", 422, "invalid-body"),
        (ONE_LINE % b"NaN", 400, "malformed-body"),
    ],
)
async def test_refuses_a_body_that_means_nothing(
    api: Api, shop: Shop, body: bytes, status: int, code: str
) -> None:
    answer = await api.call("POST", "/orders", raw=body, key="k", who="sue")

    assert_problem(answer, status, code)
    await assert_nothing_happened(shop)


async def test_refuses_another_media_type(api: Api, shop: Shop) -> None:
    answer = await api.place(headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "unsupported-media-type")
    await assert_nothing_happened(shop)


async def test_gives_markup_back_as_json(api: Api) -> None:
    answer = await api.place(note="<script>alert(1)</script>")

    assert answer.json()["note"] == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
