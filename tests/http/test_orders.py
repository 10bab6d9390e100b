"""Placing, quoting, reading and editing: what is answered, and what happened then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.http.calling import Api, a_body, assert_problem, id_of
from tests.shop import Shop

NOTHING: dict[str, int] = {}


async def assert_nothing_happened(shop: Shop) -> None:
    """No order, so no event either, and no call to the payment service."""
    assert await shop.count() == 0
    assert shop.provider.calls == NOTHING


# -- with and without a payment ---------------------------------------------------------------


async def test_places_an_order_at_the_prices_of_the_list(api: Api, shop: Shop) -> None:
    answer = await api.place(
        shipping={
            "method": "standard",
            "address": {"name": "Ada", "line1": "1 Mill Lane", "city": "Cork", "country": "IE"},
        },
        external_reference="cart-7",
        note="Ring twice",
        metadata={"basket": "b-1"},
        expected_total=4_495,
    )

    order = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/orders/{order['id']}"
    assert answer.headers["etag"] == '"1"'
    assert "idempotency-replayed" not in answer.headers
    assert [line["unit_price"] for line in order["lines"]] == [1_000, 500]
    assert [line["total"] for line in order["lines"]] == [3_000, 1_000]
    assert order["totals"]["gross"] == order["totals"]["outstanding"] == 4_495
    assert (order["status"], order["payment_status"]) == ("pending", "unpaid")
    assert (order["fulfillment_status"], order["return_status"]) == ("unfulfilled", "none")
    assert (order["customer_id"], order["currency"]) == ("ada", "EUR")
    assert (order["external_reference"], order["note"]) == ("cart-7", "Ring twice")
    assert order["metadata"] == {"basket": "b-1"}
    assert order["shipping"]["price"] == 495
    assert order["shipping"]["address"]["city"] == "Cork"
    assert (order["created_at"], order["expires_at"]) == (
        "2026-03-01T12:00:00Z",
        "2026-03-02T12:00:00Z",
    )
    assert await shop.history(id_of(order)) == ["OrderCreated"]
    assert shop.provider.calls == NOTHING


@pytest.mark.parametrize(
    ("method", "capture", "status", "payment_status"),
    [
        ("tok_ok", False, "confirmed", "authorized"),
        ("tok_ok", True, "confirmed", "paid"),
        ("tok_declined", False, "pending", "failed"),
        ("tok_insufficient_funds", True, "pending", "failed"),
        ("tok_pending", False, "pending", "pending"),
        ("tok_timeout_booked", False, "pending", "pending"),
        ("tok_timeout_unbooked", False, "pending", "pending"),
        ("tok_of_another_service", False, "pending", "failed"),
    ],
)
async def test_answers_201_with_the_truth_about_the_payment(
    api: Api, shop: Shop, method: str, capture: bool, status: str, payment_status: str
) -> None:
    answer = await api.place(payment={"method": method, "capture": capture})

    order = answer.json()
    assert answer.status_code == 201
    assert (order["status"], order["payment_status"]) == (status, payment_status)
    assert shop.provider.calls == {f"{order['id']}:1": 1}


async def test_says_why_a_payment_was_declined_and_lets_the_customer_pay_again(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_declined"})

    (payment,) = order["payments"]
    assert (payment["status"], payment["decline_code"]) == ("declined", "card_declined")

    paid = await api.done(
        f"/orders/{order['id']}/payments", {"method": "tok_ok", "capture": True}, who="ada"
    )
    assert (paid["status"], paid["payment_status"]) == ("confirmed", "paid")


async def test_does_not_ask_for_a_payment_of_nothing(api: Api, shop: Shop) -> None:
    order = await api.placed(
        lines=[{"sku": "FREE", "name": "Sample", "quantity": 1}], payment={"method": "tok_ok"}
    )

    assert (order["status"], order["payment_status"]) == ("confirmed", "not_required")
    assert order["payments"] == []
    assert shop.provider.calls == NOTHING


# -- for whom -----------------------------------------------------------------------------------


async def test_a_customer_may_name_themselves(api: Api) -> None:
    assert (await api.placed(customer_id="ada"))["customer_id"] == "ada"


async def test_a_customer_cannot_place_for_another(api: Api, shop: Shop) -> None:
    assert_problem(await api.place(customer_id="bob"), 403, "forbidden")
    await assert_nothing_happened(shop)


async def test_staff_places_on_behalf_of_a_customer_who_then_owns_the_order(api: Api) -> None:
    order = await api.placed(who="sue", customer_id="ada")

    assert (await api.get(f"/orders/{order['id']}", who="ada")).json()["customer_id"] == "ada"
    assert_problem(await api.get(f"/orders/{order['id']}", who="bob"), 404, "order-not-found")


async def test_staff_without_a_customer_places_for_a_guest(api: Api) -> None:
    order = await api.placed(who="sue")

    assert order["customer_id"] is None
    assert_problem(await api.get(f"/orders/{order['id']}", who="ada"), 404, "order-not-found")


@pytest.mark.parametrize("customer_id", ["", "a b", "ada\n", "a\x00", "x" * 256, "é"])
async def test_refuses_a_customer_id_that_is_no_reference(
    api: Api, shop: Shop, customer_id: str
) -> None:
    problem = assert_problem(
        await api.place(who="sue", customer_id=customer_id), 422, "invalid-value"
    )

    assert problem["errors"][0]["pointer"] == "/customer_id"
    await assert_nothing_happened(shop)


@pytest.mark.parametrize("who", ["wes", "fin", "rita", "art", "nobody", "reader"])
async def test_only_customers_support_and_admins_place(api: Api, shop: Shop, who: str) -> None:
    assert_problem(await api.place(who=who), 403, "forbidden")
    await assert_nothing_happened(shop)


@pytest.mark.parametrize("who", [None, "a-stranger"])
async def test_needs_a_valid_token(api: Api, shop: Shop, who: str | None) -> None:
    answer = await api.place(who=who)

    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    await assert_nothing_happened(shop)


# -- prices -------------------------------------------------------------------------------------


def _line(**changes: Any) -> dict[str, Any]:
    return {"sku": "PEN", "name": "Pen", "quantity": 1, **changes}


async def test_a_customer_may_state_the_price_of_the_list(api: Api) -> None:
    order = await api.placed(lines=[_line(unit_price=1_000)])

    assert order["totals"]["gross"] == 1_000


@pytest.mark.parametrize(
    ("changes", "stated", "actual"),
    [
        ({"lines": [_line(unit_price=999)]}, 999, 1_000),
        ({"lines": [_line(unit_price=1_001)]}, 1_001, 1_000),
        ({"lines": [_line(unit_price=0)]}, 0, 1_000),
        ({"lines": [_line(discount=1)]}, 1, 0),
        ({"lines": [_line(tax=1)]}, 1, 0),
        ({"discount": 5}, 5, 0),
        ({"shipping": {"method": "standard", "price": 100}}, 100, 495),
        ({"shipping": {"price": 100}}, 100, 0),
        ({"expected_total": 3_999}, 3_999, 4_000),
        ({"expected_total": 0}, 0, 4_000),
    ],
)
async def test_refuses_a_price_that_is_not_the_lists(
    api: Api, shop: Shop, changes: dict[str, Any], stated: int, actual: int
) -> None:
    problem = assert_problem(await api.place(**changes), 422, "total-changed")

    assert f"{actual} minor units, not {stated}" in problem["detail"]
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": [_line(sku="UNLISTED")]},
        {"lines": [_line(sku="UNLISTED", unit_price=5)]},
        {"currency": "USD"},
        {"shipping": {"method": "by-drone"}},
    ],
)
async def test_refuses_what_the_list_has_no_price_for(
    api: Api, shop: Shop, changes: dict[str, Any]
) -> None:
    assert_problem(await api.place(**changes), 422, "price-unknown")
    await assert_nothing_happened(shop)


@pytest.mark.parametrize("who", ["till", "sue", "root"])
async def test_who_may_state_prices_states_all_of_them(api: Api, who: str) -> None:
    order = await api.placed(
        who=who,
        lines=[
            {**_line(quantity=3, unit_price=100), "discount": 10, "tax": 21},
            _line(sku="UNLISTED", quantity=1, unit_price=50),
        ],
        discount=11,
        shipping={"method": "by-drone", "price": 7},
        expected_total=357,
    )

    totals = order["totals"]
    assert {
        name: totals[name] for name in ("subtotal", "discount", "tax", "shipping", "gross")
    } == {
        "subtotal": 350,
        "discount": 21,
        "tax": 21,
        "shipping": 7,
        "gross": 357,
    }


async def test_the_list_fills_in_what_a_trusted_caller_leaves_out(api: Api) -> None:
    order = await api.placed(who="till", lines=[_line(), _line(sku="UNLISTED", unit_price=1)])

    assert [line["unit_price"] for line in order["lines"]] == [1_000, 1]


async def test_says_503_without_prices_and_places_nothing(api: Api, shop: Shop) -> None:
    shop.prices.unavailable = True

    answer = await api.place()

    assert_problem(answer, 503, "prices-unavailable")
    assert answer.headers["retry-after"] == "1"
    await assert_nothing_happened(shop)


# -- quotes and dry runs ------------------------------------------------------------------------


async def test_a_quote_is_what_an_order_then_costs(api: Api, shop: Shop) -> None:
    body = a_body(shipping={"method": "standard"})

    answer = await api.post("/orders/quote", body, key=None)
    await assert_nothing_happened(shop)
    quote = answer.json()
    order = await api.placed(**body, expected_total=quote["totals"]["gross"])

    assert answer.status_code == 200
    assert quote["lines"] == order["lines"]
    assert quote["totals"] == order["totals"]
    assert quote["currency"] == "EUR"


async def test_a_dry_run_shows_the_order_and_stores_nothing(api: Api, shop: Shop) -> None:
    answer = await api.place(payment={"method": "tok_ok"}, dry_run=True, key=None)

    order = answer.json()
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert order["totals"]["gross"] == 4_000
    assert (order["status"], order["version"]) == ("pending", 0)
    await assert_nothing_happened(shop)
    assert_problem(await api.get(f"/orders/{order['id']}"), 404, "order-not-found")


async def test_a_dry_run_refuses_what_placing_would(api: Api) -> None:
    assert_problem(await api.place(lines=[], dry_run=True), 422, "invalid-value")


async def test_a_dry_run_does_not_use_the_key_up(api: Api) -> None:
    await api.place(key="once", dry_run=True)

    answer = await api.place(key="once", lines=[_line()])

    assert answer.status_code == 201
    assert answer.json()["totals"]["gross"] == 1_000


ONE_LINE = b'{"currency":"EUR","lines":[{"sku":"A","name":"A","quantity":%s,"unit_price":1}]}'


# -- amounts, limits and text -------------------------------------------------------------------


@pytest.mark.parametrize("currency", ["JPY", "EUR", "KWD", "CLF"])
async def test_keeps_minor_units_of_any_exponent_exactly(
    api: Api, shop: Shop, currency: str
) -> None:
    order = await api.placed(
        who="sue",
        currency=currency,
        lines=[_line(unit_price=1_234)],
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
        ({"lines": [_line(unit_price=10**10)]}, 10**10),
        ({"lines": [_line(unit_price=1, quantity=100_000)]}, 100_000),
        ({"lines": [_line(unit_price=1)] * 2_000}, 2_000),
        ({"lines": [_line(unit_price=1, tax=2**53 - 2)]}, 2**53 - 1),
        ({"lines": [_line(unit_price=1, sku="a" * 64)]}, 1),
        ({"lines": [_line(unit_price=1, name="n" * 500)]}, 1),
        ({"lines": [_line(unit_price=1)], "note": "é" * 1_999 + "😀"}, 1),
        ({"lines": [_line(unit_price=1)], "note": "two\nlines\t"}, 1),
        ({"lines": [_line(unit_price=0, discount=0)]}, 0),
        ({"lines": [_line(unit_price=5, discount=5)]}, 0),
        ({"lines": [_line(unit_price=5)], "discount": 5}, 0),
        ({"lines": [_line(unit_price=1)], "metadata": {f"n{i}": "v" for i in range(50)}}, 1),
        ({"lines": [_line(unit_price=1)], "metadata": {"n" * 64: "v" * 500}}, 1),
        ({"lines": [_line(unit_price=1)], "external_reference": "~" * 255}, 1),
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
        ({"lines": [_line(unit_price=1)] * 2_001}, "/lines"),
        ({"lines": [_line(unit_price=1, quantity=100_001)]}, "/lines/0/quantity"),
        ({"lines": [_line(unit_price=1, quantity=0)]}, "/lines/0/quantity"),
        ({"lines": [_line(unit_price=1), _line(unit_price=1, quantity=-1)]}, "/lines/1/quantity"),
        ({"lines": [_line(unit_price=10**10 + 1)]}, "/lines/0/unit_price"),
        ({"lines": [_line(unit_price=-1)]}, "/lines/0/unit_price"),
        ({"lines": [_line(unit_price=1, discount=2)]}, "/lines/0/discount"),
        ({"lines": [_line(unit_price=1, discount=-1)]}, "/lines/0/discount"),
        ({"lines": [_line(unit_price=1, tax=-1)]}, "/lines/0/tax"),
        ({"lines": [_line(unit_price=1, tax=2**53)]}, "/lines/0/tax"),
        ({"lines": [_line(unit_price=1)], "discount": 2}, "/discount"),
        ({"lines": [_line(unit_price=1)], "shipping": {"price": -1}}, "/shipping/price"),
        ({"lines": [_line(unit_price=1, sku="a" * 65)]}, "/lines/0/sku"),
        ({"lines": [_line(unit_price=1, sku="")]}, "/lines/0/sku"),
        ({"lines": [_line(unit_price=1, sku="a\n")]}, "/lines/0/sku"),
        ({"lines": [_line(unit_price=1, sku="a\x00b")]}, "/lines/0/sku"),
        ({"lines": [_line(unit_price=1, name=" ")]}, "/lines/0/name"),
        ({"lines": [_line(unit_price=1, name="n" * 501)]}, "/lines/0/name"),
        ({"lines": [_line(unit_price=1)], "note": "n" * 2_001}, "/note"),
        ({"lines": [_line(unit_price=1)], "note": "a\x00b"}, "/note"),
        ({"lines": [_line(unit_price=1)], "external_reference": "a b"}, "/external_reference"),
        ({"lines": [_line(unit_price=1)], "external_reference": "~" * 256}, "/external_reference"),
        ({"lines": [_line(unit_price=1)], "metadata": {"a b": "c"}}, "/metadata"),
        ({"lines": [_line(unit_price=1)], "metadata": {"a": "v" * 501}}, "/metadata/a"),
        (
            {"lines": [_line(unit_price=1)], "metadata": {f"n{i}": "v" for i in range(51)}},
            "/metadata",
        ),
        (
            {"lines": [_line(unit_price=1)], "payment": {"method": "4111111111111111"}},
            "/payment/method",
        ),
        ({"lines": [_line(unit_price=1)], "payment": {"method": ""}}, "/payment/method"),
        (
            {"lines": [_line(unit_price=1)], "shipping": {"method": "Express!"}},
            "/shipping/method",
        ),
        (
            {
                "lines": [_line(unit_price=1)],
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
        await _stated(api, currency=currency, lines=[_line(unit_price=1)]), 422, "currency-unknown"
    )

    assert problem["errors"][0]["pointer"] == "/currency"
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    "lines",
    [
        [_line(unit_price=1, tax=2**53 - 1)],
        [_line(unit_price=10**10, quantity=100_000)] * 10,
        [_line(unit_price=0, tax=2**53 - 1)] * 1_100,
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


# -- reading ------------------------------------------------------------------------------------


async def test_reads_what_was_placed_by_id_number_and_reference(api: Api) -> None:
    order = await api.placed(external_reference="cart-7")
    await api.placed(external_reference="cart-8")

    number = order["number"]
    for path in (
        order["id"],
        f"by-number/{number}",
        f"by-number/{number.lower().replace('-', ' ')}",
        "by-reference/cart-7",
    ):
        answer = await api.get(f"/orders/{path}")
        assert answer.status_code == 200
        assert answer.json() == order
        assert answer.headers["etag"] == '"1"'
        assert answer.headers["cache-control"] == "no-store"


async def test_a_reference_used_twice_names_the_newer_order(api: Api, shop: Shop) -> None:
    await api.placed(external_reference="cart-7")
    shop.clock.advance(shop.use_cases.expire_after() / 2)
    newer = await api.placed(external_reference="cart-7")

    assert (await api.get("/orders/by-reference/cart-7")).json()["id"] == newer["id"]


@pytest.mark.parametrize("who", ["bob", "eve", "boss"])
async def test_an_order_of_another_customer_or_tenant_is_not_there(api: Api, who: str) -> None:
    order = await api.placed(external_reference="cart-7")
    unknown = "00000000-0000-8000-8000-000000000000"

    theirs = assert_problem(
        await api.get(f"/orders/{order['id']}", who=who), 404, "order-not-found"
    )
    nobodys = assert_problem(await api.get(f"/orders/{unknown}", who=who), 404, "order-not-found")

    assert theirs.keys() == nobodys.keys()
    assert theirs["detail"].replace(order["id"], unknown) == nobodys["detail"]
    for path in (f"by-number/{order['number']}", "by-reference/cart-7"):
        assert_problem(await api.get(f"/orders/{path}", who=who), 404, "order-not-found")


async def test_the_absence_of_a_number_looks_as_if_it_were_not_yours(api: Api) -> None:
    order = await api.placed()
    theirs = await api.get(f"/orders/by-number/{order['number']}", who="bob")
    nobodys = await api.get(f"/orders/by-number/{order['number']}", who="eve")

    assert (
        assert_problem(theirs, 404, "order-not-found")["detail"]
        == (assert_problem(nobodys, 404, "order-not-found")["detail"])
    )


async def test_says_which_character_of_a_number_cannot_be(api: Api) -> None:
    assert_problem(await api.get("/orders/by-number/AAAA-AAAA-AAAAA"), 422, "invalid-value")


@pytest.mark.parametrize("path", ["not-an-id", "123", "%00", "..%2F..", "by-number/"])
async def test_what_is_no_id_is_not_found(api: Api, path: str) -> None:
    assert_problem(await api.get(f"/orders/{path}"), 404, "not-found")


@pytest.mark.parametrize("path", ["/orders", "/orders/{id}", "/orders/{id}/actions"])
async def test_refuses_query_parameters_it_does_not_know(api: Api, path: str) -> None:
    order = await api.placed()

    answer = await api.get(path.format(id=order["id"]), **{"status[$ne]": "pending"})

    assert_problem(answer, 400, "invalid-query")


# -- when the store is away ---------------------------------------------------------------------

Call = Callable[[Api, str], Awaitable[Any]]


@pytest.mark.parametrize(
    "call",
    [
        lambda api, order_id: api.place(payment={"method": "tok_ok"}),
        lambda api, order_id: api.get(f"/orders/{order_id}"),
        lambda api, order_id: api.get("/orders"),
        lambda api, order_id: api.get(f"/orders/{order_id}/events"),
        lambda api, order_id: api.post(f"/orders/{order_id}/cancel"),
    ],
    ids=["place", "read", "list", "timeline", "cancel"],
)
async def test_says_503_without_the_store_and_moves_no_money(
    api: Api, shop: Shop, call: Call
) -> None:
    order = await api.placed()
    shop.stored.unavailable = True

    answer = await call(api, order["id"])

    assert_problem(answer, 503, "store-unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "switched off" not in answer.text
    assert shop.provider.calls == NOTHING
