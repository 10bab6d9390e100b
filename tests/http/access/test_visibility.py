"""Who is shown what: a customer nothing of the staff's, a warehouse no money and no person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import an_order_with_every_part, restored

STAFFS_OWN = ("staff-1", "Checked by phone", "suspected-fraud", "payment-mismatch")
PROVIDERS_OWN = ("pay_", "tok_", "provider")
MONEY = {
    "unit_price",
    "discount",
    "order_discount",
    "tax",
    "total",
    "totals",
    "price",
    "payments",
    "refunds",
    "credits",
    "credited",
    "amount",
}
CUSTOMERS_OWN = {"customer_id", "note", "metadata"}


@pytest.fixture
async def path(api: Api) -> str:
    """An order of customer-1 with every part, payments under way and a note of the staff's."""
    return await api.keep(restored(an_order_with_every_part()))


def members(value: Any) -> set[str]:
    """The names of all members, however deep."""
    if isinstance(value, dict):
        return {*value}.union(*map(members, value.values()))
    return set().union(*map(members, value)) if isinstance(value, list) else set()


def assert_holds_nothing_of(text: str, forbidden: tuple[str, ...]) -> None:
    assert [word for word in forbidden if word in text] == []


# -- customers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["", "/payments", "/holds", "/returns", "/actions", "/events"])
async def test_a_customer_sees_nothing_of_the_staffs_or_the_payment_services(
    api: Api, path: str, part: str
) -> None:
    answer = await api.get(path + part, who="customer-1")

    assert answer.status_code == 200
    assert_holds_nothing_of(answer.text, STAFFS_OWN + PROVIDERS_OWN)


async def test_a_customer_sees_their_money_and_that_the_order_waits(api: Api, path: str) -> None:
    order = (await api.get(path, who="customer-1")).json()

    assert order["customer_id"] == "customer-1"
    assert order["totals"]["captured"] > 0
    assert order["payments"]
    assert order["refunds"]
    assert order["credits"]
    assert all(hold.keys() == {"id", "placed_at", "released_at"} for hold in order["holds"])
    assert "notes" not in order


async def test_a_customer_reads_no_notes(api: Api, path: str) -> None:
    assert_problem(await api.get(f"{path}/notes", who="customer-1"), 403, "forbidden")


