"""Parcels that fail, are corrected or left too early, returns with less, and revoked credits."""

from __future__ import annotations

from typing import Any

import pytest

from orders.domain.lifecycle import OrderStatus
from tests.support.api import Api, assert_problem, id_of
from tests.support.api_commands import (
    ONE_PEN,
    assert_refused,
    credit,
    hold,
    in_flight,
    prepared,
    units,
)
from tests.support.orders import (
    an_order_that_is,
    authorize,
    pack,
    send,
    take,
)
from tests.support.orders import deliver as deliver_units

ALL: dict[str, Any] = {"items": [{"line_id": "1", "quantity": 3}, {"line_id": "2", "quantity": 2}]}


def assert_balanced(order: dict[str, Any], status: str) -> None:
    totals = order["totals"]
    assert order["status"] == status
    assert totals["net"] == totals["due"]
    assert totals["outstanding"] == totals["refund_due"] == totals["pending_refunds"] == 0


async def the_order(api: Api, path: str) -> dict[str, Any]:
    order: dict[str, Any] = (await api.get(path, who="root")).json()
    return order


async def capture_all(api: Api, path: str) -> None:
    await api.done(f"{path}/payments/1/capture", who="fin")


@pytest.fixture
async def path(api: Api) -> str:
    """A confirmed order of 4,495, authorised."""
    order = await api.placed(shipping={"method": "standard"}, payment={"method": "tok_ok"})
    return f"/orders/{order['id']}"


# -- failed deliveries (case 298) ----------------------------------------------------------------


async def test_a_lost_parcel_is_packed_again_and_the_order_completes(api: Api, path: str) -> None:
    await api.done(f"{path}/shipments", ALL, who="wes")
    await api.done(f"{path}/shipments/1/dispatch", who="wes")
    await capture_all(api, path)
    lost = await api.done(f"{path}/shipments/1/fail", {"reason": "lost"}, who="wes")
    assert (lost["shipments"][0]["status"], lost["shipments"][0]["failure_reason"]) == (
        *("failed", "lost"),
    )
    assert (lost["fulfillment_status"], lost["lines"][0]["shipped"]) == ("unfulfilled", 0)
    await api.done(f"{path}/shipments", ALL, who="wes")
    await api.done(f"{path}/shipments/2/dispatch", who="wes")
    await api.done(f"{path}/shipments/2/deliver", who="wes")
    assert_balanced(await the_order(api, path), "completed")
    assert (await api.shop.history(id_of(lost)))[-3:] == [
        *("OrderShipped", "OrderDelivered", "OrderCompleted"),
    ]
    assert "DeliveryFailed" in await api.shop.history(id_of(lost))


async def test_the_units_of_a_lost_parcel_are_cancelled_and_their_money_goes_back(
    api: Api, path: str
) -> None:
    for number, items in enumerate((units("1", 3), units("2", 2)), 1):
        await api.done(f"{path}/shipments", items, who="wes")
        await api.done(f"{path}/shipments/{number}/dispatch", who="wes")
    await capture_all(api, path)
    await api.done(f"{path}/shipments/1/deliver", who="wes")
    await api.done(f"{path}/shipments/2/fail", {"reason": "lost"}, who="wes")
    await api.done(f"{path}/cancellations", {**units("2", 2), "reason": "inventory"}, who="sue")
    assert (await the_order(api, path))["totals"]["refund_due"] == 1_000
    await api.done(f"{path}/refunds", {"reason": "lost"}, who="fin")
    assert_balanced(await the_order(api, path), "completed")


async def test_an_order_whose_only_parcel_was_lost_is_cancelled(api: Api, path: str) -> None:
    await api.done(f"{path}/shipments", ALL, who="wes")
    await api.done(f"{path}/shipments/1/dispatch", who="wes")
    await capture_all(api, path)
    await assert_refused(api, path, "cancel", "already-shipped")
    await api.done(f"{path}/shipments/1/fail", {"reason": "lost"}, who="wes")
    await api.done(f"{path}/cancel", who="ada")
    order = await the_order(api, path)
    assert_balanced(order, "cancelled")
    assert order["totals"]["refunded"] == 4_495


async def test_a_refused_parcel_is_credited_with_a_fee(api: Api, path: str) -> None:
    for number, items in enumerate((units("1", 3), units("2", 2)), 1):
        await api.done(f"{path}/shipments", items, who="wes")
        await api.done(f"{path}/shipments/{number}/dispatch", who="wes")
    await capture_all(api, path)
    await api.done(f"{path}/shipments/1/deliver", who="wes")
    await api.done(f"{path}/shipments/2/fail", {"reason": "refused"}, who="wes")
    body = {"amount": 900, "reason": "refused", "line_id": "2", "undeliverable": 2}
    credited = await api.done(f"{path}/credits", body, who="sue")
    (kept,) = credited["credits"]
    assert (kept["lines"], kept["undeliverable"], kept["revoked_at"]) == (
        [{"line_id": "2", "amount": 900, "tax": 0}],
        [{"line_id": "2", "quantity": 2}],
        None,
    )
    assert (credited["lines"][1]["undeliverable"], credited["fulfillment_status"]) == (
        *(2, "delivered"),
    )
    await api.done(f"{path}/refunds", {"reason": "refused"}, who="fin")
    order = await the_order(api, path)
    assert_balanced(order, "completed")
    assert order["totals"]["net"] == 4_495 - 900


