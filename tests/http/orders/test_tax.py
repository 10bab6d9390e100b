"""Tax over HTTP: stated by the till, listed by the catalogue, in answers, credits and events."""

from __future__ import annotations

from typing import Any

import pytest

from orders.adapters.in_memory import StaticPriceList
from orders.application.ports import ListedPrice
from orders.domain import TaxRounding
from tests.support.api import Api, a_body, a_line, assert_nothing_happened, assert_problem
from tests.support.shop import Shop

TEA = {"sku": "TEA", "name": "Tea", "quantity": 3, "unit_price": 999, "tax_rate": "0.19"}
LISTED: dict[str, dict[str, int | ListedPrice]] = {
    "EUR": {
        "TEA": ListedPrice(999, "0.19", includes_tax=True),
        "BOOK": ListedPrice(1_070, "0.07", includes_tax=True),
        "NET": ListedPrice(1_000, "0.19"),
        "PLAIN": 500,
        "shipping/express": ListedPrice(595, "0.19", includes_tax=True),
    }
}


@pytest.fixture
def listed(shop: Shop) -> None:
    """The catalogue states tax rates."""
    shop.container.override_providers(prices=StaticPriceList(LISTED))


def one(sku: str, **changes: Any) -> dict[str, Any]:
    return a_line(sku=sku, **changes)


async def test_three_units_with_tax_of_which_one_is_cancelled_and_one_returned(api: Api) -> None:
    order = await api.placed(
        who="till",
        lines=[TEA],
        prices_include_tax=True,
        expected_total=2_997,
        payment={"method": "tok_ok", "capture": True},
    )
    path = f"/orders/{order['id']}"
    assert order["prices_include_tax"] is True
    assert order["lines"][0]["tax_rate"] == "0.19"
    assert (order["totals"]["gross"], order["totals"]["tax"]) == (2_997, 479)
    assert order["totals"]["tax_lines"] == [{"rate": "0.19", "taxable": 2_518, "tax": 479}]

    units = [{"line_id": "1", "quantity": 1}]
    order = await api.done(f"{path}/cancellations", {"items": units})
    assert order["totals"]["tax_lines"] == [{"rate": "0.19", "taxable": 1_679, "tax": 319}]
    await api.done(f"{path}/shipments", {"items": [{"line_id": "1", "quantity": 2}]})
    await api.done(f"{path}/shipments/1/dispatch")
    await api.done(f"{path}/shipments/1/deliver")
    await api.done(f"{path}/returns", {"items": units})
    await api.done(f"{path}/returns/1/approve")
    order = await api.done(f"{path}/returns/1/receive")

    (credit,) = order["credits"]
    assert credit["amount"] == 999
    assert credit["tax_lines"] == [{"rate": "0.19", "taxable": 839, "tax": 160}]
    assert (await api.get(f"{path}/credits", who="root")).json()["items"] == [credit]
    events = (await api.get(f"{path}/events", who="root")).json()["items"]
    granted = next(each for each in events if each["type"] == "CreditGranted")
    assert granted["data"]["change"]["tax"] == 160
    assert [e["data"]["after"]["tax"] for e in events if e["type"] == "OrderCreated"] == [479]
    assert granted["data"]["after"]["tax"] == 319
    assert (order["totals"]["due"], order["totals"]["refund_due"]) == (999, 1_998)


async def test_tax_on_top_with_shipping_and_two_rates(api: Api) -> None:
    order = await api.placed(
        who="till",
        lines=[
            TEA,
            one("BOOK", unit_price=1_000, tax_rate="0.07"),
            one("OLD", unit_price=10, tax=2),
        ],
        shipping={"price": 500, "tax_rate": "0.190"},
    )

    assert order["prices_include_tax"] is False
    assert order["shipping"] | {"address": None} == order["shipping"]
    assert (order["shipping"]["tax"], order["shipping"]["tax_rate"]) == (95, "0.19")
    assert order["totals"]["tax_lines"] == [
        {"rate": "0.19", "taxable": 3_497, "tax": 664},
        {"rate": "0.07", "taxable": 1_000, "tax": 70},
        {"rate": None, "taxable": 10, "tax": 2},
    ]
    assert (order["totals"]["tax"], order["totals"]["gross"]) == (
        736,
        2_997 + 1_000 + 10 + 500 + 736,
    )


async def test_an_order_without_tax_says_so(api: Api) -> None:
    order = await api.placed()

    assert order["prices_include_tax"] is False
    assert order["totals"]["tax_lines"] == []
    assert {line["tax_rate"] for line in order["lines"]} == {None}