async def test_a_customers_timeline_names_no_one_and_no_reason_to_wait(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    await api.done(f"{path}/holds", {"reason": "suspected-fraud"}, who="rita")
    await api.done(f"{path}/notes", {"text": "Looks odd"}, who="sue")

    theirs = await api.get(f"{path}/events", who="ada")
    ours = (await api.get(f"{path}/events", who="sue")).json()["items"]

    assert_holds_nothing_of(theirs.text, ("rita", "sue", "suspected-fraud", "Looks odd", "subject"))
    shown = theirs.json()["items"]
    assert [event["type"] for event in shown] == ["OrderCreated", "OrderHeld", "NoteAdded"]
    assert [event["actor"] for event in shown] == [
        {"kind": "customer"},
        {"kind": "staff"},
        {"kind": "staff"},
    ]
    assert shown[1]["data"]["change"] == {"hold_id": "1"}
    assert [event["actor"]["subject"] for event in ours] == ["ada", "rita", "sue"]
    assert ours[1]["data"]["change"] == {"hold_id": "1", "reason": "suspected-fraud"}


async def test_a_customer_is_shown_as_much_by_a_command_as_by_reading(api: Api) -> None:
    order = await api.placed()
    await api.done(f"/orders/{order['id']}/holds", {"reason": "suspected-fraud"}, who="rita")

    paid = await api.post(f"/orders/{order['id']}/payments", {"method": "tok_ok"}, who="ada")

    assert_holds_nothing_of(paid.text, ("suspected-fraud", *PROVIDERS_OWN))


# -- warehouses ---------------------------------------------------------------------------------


async def test_a_warehouse_sees_what_to_send_where_and_no_money(api: Api, path: str) -> None:
    answer = await api.get(path, who="wes")

    order = answer.json()
    # The metadata of lines is for packing, that of the order is not.
    assert [line.pop("metadata", None) for line in order["lines"]] == [
        None,
        {"engrave": "To Bea"},
        None,
    ]
    assert members(order) & (MONEY | CUSTOMERS_OWN) == set()
    assert order["shipping"]["address"]["name"] == "Ada Quill"
    assert order["shipping"]["method"] == "express"
    assert [line["quantity"] for line in order["lines"]] == [20, 10, 1]
    assert order["shipments"]
    assert order["returns"]
    assert all("reason" not in hold for hold in order["holds"])
    assert_holds_nothing_of(answer.text, ("customer-1", "Ring twice", "b-1", *STAFFS_OWN))


@pytest.mark.parametrize("part", ["payments", "refunds", "credits", "notes", "events"])
async def test_a_warehouse_reads_no_lists_of_money_or_of_the_desk(
    api: Api, path: str, part: str
) -> None:
    assert_problem(await api.get(f"{path}/{part}", who="wes"), 403, "forbidden")


@pytest.mark.parametrize("part", ["shipments", "returns", "holds"])
async def test_a_warehouse_reads_the_lists_of_its_work(api: Api, path: str, part: str) -> None:
    answer = (await api.get(f"{path}/{part}", who="wes")).json()

    assert answer["items"] == (await api.get(path, who="wes")).json()[part]
    assert members(answer) & MONEY == set()


@pytest.mark.parametrize("query", [{"customer_id": "customer-1"}, {"outstanding": "true"}])
async def test_a_warehouse_does_not_ask_by_what_it_is_not_shown(
    api: Api, path: str, query: dict[str, str]
) -> None:
    """Whoever may ask whether an order is a customer's is told whose it is."""
    assert_problem(await api.get("/orders", who="wes", **query), 403, "forbidden")
    answer = await api.get("/orders", who="sue", **query)
    assert answer.status_code == 200


async def test_a_token_for_the_warehouses_work_is_shown_as_little(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_ok"}, note="Ring twice")
    body = {"items": [{"line_id": "1", "quantity": 1}]}

    packed = await api.done(f"/orders/{order['id']}/shipments", body, who="packer")

    assert members(packed) & (MONEY | CUSTOMERS_OWN) == set()


async def test_a_token_that_may_not_read_is_not_shown_what_is_the_staffs(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    await api.done(f"{path}/holds", {"reason": "suspected-fraud"}, who="rita")

    (by_writer, by_sue) = [
        await api.done(f"{path}/notes", {"text": "Checked by phone"}, who=who)
        for who in ("writer", "sue")
    ]

    assert_holds_nothing_of(json.dumps(by_writer), STAFFS_OWN)
    assert "suspected-fraud" in json.dumps(by_sue)


async def test_a_warehouse_is_shown_as_little_by_commands_lists_and_actions(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_ok"}, note="Ring twice")
    body = {"items": [{"line_id": "1", "quantity": 1}]}

    packed = await api.done(f"/orders/{order['id']}/shipments", body, who="wes")
    (listed,) = (await api.get("/orders", who="wes")).json()["items"]
    actions = (await api.get(f"/orders/{order['id']}/actions", who="wes")).json()

    assert packed == listed
    for shown in (packed, actions):
        assert members(shown) & (MONEY | CUSTOMERS_OWN) == set()
        assert "Ring twice" not in json.dumps(shown)


async def test_who_is_support_and_warehouse_at_once_sees_what_support_sees(
    api: Api, path: str
) -> None:
    assert (await api.get(path, who="sam")).json() == (await api.get(path, who="sue")).json()


# -- staff --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["sue", "fin", "rita", "art", "root"])
async def test_staff_sees_reasons_notes_and_money_but_nothing_of_the_payment_services(
    api: Api, path: str, who: str
) -> None:
    answer = await api.get(path, who=who)
    notes = (await api.get(f"{path}/notes", who=who)).json()["items"]

    reasons = [hold["reason"] for hold in answer.json()["holds"]]
    assert "suspected-fraud" in reasons
    assert answer.json()["totals"]["captured"] > 0
    assert [(note["text"], note["author"]) for note in notes] == [("Checked by phone", "staff-1")]
    assert_holds_nothing_of(answer.text, PROVIDERS_OWN)


async def test_nobody_is_shown_a_provider_id_or_a_method_token(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_pending"})
    path = f"/orders/{order['id']}"
    (payment,) = (await api.shop.see(id_of(order))).state.ledger.payments
    assert (payment.method, payment.provider_id) == ("tok_pending", "pay_1")

    for who in ("ada", "sue", "fin", "art", "root"):
        for part in ("", "/payments", "/events"):
            answer = await api.get(path + part, who=who)
            assert_holds_nothing_of(answer.text, ("tok_pending", "pay_1"))


async def test_what_a_payment_service_says_of_a_refusal_reaches_nobody(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_of_another_service"})

    assert order["payments"][0]["decline_code"] == "refused"
    assert "no such payment method" not in json.dumps(order)


async def test_a_customer_is_not_told_that_it_was_fraud(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    await api.done(f"{path}/cancel", {"reason": "fraud"}, who="rita")

    for part in ("", "/events"):
        assert_holds_nothing_of((await api.get(path + part, who="ada")).text, ("fraud",))
    assert (await api.get(path, who="rita")).json()["cancel_reason"] == "fraud"