# -- holds and corrections (case 291) ------------------------------------------------------------


async def test_a_held_parcel_is_cancelled_and_its_order_too_but_not_sent(api: Api) -> None:
    path = await api.keep(prepared(authorize, pack, hold))
    await assert_refused(api, path, "dispatch", "on-hold")
    await api.done(f"{path}/shipments/1/cancel", who="wes")
    cancelled = await api.done(f"{path}/cancel", {"reason": "fraud"}, who="root")
    assert cancelled["status"] == "cancelled"


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_tracking_is_corrected_while_the_order_is_held(api: Api, media_type: str) -> None:
    path = await api.keep(prepared(authorize, send, hold))
    version = (await the_order(api, path))["version"]
    answer = await api.call(
        "PATCH",
        f"{path}/shipments/1",
        {"tracking": "T-2", "carrier": "DHL"},
        who="wes",
        headers={"If-Match": f'"{version}"', "Content-Type": media_type},
    )
    assert answer.status_code == 200
    (parcel,) = answer.json()["shipments"]
    assert (parcel["tracking"], parcel["carrier"]) == ("T-2", "DHL")
    removed = await api.call(
        "PATCH", f"{path}/shipments/1", {"carrier": None}, who="wes", headers={"If-Match": "*"}
    )
    (parcel,) = removed.json()["shipments"]
    assert (parcel["tracking"], parcel["carrier"]) == ("T-2", None)


@pytest.mark.parametrize(
    ("headers", "body", "who", "status", "code"),
    [
        ({}, {"tracking": "T"}, "wes", 428, "version-required"),
        ({"If-Match": '"99"'}, {"tracking": "T"}, "wes", 412, "stale-version"),
        ({"If-Match": "*"}, {"tracking": ""}, "wes", 422, "invalid-value"),
        ({"If-Match": "*"}, {"tracking": 7}, "wes", 422, "invalid-body"),
        ({"If-Match": "*"}, {"address": None}, "wes", 422, "invalid-body"),
        ({"If-Match": "*"}, {"tracking": "T"}, "ada", 403, "forbidden"),
    ],
)
async def test_a_correction_is_refused(
    api: Api, headers: dict[str, str], body: Any, who: str, status: int, code: str
) -> None:
    path = await api.keep(prepared(authorize, send))
    before = await the_order(api, path)
    answer = await api.call("PATCH", f"{path}/shipments/1", body, who=who, headers=headers)
    assert_problem(answer, status, code)
    unknown = await api.call(
        "PATCH", f"{path}/shipments/2", {"tracking": "T"}, who="wes", headers={"If-Match": "*"}
    )
    assert_problem(unknown, 404, "part-not-found")
    assert await the_order(api, path) == before


# -- addresses and values (case 295) -------------------------------------------------------------


async def test_a_parcel_keeps_its_address_and_has_a_value_for_who_sees_money(
    api: Api, path: str
) -> None:
    address = {"name": "Ada", "line1": "1 Mill Lane", "city": "York", "country": "GB"}
    other = {**address, "city": "Bath"}
    order = await the_order(api, path)
    tag = {"If-Match": f'"{order["version"]}"'}
    await api.call("PATCH", path, {"shipping": {"address": address}}, who="ada", headers=tag)
    for items in (units("1", 1), units("1", 2), units("2", 2)):
        await api.done(f"{path}/shipments", items, who="wes")
    moved = {"shipping": {"address": other}}
    by_customer = await api.call("PATCH", path, moved, who="ada", headers={"If-Match": "*"})
    assert_problem(by_customer, 409, "already-shipped")
    by_staff = await api.call("PATCH", path, moved, who="sue", headers={"If-Match": "*"})
    assert by_staff.status_code == 200
    order = await the_order(api, path)
    assert order["shipping"]["address"]["city"] == "Bath"
    assert {parcel["address"]["city"] for parcel in order["shipments"]} == {"York"}
    lamps = order["totals"]["gross"] - 495 - 3_000
    assert [parcel["value"] for parcel in order["shipments"]] == [1_495, 2_000, lamps]
    seen = (await api.get(path, who="wes")).json()["shipments"]
    assert not any("value" in parcel for parcel in seen)


# -- parcels that left before the cancellation was known -----------------------------------------


