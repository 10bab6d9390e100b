"""Lists: every filter, the order, and pages that lose and repeat nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import STAFF, an_order_with_every_part, restored

MINUTE = timedelta(minutes=1)
PENS = [{"sku": "PEN", "name": "Pen", "quantity": 1}]


async def placed_each_minute(api: Api, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """An order per body, a minute between one and the next, from 12:01 on."""
    orders = []
    for body in bodies:
        api.shop.clock.advance(MINUTE)
        orders.append(await api.placed(**{"lines": PENS, **body}))
    return orders


async def listed(api: Api, *, who: str = "root", **query: Any) -> list[str]:
    """The ids on the one page that a list has."""
    answer = await api.get("/orders", who=who, **query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return [order["id"] for order in answer.json()["items"]]


async def walked(api: Api, path: str, *, who: str = "root", **query: Any) -> list[str]:
    """The ids on all pages, by following `next_cursor`."""
    ids: list[str] = []
    while True:
        page = (await api.get(path, who=who, **query)).json()
        ids += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return ids
        query["cursor"] = page["next_cursor"]


# -- whose --------------------------------------------------------------------------------------


async def test_a_customer_lists_their_own_orders(api: Api) -> None:
    adas, bobs, for_ada, guests = await placed_each_minute(
        api, {"who": "ada"}, {"who": "bob"}, {"who": "sue", "customer_id": "ada"}, {"who": "sue"}
    )

    assert await listed(api, who="ada") == [for_ada["id"], adas["id"]]
    assert await listed(api, who="bob") == [bobs["id"]]
    assert await listed(api, who="bob", customer_id="ada") == []
    assert await listed(api, who="eve") == []
    assert await listed(api, who="boss") == []
    everyones = [guests["id"], for_ada["id"], bobs["id"], adas["id"]]
    for who in ("sue", "wes", "fin", "rita", "art", "root"):
        assert await listed(api, who=who) == everyones
    assert_problem(await api.get("/orders", who="nobody"), 403, "forbidden")


async def test_an_item_is_the_order_as_it_is_read(api: Api) -> None:
    await api.placed()

    for who in ("ada", "wes", "root"):
        (item,) = (await api.get("/orders", who=who)).json()["items"]
        assert item == (await api.get(f"/orders/{item['id']}", who=who)).json()


# -- filters ------------------------------------------------------------------------------------


@pytest.fixture
async def five(api: Api) -> dict[str, dict[str, Any]]:
    """Five orders of five kinds, placed at 12:01 to 12:05."""
    orders = await placed_each_minute(
        api,
        {"who": "ada", "external_reference": "po-1"},
        {"who": "ada", "payment": {"method": "tok_ok"}},
        {"who": "bob", "payment": {"method": "tok_ok", "capture": True}},
        {"who": "bob", "payment": {"method": "tok_declined"}},
        {"who": "bob"},
    )
    names = ("unpaid", "authorized", "returned", "failed", "cancelled")
    kept = dict(zip(names, orders, strict=True))
    path = f"/orders/{kept['returned']['id']}"
    for step in ("shipments", "shipments/1/dispatch", "shipments/1/deliver", "returns"):
        body = {"items": [{"line_id": "1", "quantity": 1}]} if step[-1] == "s" else None
        await api.done(f"{path}/{step}", body)
    await api.done(f"/orders/{kept['cancelled']['id']}/cancel", {})
    return kept


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["cancelled", "failed", "returned", "authorized", "unpaid"]),
        ({"status": "pending"}, ["failed", "unpaid"]),
        ({"status": ["pending", "cancelled"]}, ["cancelled", "failed", "unpaid"]),
        ({"status": "expired"}, []),
        ({"payment_status": "failed"}, ["failed"]),
        ({"payment_status": ["paid", "authorized"]}, ["returned", "authorized"]),
        ({"fulfillment_status": "delivered"}, ["returned"]),
        ({"fulfillment_status": "cancelled"}, ["cancelled"]),
        ({"return_status": "requested"}, ["returned"]),
        ({"customer_id": "ada"}, ["authorized", "unpaid"]),
        ({"customer_id": "nobody"}, []),
        ({"external_reference": "po-1"}, ["unpaid"]),
        ({"outstanding": "true"}, ["failed", "authorized", "unpaid"]),
        ({"outstanding": "false"}, ["cancelled", "returned"]),
        ({"created_from": "2026-03-01T12:04:00Z"}, ["cancelled", "failed"]),
        ({"created_before": "2026-03-01T12:02:00Z"}, ["unpaid"]),
        (
            {
                "created_from": "2026-03-01T14:02:00+02:00",
                "created_before": "2026-03-01T11:04:00-01:00",
            },
            ["returned", "authorized"],
        ),
        ({"status": "pending", "customer_id": "ada", "outstanding": "true"}, ["unpaid"]),
        ({"status": "pending", "payment_status": "paid"}, []),
        ({"sort": "created_at", "customer_id": "ada"}, ["unpaid", "authorized"]),
        ({"sort": "-created_at", "customer_id": "ada"}, ["authorized", "unpaid"]),
    ],
)
async def test_a_filter_leaves_what_fits(
    api: Api, five: dict[str, dict[str, Any]], query: dict[str, Any], names: list[str]
) -> None:
    found = await listed(api, **query)

    by_id = {order["id"]: name for name, order in five.items()}
    assert [by_id[order_id] for order_id in found] == names


async def test_finds_by_number_as_people_write_it(
    api: Api, five: dict[str, dict[str, Any]]
) -> None:
    number = five["failed"]["number"]

    for written in (number, number.lower(), number.replace("-", "")):
        assert await listed(api, number=written) == [five["failed"]["id"]]
    assert await listed(api, number=number, who="ada") == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "101"},
        {"limit": "1000000"},
        {"limit": "9" * 30},
        {"limit": "abc"},
        {"limit": "1.5"},
        {"limit": ""},
        {"limit": ["1", "2"]},
        {"status": "paid"},
        {"status": ""},
        {"status": '{"$ne":1}'},
        {"status[$ne]": "pending"},
        {"payment_status": "PAID"},
        {"sort": "number"},
        {"sort": ["created_at", "-created_at"]},
        {"outstanding": "maybe"},
        {"created_from": "yesterday"},
        {"created_from": "2026-03-01"},
        {"created_from": "2026-03-01T12:00:00"},
        {"created_before": "9" * 400},
        {"unknown": "1"},
        {"customer": "ada"},
        {"cursor": ""},
        {"cursor": "é"},
        {"cursor": "bm9uZSBvZiBvdXJz"},
        {"cursor": "A" * 54},
    ],
)
@pytest.mark.usefixtures("five")
async def test_refuses_a_query_it_cannot_mean(api: Api, query: dict[str, Any]) -> None:
    answer = await api.get("/orders", who="root", **query)

    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in {"invalid-request", "invalid-query", "invalid-cursor"}


@pytest.mark.parametrize("limit", ["01", "-0", "+1", "1e1", "1 ", "\uff11"])
async def test_says_that_a_number_is_misspelled(api: Api, limit: str) -> None:
    answer = await api.get("/orders", limit=limit)
    problem = assert_problem(answer, 400, "invalid-request")
    assert problem["detail"] == "limit: must be a whole number"


async def test_refuses_a_number_with_a_misread_character(api: Api) -> None:
    assert_problem(await api.get("/orders", number="AAAA-AAAA-AAAAA"), 422, "invalid-value")


# -- pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_pages_hold_every_order_once_though_some_were_placed_at_the_same_time(
    api: Api, limit: int, sort: str
) -> None:
    expected = [(await api.placed())["id"] for _ in range(4)]
    api.shop.clock.advance(MINUTE)
    expected += [(await api.placed())["id"] for _ in range(3)]
    at_once = [sorted(expected[:4]), sorted(expected[4:])]

    walk = await walked(api, "/orders", limit=limit, sort=sort)

    rising = at_once[0] + at_once[1]
    assert walk == (rising if sort == "created_at" else rising[::-1])


async def test_a_walk_sees_each_order_once_while_new_ones_come_in(api: Api) -> None:
    there = [order["id"] for order in await placed_each_minute(api, *[{}] * 25)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 4}

    while True:
        page = (await api.get("/orders", **query)).json()
        seen += [order["id"] for order in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        await placed_each_minute(api, {})

    assert seen == there[::-1]


async def test_a_page_says_where_it_goes_on(api: Api) -> None:
    orders = await placed_each_minute(api, *[{"external_reference": "a&b"}] * 3)

    first = await api.get("/orders", limit=2, external_reference="a&b")
    link = first.headers["link"]
    target = link.removeprefix("<").removesuffix('>; rel="next"')
    second = await api.get(target.removeprefix("/v1"))

    assert first.json()["next_cursor"] in target
    assert [order["id"] for order in second.json()["items"]] == [orders[0]["id"]]
    assert second.json()["next_cursor"] is None
    assert "link" not in second.headers


async def test_a_full_last_page_leads_nowhere(api: Api) -> None:
    await placed_each_minute(api, {}, {})

    answer = await api.get("/orders", limit=2)

    assert answer.json()["next_cursor"] is None
    assert len(answer.json()["items"]) == 2


@pytest.mark.parametrize(
    ("who", "query"),
    [
        ("sue", {}),
        ("root", {"status": "pending"}),
        ("root", {"sort": "created_at"}),
        ("root", {"customer_id": "ada"}),
        ("root", {"created_from": "2020-01-01T00:00:00Z"}),
    ],
)
async def test_a_cursor_is_good_for_its_own_list_and_caller_only(
    api: Api, who: str, query: dict[str, str]
) -> None:
    await placed_each_minute(api, {}, {})
    cursor = (await api.get("/orders", who="root", limit=1)).json()["next_cursor"]

    answer = await api.get("/orders", who=who, cursor=cursor, **query)

    assert_problem(answer, 400, "invalid-cursor")
    assert (await api.get("/orders", who="root", cursor=cursor)).status_code == 200


async def test_a_cursor_with_one_character_changed_is_refused(api: Api) -> None:
    await placed_each_minute(api, {}, {})
    cursor = (await api.get("/orders", limit=1)).json()["next_cursor"]

    for place, character in enumerate(cursor):
        other = "A" if character != "A" else "B"
        tampered = f"{cursor[:place]}{other}{cursor[place + 1 :]}"
        assert_problem(await api.get("/orders", cursor=tampered), 400, "invalid-cursor")
    for tampered in (f"{cursor}=", f"{cursor}A", cursor[:-1], f" {cursor}"):
        assert_problem(await api.get("/orders", cursor=tampered), 400, "invalid-cursor")


# -- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", ["payments", "refunds", "credits", "shipments", "returns", "changes", "holds"]
)
async def test_the_list_of_an_orders_parts_is_what_the_order_shows(api: Api, part: str) -> None:
    path = await api.keep(restored(an_order_with_every_part()))

    for who in ("root", "customer-1"):
        order = (await api.get(path, who=who)).json()
        listed_parts = (await api.get(f"{path}/{part}", who=who)).json()
        assert listed_parts == {"items": order[part], "next_cursor": None}
        assert listed_parts["items"]
    assert_problem(await api.get(f"{path}/{part}", who="bob"), 404, "order-not-found")
    assert_problem(await api.get(f"{path}/{part}", who="boss"), 404, "order-not-found")


# -- following all changes ------------------------------------------------------------------------


async def changes(api: Api, *, who: str = "root", **query: Any) -> tuple[list[str], str]:
    """The ids on all pages of a list by `updated_at`, and where to begin next time."""
    ids: list[str] = []
    while True:
        page = (await api.get("/orders", who=who, sort="updated_at", **query)).json()
        ids += [item["id"] for item in page["items"]]
        since: str = page["next_updated_from"]
        if page["next_cursor"] is None:
            return ids, since
        query["cursor"] = page["next_cursor"]


async def test_lists_orders_by_their_last_change_whatever_page_they_are_on(api: Api) -> None:
    first, second, third = await placed_each_minute(api, {}, {}, {})
    api.shop.clock.advance(MINUTE)
    await api.done(f"/orders/{first['id']}/notes", {"text": "Called"})

    for limit in (1, 2, 100):
        ids, _ = await changes(api, limit=limit)
        assert ids == [second["id"], third["id"], first["id"]]
    since_third = {"updated_from": third["updated_at"]}
    assert await listed(api, **since_third) == [third["id"], first["id"]]
    assert await listed(api, **since_third, sort="updated_at", status="expired") == []
    assert await listed(api, who="bob", sort="updated_at") == []
    assert await listed(api, updated_from="2026-03-01T14:04:00.001+02:00") == []


async def test_who_asks_from_where_the_last_time_ended_misses_nothing(api: Api) -> None:
    """Also what is stored late: by then the reader has seen a later change."""
    first, second = await placed_each_minute(api, {}, {})
    slow = await api.shop.stored.get(id_of(first))
    api.shop.clock.advance(MINUTE)
    slow.add_note("late", by=STAFF, now=api.shop.clock())
    api.shop.clock.advance(timedelta(seconds=1))
    await api.done(f"/orders/{second['id']}/notes", {"text": "Called"})
    ids, since = await changes(api)
    assert ids == [first["id"], second["id"]]

    await api.shop.stored.save(slow)
    api.shop.clock.advance(MINUTE)
    ids, later = await changes(api, updated_from=since)
    assert ids == [first["id"], second["id"]]
    assert (await changes(api, updated_from=later))[0] == []


async def test_all_pages_of_a_list_say_the_same_of_where_to_begin_next(api: Api) -> None:
    """A page that is read a minute later does not know what came late to the one before."""
    await placed_each_minute(api, {}, {}, {})
    page = (await api.get("/orders", who="root", sort="updated_at", limit=1)).json()
    said = {page["next_updated_from"]}
    while page["next_cursor"] is not None:
        api.shop.clock.advance(MINUTE)
        cursor = page["next_cursor"]
        page = (
            await api.get("/orders", who="root", sort="updated_at", limit=1, cursor=cursor)
        ).json()
        said.add(page["next_updated_from"])
    assert len(said) == 1


async def test_lists_by_creation_do_not_say_where_to_begin_next(api: Api) -> None:
    await api.placed()
    assert "next_updated_from" not in (await api.get("/orders")).json()


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_changes_since_a_time_come_in_the_order_of_their_changes(api: Api, sort: str) -> None:
    since = "2026-03-01T12:00:00Z"
    assert_problem(await api.get("/orders", updated_from=since, sort=sort), 400, "invalid-request")
    for unknown in ("-updated_at", "null", ""):
        assert_problem(await api.get("/orders", sort=unknown), 400, "invalid-request")
    naive = await api.get("/orders", updated_from="2026-03-01T12:00:00")
    assert_problem(naive, 400, "invalid-request")


async def test_a_cursor_of_changes_is_of_one_list(api: Api) -> None:
    await placed_each_minute(api, {}, {})
    page = (await api.get("/orders", who="root", sort="updated_at", limit=1)).json()
    cursor = page["next_cursor"]
    for other in ({}, {"sort": "created_at"}, {"updated_from": "2026-03-01T12:00:00Z"}):
        refused = await api.get("/orders", who="root", cursor=cursor, **other)
        assert_problem(refused, 400, "invalid-cursor")
    another = await api.get("/orders", who="sue", sort="updated_at", cursor=cursor)
    assert_problem(another, 400, "invalid-cursor")
