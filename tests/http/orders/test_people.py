"""Billing, contact, instructions, gift message and metadata of lines; guests who register."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest

from tests.support.api import (
    LINES,
    Api,
    a_body,
    a_line,
    assert_nothing_happened,
    assert_problem,
    id_of,
)
from tests.support.shop import Shop

ADDRESS: Final = {"name": "Ada Quill", "line1": "1 Mill Lane", "city": "Cork", "country": "IE"}
PEOPLE: Final[dict[str, Any]] = {
    "contact": {"email": "ada@quill.example", "phone": "+353 21 555 0100"},
    "billing": {"address": ADDRESS, "company": "Quill and Sons", "vat_id": "IE1234567T"},
    "gift_message": "Many happy returns",
    "shipping": {"address": ADDRESS, "method": "standard", "instructions": "Behind the hedge"},
    "lines": [{**LINES[0], "metadata": {"engrave": "To Bea", "box": "red"}}, LINES[1]],
}


SHIPPED: Final = {**PEOPLE["shipping"], "price": 495, "tax": 0, "tax_rate": None}


async def edit(api: Api, order: dict[str, Any], body: Any, **options: Any) -> httpx.Response:
    """Send a merge patch against the order as it is."""
    return await api.call(
        "PATCH", f"/orders/{order['id']}", body, headers={"If-Match": "*"}, **options
    )


async def edited(api: Api, order: dict[str, Any], body: Any, **options: Any) -> dict[str, Any]:
    """The order after a merge patch that is taken."""
    answer = await edit(api, order, body, **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- placing ------------------------------------------------------------------------------------


async def test_an_order_shows_what_it_was_placed_with(api: Api) -> None:
    order = await api.placed(**PEOPLE)

    for name in ("contact", "billing", "gift_message"):
        assert order[name] == PEOPLE[name]
    assert order["shipping"] == SHIPPED
    assert [line.get("metadata") for line in order["lines"]] == [
        {"engrave": "To Bea", "box": "red"},
        None,
    ]
    assert (await api.get(f"/orders/{order['id']}")).json() == order


async def test_a_quote_takes_the_same_body_and_checks_it(api: Api, shop: Shop) -> None:
    quoted = await api.post("/orders/quote", a_body(**PEOPLE), key=None)

    assert quoted.status_code == 200
    assert quoted.json()["totals"]["gross"] == 4_495
    assert quoted.json()["lines"][0]["metadata"] == {"engrave": "To Bea", "box": "red"}
    bad = await api.post("/orders/quote", a_body(contact={"email": "ada"}), key=None)
    assert_problem(bad, 422, "invalid-value")
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"contact": {"email": "ada"}}, "/contact/email"),
        ({"contact": {"phone": " "}}, "/contact/phone"),
        ({"billing": {"vat_id": "?"}}, "/billing/vat_id"),
        ({"billing": {"company": "c" * 201}}, "/billing/company"),
        ({"billing": {"address": {**ADDRESS, "country": "Eire"}}}, "/billing/address/country"),
        ({"gift_message": "g" * 1_001}, "/gift_message"),
        ({"shipping": {"instructions": ""}}, "/shipping/instructions"),
        ({"lines": [a_line(metadata={"a b": "c"})]}, "/lines/0/metadata"),
        ({"lines": [a_line(), a_line(metadata={"a": "v" * 501})]}, "/lines/1/metadata/a"),
        ({"lines": [a_line(metadata={"a": "v" * 500})] * 200}, "/lines"),
    ],
)
async def test_refuses_what_is_just_beyond_the_bounds(
    api: Api, shop: Shop, changes: dict[str, Any], pointer: str
) -> None:
    problem = assert_problem(await api.place(**changes), 422, "invalid-value")

    (error,) = problem["errors"]
    assert error["pointer"] == f"#{pointer}" or error["pointer"] == pointer
    await assert_nothing_happened(shop)


@pytest.mark.parametrize(
    "changes",
    [
        {"contact": {"fax": "1"}},
        {"billing": {"address": {"name": "Ada"}}},
        {"contact": "ada@shop.example"},
        {"lines": [a_line(metadata=None)]},
        {"lines": [a_line(metadata={"a": 1})]},
    ],
)
async def test_refuses_a_body_of_another_shape(
    api: Api, shop: Shop, changes: dict[str, Any]
) -> None:
    assert_problem(await api.place(**changes), 422, "invalid-body")
    await assert_nothing_happened(shop)


# -- editing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({"contact": {"phone": None}}, {"contact": {"email": "ada@quill.example", "phone": None}}),
        ({"contact": None}, {"contact": None}),
        (
            {"billing": {"vat_id": "DE123456789", "address": {"line2": "Flat 2"}}},
            {
                "billing": {
                    "company": "Quill and Sons",
                    "vat_id": "DE123456789",
                    "address": {**ADDRESS, "line2": "Flat 2"},
                }
            },
        ),
        (
            {"billing": {"address": None, "company": None}},
            {"billing": {"company": None, "vat_id": "IE1234567T", "address": None}},
        ),
        ({"billing": None}, {"billing": None}),
        ({"gift_message": None}, {"gift_message": None}),
        (
            {"shipping": {"address": {"city": "Kinsale"}}},
            {"shipping": {**SHIPPED, "address": {**ADDRESS, "city": "Kinsale"}}},
        ),
        (
            {"shipping": {"instructions": None}},
            {"shipping": {name: SHIPPED[name] for name in SHIPPED if name != "instructions"}},
        ),
    ],
)
async def test_a_patch_is_merged_at_every_level(
    api: Api, patch: dict[str, Any], after: dict[str, Any]
) -> None:
    order = await api.placed(**PEOPLE)

    moved = await edited(api, order, patch)
    assert moved == {**order, **after, "version": 2, "updated_at": moved["updated_at"]}


async def test_a_patch_makes_what_was_not_there(api: Api) -> None:
    order = await api.placed()

    moved = await edited(
        api,
        order,
        {
            "contact": {"email": "ada@quill.example"},
            "billing": {"address": ADDRESS},
            "shipping": {"address": ADDRESS, "instructions": "In the porch"},
            "gift_message": "For Bea",
            "lines": {"2": {"metadata": {"shade": "green"}}},
        },
    )

    assert moved["contact"] == {"email": "ada@quill.example", "phone": None}
    assert moved["billing"] == {"address": ADDRESS, "company": None, "vat_id": None}
    assert moved["shipping"]["instructions"] == "In the porch"
    assert [line.get("metadata") for line in moved["lines"]] == [None, {"shade": "green"}]


async def test_the_metadata_of_a_line_is_merged_by_the_lines_id(api: Api, shop: Shop) -> None:
    order = await api.placed(**PEOPLE)

    first = await edited(
        api, order, {"lines": {"1": {"metadata": {"box": None, "engrave": "To Bo"}}, "2": {}}}
    )
    none = await edited(api, order, {"lines": {"1": {"metadata": None}}})

    assert first["lines"][0]["metadata"] == {"engrave": "To Bo"}
    assert "metadata" not in first["lines"][1]
    assert "metadata" not in none["lines"][0]
    assert none["totals"] == order["totals"]
    assert await shop.history(id_of(order)) == ["OrderCreated", "OrderEdited", "OrderEdited"]


@pytest.mark.parametrize(
    ("patch", "status", "code"),
    [
        ({"billing": {"address": {"line2": "Flat 2"}}}, 422, "invalid-value"),
        ({"shipping": {"address": {"name": None}}}, 422, "invalid-value"),
        ({"contact": {"email": "ada"}}, 422, "invalid-value"),
        ({"contact": {"fax": None}}, 422, "invalid-body"),
        ({"lines": None}, 422, "invalid-body"),
        ({"lines": [{"metadata": {}}]}, 422, "invalid-body"),
        ({"lines": {"1": {"quantity": 2}}}, 422, "invalid-body"),
        ({"lines": {"1": None}}, 422, "invalid-body"),
        ({"lines": {"1": {"metadata": {"a b": "c"}}}}, 422, "invalid-value"),
        ({"lines": {"9": {"metadata": {"a": "c"}}}}, 404, "part-not-found"),
        ({"lines": {"9": {}}}, 404, "part-not-found"),
    ],
)
async def test_a_patch_that_leads_to_nothing_valid_changes_nothing(
    api: Api, patch: dict[str, Any], status: int, code: str
) -> None:
    order = await api.placed(shipping={"address": ADDRESS})

    assert_problem(await edit(api, order, patch), status, code)
    assert (await api.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize(
    "patch",
    [
        {"shipping": {"address": {"line1": "2 Other Street"}}},
        {"shipping": {"instructions": "In the porch"}},
        {"gift_message": "For Bea"},
        {"lines": {"1": {"metadata": {"engrave": "For Bea"}}}},
    ],
)
async def test_once_something_is_packed_what_is_in_parcels_is_the_staffs_to_change(
    api: Api, patch: dict[str, Any]
) -> None:
    order = await api.placed(**PEOPLE, payment={"method": "tok_ok"})
    packed = await api.done(
        f"/orders/{order['id']}/shipments", {"items": [{"line_id": "1", "quantity": 1}]}, who="root"
    )

    assert_problem(await edit(api, order, patch), 409, "already-shipped")
    theirs = await edited(api, order, {"contact": {"phone": None}, "billing": None})
    ours = await edited(api, order, patch, who="sue")

    assert theirs["billing"] is None
    # What the parcel is worth is what may be captured, which is not what it was packed for.
    assert [each["address"] for each in (*ours["shipments"], *packed["shipments"])] == [ADDRESS] * 2


# -- guests -------------------------------------------------------------------------------------


async def a_guests_order(api: Api) -> str:
    """The path of an order that the desk placed for a guest."""
    order = await api.placed(who="sue", external_reference="cart-7")
    assert order["customer_id"] is None
    return f"/orders/{order['id']}"


async def test_a_guest_who_registers_sees_the_order_from_then_on(api: Api) -> None:
    path = await a_guests_order(api)
    assert_problem(await api.get(path, who="ada"), 404, "order-not-found")

    answer = await api.post(f"{path}/customer", {"customer_id": "ada"}, who="sue", key=None)

    assert (answer.status_code, answer.json()["customer_id"]) == (200, "ada")
    (listed,) = (await api.get("/orders", who="ada")).json()["items"]
    assert (await api.get(path, who="ada")).json() == listed
    assert (await api.get("/orders", who="sue", customer_id="ada")).json()["items"] != []
    for who in ("bob", "eve"):
        assert_problem(await api.get(path, who=who), 404, "order-not-found")
        assert (await api.get("/orders", who=who)).json()["items"] == []
    if_match = {"If-Match": answer.headers["etag"]}
    edited = await api.call("PATCH", path, {"note": "Mine"}, headers=if_match)
    assert edited.status_code == 200


async def test_the_event_says_who_assigned_it_to_staff_and_to_nobody_whose_it_became(
    api: Api, shop: Shop
) -> None:
    path = await a_guests_order(api)
    await api.done(f"{path}/customer", {"customer_id": "ada"}, who="sue")
    await shop.relay()

    seen = {
        who: (await api.get(f"{path}/events", who=who)).json()["items"][-1]
        for who in ("sue", "ada")
    }
    (fed,) = (await api.get("/events", who="fin")).json()["items"][1:]

    assert {each["type"] for each in seen.values()} == {"CustomerAssigned"}
    assert seen["sue"]["actor"] == {"kind": "staff", "subject": "sue"}
    assert seen["ada"]["actor"] == {"kind": "staff"}
    assert fed["type"] == "orders.CustomerAssigned.v1"
    assert fed["data"]["change"] == {}
    assert "ada" not in str((fed, seen["sue"]["data"]))


async def test_assigning_is_safe_to_repeat_and_takes_from_nobody(api: Api, shop: Shop) -> None:
    path = await a_guests_order(api)
    to_ada, to_bob = {"customer_id": "ada"}, {"customer_id": "bob"}

    trial = await api.post(f"{path}/customer", to_ada, who="sue", dry_run=True)
    assert (trial.status_code, trial.json()["customer_id"]) == (200, "ada")
    assert (await api.get(path, who="sue")).json()["customer_id"] is None
    stale = await api.post(f"{path}/customer", to_ada, who="sue", headers={"If-Match": '"9"'})
    assert_problem(stale, 412, "stale-version")
    first = await api.post(f"{path}/customer", to_ada, who="sue", key="k")
    again = await api.post(f"{path}/customer", to_ada, who="sue", key="k")
    unkeyed = await api.post(f"{path}/customer", to_ada, who="sue", key=None)
    other_body = await api.post(f"{path}/customer", to_bob, who="sue", key="k")
    taken = await api.post(f"{path}/customer", to_bob, who="root")

    assert again.headers["idempotency-replayed"] == "true"
    assert first.json() == again.json() == unkeyed.json()
    assert_problem(other_body, 422, "idempotency-key-reuse")
    assert assert_problem(taken, 409, "has-customer")["blocked_by"] == ["has-customer"]
    history = await shop.history(id_of(first.json()))
    assert history == ["OrderCreated", "CustomerAssigned"]


@pytest.mark.parametrize("who", ["ada", "bob"])
async def test_no_customer_takes_an_order_for_themselves(api: Api, who: str) -> None:
    path = await a_guests_order(api)
    own = await api.placed(who=who)

    for order in (path, f"/orders/{own['id']}"):
        answer = await api.post(f"{order}/customer", {"customer_id": who}, who=who)
        assert_problem(answer, 403, "forbidden")
    assert (await api.get(path, who="sue")).json()["customer_id"] is None


@pytest.mark.parametrize("customer_id", ["", "a b", "a" * 256])
async def test_refuses_a_name_that_no_customer_has(api: Api, customer_id: str) -> None:
    path = await a_guests_order(api)
    answer = await api.post(f"{path}/customer", {"customer_id": customer_id}, who="sue")
    assert_problem(answer, 422, "invalid-value")


async def test_actions_tell_whether_an_order_can_be_assigned(api: Api) -> None:
    async def blocked_by(path: str) -> Any:
        items = (await api.get(f"{path}/actions", who="sue")).json()["items"]
        return next(each["blocked_by"] for each in items if each["action"] == "assign_customer")

    path = await a_guests_order(api)
    assert await blocked_by(path) == []
    await api.done(f"{path}/customer", {"customer_id": "ada"}, who="sue")
    assert await blocked_by(path) == ["has-customer"]
