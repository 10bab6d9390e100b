"""Changes of what was ordered, over HTTP: priced like a new order, applied on a known version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, assert_problem

ONE_LAMP_MORE = {
    "lines": [{"sku": "LAMP", "name": "Lamp", "quantity": 1}],
    "items": [{"line_id": "1", "quantity": 1}],
    "reason": "customer",
}


async def proposed(api: Api, **changed: Any) -> dict[str, Any]:
    order = await api.placed()
    return await api.done(f"/orders/{order['id']}/changes", {**ONE_LAMP_MORE, **changed}, who="ada")


async def test_a_change_is_proposed_by_the_customer_and_applied_by_support(api: Api) -> None:
    order = await proposed(api)
    (change,) = order["changes"]
    path = f"/orders/{order['id']}/changes/{change['id']}"
    assert change["status"] == "proposed"
    assert order["totals"]["gross"] == 4_000
    assert (await api.get(f"/orders/{order['id']}/changes")).json()["items"] == [change]

    answer = await api.post(f"{path}/apply", who="sue", headers={"If-Match": order_tag(order)})

    applied = answer.json()
    assert answer.status_code == 200, answer.text
    assert applied["totals"]["gross"] == change["gross"]
    assert [line["sku"] for line in applied["lines"]][-1] == "LAMP"
    assert applied["changes"][0]["status"] == "applied"


async def test_applying_needs_the_version_that_was_looked_at(api: Api) -> None:
    order = await proposed(api)
    path = f"/orders/{order['id']}/changes/1/apply"

    assert_problem(await api.post(path, who="sue"), 428, "version-required")
    await api.done(f"/orders/{order['id']}/notes", {"text": "Called"}, who="sue")
    stale = await api.post(path, who="sue", headers={"If-Match": order_tag(order)})
    assert_problem(stale, 412, "stale-version")


async def test_a_trial_shows_the_order_as_it_would_be(api: Api) -> None:
    order = await proposed(api)
    path = f"/orders/{order['id']}/changes/1/apply"

    trial = await api.done(path, who="sue", dry_run=True, key=None)

    assert trial["totals"]["gross"] == order["changes"][0]["gross"]
    assert (await api.get(f"/orders/{order['id']}")).json() == order


async def test_customers_state_no_prices_in_a_change_either(api: Api) -> None:
    order = await api.placed()
    cheap = [{"sku": "LAMP", "name": "Lamp", "quantity": 1, "unit_price": 1}]

    answer = await api.post(f"/orders/{order['id']}/changes", {**ONE_LAMP_MORE, "lines": cheap})

    assert_problem(answer, 422, "total-changed")
    assert (await api.get(f"/orders/{order['id']}")).json() == order


async def test_a_proposal_is_made_once_per_key_whatever_prices_do(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}/changes"
    first = await api.post(path, ONE_LAMP_MORE, key="k")

    api.shop.prices.unavailable = True
    again = await api.post(path, ONE_LAMP_MORE, key="k")

    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = await api.post(path, {**ONE_LAMP_MORE, "reason": "other"}, key="k")
    assert_problem(other, 422, "idempotency-key-reuse")


async def test_anothers_order_is_not_there_to_change(api: Api) -> None:
    order = await api.placed()
    answer = await api.post(f"/orders/{order['id']}/changes", ONE_LAMP_MORE, who="bob")
    assert_problem(answer, 404, "order-not-found")


async def test_a_warehouse_sees_what_changes_and_not_what_it_costs(api: Api) -> None:
    order = await proposed(api)
    (change,) = (await api.get(f"/orders/{order['id']}", who="wes")).json()["changes"]
    assert "gross" not in change
    assert "unit_price" not in change["added"][0]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"items": [], "lines": []}, "/items"),
        ({"items": [{"line_id": "1", "quantity": 0}], "lines": []}, "/items"),
        ({"items": [{"line_id": "1", "quantity": 1}] * 2}, "/items"),
        ({"lines": [{"sku": "LAMP", "name": "Lamp", "quantity": 0}]}, "/lines/0/quantity"),
        ({"lines": [{"sku": "LAMP", "name": " ", "quantity": 1}]}, "/lines/0/name"),
        ({"reason": "No Code"}, "/reason"),
    ],
)
async def test_a_refusal_points_at_what_was_sent(
    api: Api, sent: dict[str, Any], pointer: str
) -> None:
    order = await api.placed()
    answer = await api.post(f"/orders/{order['id']}/changes", {**ONE_LAMP_MORE, **sent})
    problem = assert_problem(answer, 422, "invalid-value")
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


def order_tag(order: dict[str, Any]) -> str:
    return f'"{order["version"]}"'


async def test_another_shipping_method_has_the_price_of_the_list(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}/changes"
    standard = {"shipping": {"method": "standard"}, "reason": "customer"}

    cheap = {**standard, "shipping": {"method": "standard", "price": 1}}
    assert_problem(await api.post(path, cheap), 422, "total-changed")
    unknown = {**standard, "shipping": {"method": "drone"}}
    assert_problem(await api.post(path, unknown), 422, "price-unknown")
    proposed = await api.done(path, {**standard, "expected_total": 4_495}, who="ada")
    (change,) = proposed["changes"]
    assert (change["shipping"]["method"], change["shipping"]["price"]) == ("standard", 495)
    assert (change["proposed_by"], change["gross"]) == ("customer", 4_495)
    assert (proposed["shipping"], proposed["totals"]["gross"]) == (None, 4_000)

    tag = {"If-Match": order_tag(proposed)}
    applied = await api.done(f"{path}/1/apply", who="sue", headers=tag)
    assert (applied["shipping"]["method"], applied["shipping"]["price"]) == ("standard", 495)
    assert (applied["totals"]["shipping"], applied["totals"]["gross"]) == (495, 4_495)
    same = await api.post(path, standard, who="ada")
    assert_problem(same, 422, "invalid-value")