async def test_a_quote_says_the_same_as_the_order(api: Api) -> None:
    body = {
        "lines": [TEA],
        "prices_include_tax": True,
        "shipping": {"price": 595, "tax_rate": "0.19"},
    }

    quote = (await api.post("/orders/quote", a_body(**body), who="till", key=None)).json()

    order = await api.placed(who="till", **body)
    assert quote["totals"]["tax"] == 479 + 95
    assert {name: order[name] for name in quote} == quote


async def test_the_warehouse_sees_no_tax(api: Api) -> None:
    order = await api.placed(who="till", lines=[TEA], shipping={"price": 5, "tax_rate": "0.19"})

    seen = (await api.get(f"/orders/{order['id']}", who="wes")).json()

    assert "tax" not in str(seen)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"lines": [TEA | {"tax": 1}]}, "/lines/0/tax_rate"),
        ({"lines": [TEA, TEA | {"tax_rate": "19"}]}, "/lines/1/tax_rate"),
        ({"lines": [TEA | {"tax_rate": "0.1234567"}]}, "/lines/0/tax_rate"),
        ({"lines": [TEA], "shipping": {"tax_rate": "-1"}}, "/shipping/tax_rate"),
        (
            {"lines": [TEA], "shipping": {"price": 9, "tax": 1, "tax_rate": "0"}},
            "/shipping/tax_rate",
        ),
        ({"lines": [TEA], "shipping": {"price": 9, "tax": -1}}, "/shipping/tax"),
        (
            {"lines": [one("A", unit_price=5, tax=6)], "prices_include_tax": True},
            "/lines/0/tax",
        ),
    ],
)
async def test_refuses_a_tax_that_is_none(
    api: Api, shop: Shop, changes: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(await api.place(who="till", **changes), 422, "invalid-value")

    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"lines": [TEA | {"tax_rate": 0.19}]}, "/lines/0/tax_rate"),
        ({"prices_include_tax": "yes"}, "/prices_include_tax"),
        ({"shipping": {"tax_rate": 1}}, "/shipping/tax_rate"),
    ],
)
async def test_refuses_a_tax_of_another_type(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(await api.place(who="till", **changes), 422, "invalid-body")

    assert [each["pointer"] for each in problem["errors"]] == [pointer]


# -- the catalogue -------------------------------------------------------------------------------


@pytest.mark.usefixtures("listed")
async def test_the_catalogue_states_rates_and_whether_prices_include_tax(api: Api) -> None:
    lines = [one("TEA", quantity=3), one("BOOK", tax_rate="0.070"), one("PLAIN")]
    shipping = {"method": "express"}

    for stated in ({}, {"prices_include_tax": True}):
        order = await api.placed(lines=lines, shipping=shipping, **stated)

        assert order["prices_include_tax"] is True
        assert order["totals"]["gross"] == 2_997 + 1_070 + 500 + 595
        assert [line["tax_rate"] for line in order["lines"]] == ["0.19", "0.07", None]
        assert [each["tax"] for each in order["totals"]["tax_lines"]] == [479 + 95, 70]


@pytest.mark.usefixtures("listed")
async def test_the_catalogue_may_state_prices_without_their_tax(api: Api) -> None:
    order = await api.placed(lines=[one("NET"), one("PLAIN")])

    assert order["prices_include_tax"] is False
    assert order["totals"]["gross"] == 1_190 + 500


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"lines": [one("PLAIN"), one("TEA", tax_rate="0.07")]}, "lines/1/tax_rate"),
        ({"lines": [one("TEA", tax_rate="0")]}, "lines/0/tax_rate"),
        ({"lines": [one("PLAIN", tax_rate="0.19")]}, "lines/0/tax_rate"),
        ({"lines": [one("TEA")], "prices_include_tax": False}, "prices_include_tax"),
        # Who could say this would pay 1000 where 1190 are due.
        ({"lines": [one("NET")], "prices_include_tax": True}, "prices_include_tax"),
        ({"lines": [one("PLAIN")], "prices_include_tax": True}, "prices_include_tax"),
        (
            {"lines": [one("TEA")], "shipping": {"method": "express", "tax_rate": "0.07"}},
            "shipping/tax_rate",
        ),
        ({"lines": [one("TEA")], "shipping": {"tax_rate": "0.07"}}, "shipping/tax_rate"),
    ],
)
async def test_refuses_a_tax_that_is_not_the_catalogues(
    api: Api, shop: Shop, changes: dict[str, Any], field: str
) -> None:
    problem = assert_problem(await api.place(**changes), 422, "tax-changed")

    assert problem["detail"].startswith(f"{field} is not that of the price list")
    await assert_nothing_happened(shop)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("shipping", [{"price": 0, "tax": 1}, {"method": "express", "tax": 95}])