async def test_a_parcel_that_left_before_the_cancellation_is_recorded(api: Api) -> None:
    path = await api.keep(an_order_that_is(OrderStatus.CANCELLED))
    before = await the_order(api, path)
    body = {**ONE_PEN, "carrier": "DHL", "dispatched_at": before["created_at"]}
    late = await api.done(f"{path}/late-shipments", body, who="wes")
    (parcel,) = late["shipments"]
    assert (parcel["status"], parcel["surplus"]) == ("dispatched", parcel["items"])
    assert parcel["dispatched_at"] == before["created_at"]
    await api.done(f"{path}/shipments/1/deliver", who="wes")
    after = await the_order(api, path)
    for same in ("status", "totals", "lines", "fulfillment_status"):
        assert after[same] == before[same]
    assert (await api.shop.history(id_of(after)))[-2:] == [
        *("LateShipmentRecorded", "OrderDelivered"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({**ONE_PEN, "dispatched_at": "2999-01-01T00:00:00Z"}, 422, "invalid-value"),
        ({**ONE_PEN, "dispatched_at": "0001-01-01T00:00:00+14:00"}, 422, "invalid-value"),
        ({**ONE_PEN, "dispatched_at": "2026-03-01T00:00:00"}, 422, "invalid-value"),
        ({**ONE_PEN, "dispatched_at": 7}, 422, "invalid-body"),
        (units("1", 4), 409, "quantity-exceeds"),
        (units("3", 1), 409, "quantity-exceeds"),
        (units("9", 1), 404, "part-not-found"),
    ],
)
async def test_a_late_parcel_is_refused(
    api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    path = await api.keep(an_order_that_is(OrderStatus.CANCELLED))
    before = await the_order(api, path)
    assert_problem(await api.post(f"{path}/late-shipments", body, who="wes"), status, code)
    assert await the_order(api, path) == before


# -- returns with less (case 299) ----------------------------------------------------------------


async def test_two_of_three_units_come_back_and_are_credited_with_a_fee(
    api: Api, path: str
) -> None:
    await api.done(f"{path}/shipments", ALL, who="wes")
    await api.done(f"{path}/shipments/1/dispatch", who="wes")
    await capture_all(api, path)
    await api.done(f"{path}/shipments/1/deliver", who="wes")
    await api.done(f"{path}/returns", units("1", 3), who="ada")
    await api.done(f"{path}/returns/1/approve", who="sue")
    body = {**units("1", 2), "credit": 1_800}
    received = await api.done(f"{path}/returns/1/receive", body, who="wes")
    assert "credited" not in received["returns"][0]
    order = await the_order(api, path)
    (back,) = order["returns"]
    assert (back["items"], back["received"], back["credited"]) == (
        [{"line_id": "1", "quantity": 3}],
        [{"line_id": "1", "quantity": 2}],
        1_800,
    )
    assert order["totals"]["credits"] == 1_800
    actions = (await api.get(f"{path}/actions", who="root")).json()["items"]
    (possible,) = [each for each in actions if each["action"] == "request_return"]
    assert possible["limits"]["items"]["1"] == 1
    await api.done(f"{path}/refunds", {"reason": "returned"}, who="fin")
    await api.done(f"{path}/returns/1/close", who="sue")
    assert_balanced(await the_order(api, path), "completed")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"items": []}, "invalid-value"),
        ({"credit": -1}, "invalid-value"),
        ({"items": [{"line_id": "1", "quantity": 1}] * 2}, "invalid-value"),
        ({"credit": "all"}, "invalid-body"),
    ],
)
async def test_a_return_cannot_be_received_like_that(
    api: Api, body: dict[str, Any], code: str
) -> None:
    path = await api.keep(prepared(take, deliver_units))
    await api.done(f"{path}/returns", units("1", 3), who="customer-1")
    await api.done(f"{path}/returns/1/approve", who="sue")
    assert_problem(await api.post(f"{path}/returns/1/receive", body, who="wes"), 422, code)


# -- credits by line, and revoked ones -----------------------------------------------------------


async def test_actions_bounds_a_credit_by_its_line_and_names_credits_to_revoke(api: Api) -> None:
    path = await api.keep(prepared(take))
    body = {"amount": 2_900, "reason": "damaged", "line_id": "1"}
    await api.done(f"{path}/credits", body, who="sue")
    actions = {
        each["action"]: each["limits"]
        for each in (await api.get(f"{path}/actions", who="root")).json()["items"]
    }
    assert actions["grant_credit"] == {
        "amount": 1_400,
        "lines": {"1": 100, "2": 1_000, "3": 300},
        "items": {"1": 3, "2": 2},
    }
    assert actions["cancel_items"]["items"] == {"2": 2, "3": 1}
    assert actions["revoke_credit"] == {"credits": ["1"]}
    revoked = await api.done(f"{path}/credits/1/revoke", who="sue")
    assert revoked["credits"][0]["revoked_at"] is not None
    assert revoked["totals"]["credits"] == 0


async def test_a_credit_that_is_paid_out_stays(api: Api, path: str) -> None:
    await capture_all(api, path)
    await api.done(f"{path}/credits", {"amount": 100, "reason": "goodwill"}, who="sue")
    await api.done(f"{path}/refunds", {"reason": "goodwill"}, who="fin")
    problem = await assert_refused(api, path, "revoke_credit", "illegal-step")
    assert problem["detail"] == "credit 1 is paid out"


async def test_a_revoked_credit_leaves_a_payment_in_flight_alone(api: Api) -> None:
    path = await api.keep(prepared(in_flight, credit))
    await api.done(f"{path}/credits/1/revoke", who="sue")
    assert (await the_order(api, path))["totals"]["due"] == 4_300
