"""Reading one order, and what is said when it is not there or the store is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.api import Api, assert_problem
from tests.support.shop import Shop


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
        assert answer.headers["cache-control"] == "no-store, no-transform"


async def test_a_reference_used_twice_names_the_newer_order(api: Api, shop: Shop) -> None:
    await api.placed(external_reference="cart-7")
    shop.clock.advance(shop.container.expire_after() / 2)
    newer = await api.placed(external_reference="cart-7")

    assert (await api.get("/orders/by-reference/cart-7")).json()["id"] == newer["id"]


async def test_a_reference_names_an_order_of_the_callers_or_the_only_one_of_others(
    api: Api,
) -> None:
    """Rather none than a stranger's: a reference is its placer's own word."""
    path = "/orders/by-reference/cart-7"
    of_ada = await api.placed(external_reference="cart-7")
    assert (await api.get(path, who="root")).json()["id"] == of_ada["id"]
    of_bob = await api.placed(external_reference="cart-7", who="bob")

    for who, order in (("ada", of_ada), ("bob", of_bob)):
        assert (await api.get(path, who=who)).json()["id"] == order["id"]
    problem = assert_problem(await api.get(path, who="root"), 409, "ambiguous-reference")
    assert {*problem["order_ids"]} == {of_ada["id"], of_bob["id"]}
    of_root = await api.placed(external_reference="cart-7", who="root")
    assert (await api.get(path, who="root")).json()["id"] == of_root["id"]


Call = Callable[[Api, str], Awaitable[Any]]


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
    assert shop.provider.calls == {}