async def test_customers_state_no_tax_on_shipping(
    api: Api, shop: Shop, shipping: dict[str, Any]
) -> None:
    answer = await api.place(lines=[one("TEA")], shipping=shipping)

    assert_problem(answer, 422, "total-changed")
    await assert_nothing_happened(shop)


@pytest.mark.usefixtures("listed")
async def test_a_catalogue_that_mixes_prices_with_tax_and_without_cannot_be_used(
    api: Api, shop: Shop
) -> None:
    answer = await api.place(lines=[one("TEA"), one("NET")])

    assert_problem(answer, 503, "prices-unavailable")
    await assert_nothing_happened(shop)


@pytest.mark.usefixtures("listed")
async def test_who_may_state_prices_takes_some_with_their_tax_from_the_catalogue(api: Api) -> None:
    stated = one("X", unit_price=100, tax_rate="0.07")

    order = await api.placed(who="till", lines=[stated, one("TEA")])
    own_rate = await api.placed(who="till", lines=[one("TEA", tax_rate="0.07")])
    own_tax = await api.placed(who="till", lines=[one("TEA", tax=99)])

    assert order["prices_include_tax"] is True
    assert [line["tax"] for line in order["lines"]] == [7, 160]
    assert [line["tax_rate"] for line in own_rate["lines"]] == ["0.07"]
    assert [line["tax"] for line in own_tax["lines"]] == [99]
    refused = await api.place(who="till", lines=[stated, one("NET")], prices_include_tax=True)
    assert_problem(refused, 422, "tax-changed")


@pytest.mark.usefixtures("listed")
async def test_a_repeated_request_finds_its_order_after_the_catalogue_has_changed(
    api: Api, shop: Shop
) -> None:
    body = {"lines": [one("TEA", tax_rate="0.19")], "key": "k"}
    order = await api.placed(**body)
    shop.container.override_providers(prices=StaticPriceList({"EUR": {"TEA": 999}}))
    shop.container.reset_singletons()

    again = await api.place(**body)

    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == order["id"]


@pytest.mark.usefixtures("listed")
async def test_added_lines_are_taxed_as_the_order_is(api: Api, shop: Shop) -> None:
    order = await api.placed(lines=[one("TEA")])
    path = f"/orders/{order['id']}/changes"

    changed = await api.done(path, {"lines": [one("BOOK")], "reason": "customer"}, who="ada")
    (change,) = changed["changes"]
    assert change["gross"] == 999 + 1_070
    assert [line["tax"] for line in change["added"]] == [70]
    await api.done(f"{path}/1/decline")

    other = await api.post(path, {"lines": [one("NET")], "reason": "customer"}, who="ada")
    assert_problem(other, 422, "tax-changed")


async def test_a_changed_setting_leaves_placed_orders_as_they_are(api: Api, shop: Shop) -> None:
    cheap = one("A", unit_price=250, tax_rate="0.01")
    body = {"who": "till", "lines": [cheap] * 4}
    shop.container.tax_rounding.override(TaxRounding.ORDER)
    by_order = await api.placed(**body)
    shop.container.tax_rounding.reset_override()
    shop.container.reset_singletons()
    by_line = await api.placed(**body)

    assert (by_order["totals"]["tax"], by_line["totals"]["tax"]) == (10, 12)
    proposal = {"lines": [cheap], "reason": "customer"}
    for order, gross in ((by_order, 1_250 + 13), (by_line, 1_250 + 15)):
        path = f"/orders/{order['id']}/changes"
        changed = await api.done(path, proposal, who="till")
        assert changed["changes"][0]["gross"] == gross
        tag = {"If-Match": f'"{changed["version"]}"'}
        applied = await api.done(f"{path}/1/apply", headers=tag)
        assert applied["totals"]["tax"] == gross - 1_250


async def test_graphql_shows_the_tax(api: Api) -> None:
    order = await api.placed(who="till", lines=[TEA], prices_include_tax=True)
    query = (
        "query($id: ID!) {order(id: $id) {pricesIncludeTax lines {taxRate tax} shipping {tax} "
        "totals {tax taxLines {rate taxable tax}} credits {taxLines {rate}}}}"
    )

    answer = await api.post(
        "/graphql", {"query": query, "variables": {"id": order["id"]}}, who="root", key=None
    )

    assert answer.json()["data"]["order"] == {
        "pricesIncludeTax": True,
        "lines": [{"taxRate": "0.19", "tax": 479}],
        "shipping": None,
        "totals": {"tax": 479, "taxLines": [{"rate": "0.19", "taxable": 2_518, "tax": 479}]},
        "credits": [],
    }
