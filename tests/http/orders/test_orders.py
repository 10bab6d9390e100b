"""Placing and quoting: for whom, at which price, and what is said of the payment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, a_body, a_line, assert_nothing_happened, assert_problem, id_of
from tests.support.shop import Shop

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
    assert shop.provider.calls == {}


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
    assert shop.provider.calls == {}


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


async def test_a_customer_may_state_the_price_of_the_list(api: Api) -> None:
    order = await api.placed(lines=[a_line(unit_price=1_000)])

    assert order["totals"]["gross"] == 1_000


@pytest.mark.parametrize(
    ("changes", "stated", "actual"),
    [
        ({"lines": [a_line(unit_price=999)]}, 999, 1_000),
        ({"lines": [a_line(unit_price=1_001)]}, 1_001, 1_000),
        ({"lines": [a_line(unit_price=0)]}, 0, 1_000),
        ({"lines": [a_line(discount=1)]}, 1, 0),
        ({"lines": [a_line(tax=1)]}, 1, 0),
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
        {"lines": [a_line(sku="UNLISTED")]},
        {"lines": [a_line(sku="UNLISTED", unit_price=5)]},
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
            {**a_line(quantity=3, unit_price=100), "discount": 10, "tax": 21},
            a_line(sku="UNLISTED", quantity=1, unit_price=50),
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
    order = await api.placed(who="till", lines=[a_line(), a_line(sku="UNLISTED", unit_price=1)])

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

    answer = await api.place(key="once", lines=[a_line()])

    assert answer.status_code == 201
    assert answer.json()["totals"]["gross"] == 1_000
