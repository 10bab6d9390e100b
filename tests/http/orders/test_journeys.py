"""An order's life from its placing to its refund, and the ways it can turn."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import Api, id_of
from tests.support.api_commands import (
    ONE_PEN,
    assert_refused,
    carry_out,
    prepared,
)
from tests.support.orders import (
    a_placed_order,
    authorize,
)
from tests.support.shop import Shop

ALL_PENS = {"items": [{"line_id": "1", "quantity": 3}]}
ALL_LAMPS = {"items": [{"line_id": "2", "quantity": 2}]}


RETURNED = {"items": [{"line_id": "1", "quantity": 2}], "reason": "damaged"}
JOURNEY: list[tuple[str, str, dict[str, Any] | None, dict[str, str]]] = [
    ("ada", "payments", {"method": "tok_ok"}, {"status": "confirmed"}),
    ("wes", "shipments", {**ALL_PENS, "carrier": "An Post"}, {"fulfillment_status": "in_progress"}),
    (
        "wes",
        "shipments/1/dispatch",
        {"tracking": "T-1"},
        {"fulfillment_status": "partially_shipped", "payment_status": "authorized"},
    ),
    ("fin", "payments/1/capture", {"amount": 3_500}, {"payment_status": "partially_paid"}),
    ("wes", "shipments", ALL_LAMPS, {"fulfillment_status": "partially_shipped"}),
    ("wes", "shipments/2/dispatch", None, {"fulfillment_status": "shipped"}),
    ("wes", "shipments/1/deliver", None, {"fulfillment_status": "partially_delivered"}),
    (
        "wes",
        "shipments/2/deliver",
        None,
        {"fulfillment_status": "delivered", "status": "confirmed"},
    ),
    ("fin", "payments/1/capture", None, {"status": "completed", "payment_status": "paid"}),
    ("ada", "returns", RETURNED, {"return_status": "requested", "payment_status": "paid"}),
    ("sue", "returns/1/approve", None, {"return_status": "requested"}),
    (
        "wes",
        "returns/1/receive",
        None,
        {"return_status": "partially_returned", "payment_status": "overpaid"},
    ),
    ("sue", "returns/1/close", None, {"payment_status": "overpaid"}),
    (
        "fin",
        "refunds",
        None,
        {"status": "completed", "payment_status": "partially_refunded"},
    ),
]
"""Who sends what, and how the order stands then."""


async def test_an_order_from_its_placing_to_its_refund(api: Api, shop: Shop) -> None:
    order = await api.placed(shipping={"method": "standard"})

    for who, path, body, standing in JOURNEY:
        order = await api.done(f"/orders/{order['id']}/{path}", body, who=who)
        assert {name: order[name] for name in standing} == standing, path

    totals = (await api.get(f"/orders/{order['id']}")).json()["totals"]
    assert {name: totals[name] for name in ("gross", "credits", "captured", "refunded", "net")} == {
        "gross": 4_495,
        "credits": 2_000,
        "captured": 4_495,
        "refunded": 2_000,
        "net": 2_495,
    }
    report = await shop.provider.find(f"{order['id']}:1")
    assert report is not None
    assert (report.captured, report.refunded) == (4_495, 2_000)
    assert set(shop.provider.calls.values()) == {1}
    assert await shop.history(id_of(order)) == [
        "OrderCreated",
        "PaymentStarted",
        "PaymentAuthorized",
        "OrderConfirmed",
        "ShipmentCreated",
        "OrderShipped",
        "PaymentCaptured",
        "ShipmentCreated",
        "OrderShipped",
        "OrderDelivered",
        "OrderDelivered",
        "PaymentCaptured",
        "OrderPaid",
        "OrderCompleted",
        "ReturnRequested",
        "ReturnApproved",
        "ReturnReceived",
        "CreditGranted",
        "ReturnClosed",
        "RefundRequested",
        "PaymentRefunded",
        "RefundSucceeded",
    ]


async def test_a_shipment_keeps_what_the_carrier_calls_it(api: Api) -> None:
    path = await api.keep(prepared(authorize))
    await api.done(f"{path}/shipments", {**ONE_PEN, "carrier": "An Post", "tracking": "T-0"})

    kept = await api.done(f"{path}/shipments/1/dispatch")
    await api.done(f"{path}/shipments", {**ONE_PEN, "tracking": "T-0"})
    replaced = await api.done(f"{path}/shipments/2/dispatch", {"tracking": "T-1"})

    assert (kept["shipments"][0]["carrier"], kept["shipments"][0]["tracking"]) == (
        "An Post",
        "T-0",
    )
    assert replaced["shipments"][1]["tracking"] == "T-1"


@pytest.mark.parametrize(
    ("capture", "key", "payment_status"),
    [(False, "1:void:1", "voided"), (True, "refund:1", "refunded")],
)
async def test_cancelling_gives_the_money_back_once(
    api: Api, shop: Shop, capture: bool, key: str, payment_status: str
) -> None:
    order = await api.placed(payment={"method": "tok_ok", "capture": capture})
    path = f"/orders/{order['id']}"

    cancelled = await api.done(f"{path}/cancel", {"reason": "customer"}, who="ada")

    assert (cancelled["status"], cancelled["payment_status"]) == ("cancelled", payment_status)
    assert (cancelled["cancel_reason"], cancelled["totals"]["due"]) == ("customer", 0)
    assert shop.provider.calls == {f"{order['id']}:1": 1, f"{order['id']}:{key}": 1}
    await assert_refused(api, path, "cancel", "illegal-transition")


async def test_a_refund_that_the_payment_service_refuses_is_still_owed(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_refund_fails", "capture": True})

    cancelled = await api.done(f"/orders/{order['id']}/cancel", {}, who="ada")

    (refund,) = cancelled["refunds"]
    assert (refund["status"], refund["failure_code"]) == ("failed", "refund_failed")
    assert cancelled["totals"]["refund_due"] == 4_000
    again = await api.done(f"/orders/{order['id']}/refunds", {"reason": "staff"}, who="fin")
    assert [refund["status"] for refund in again["refunds"]] == ["failed", "failed"]


async def test_a_hold_keeps_a_paid_order_from_being_confirmed(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}"
    await api.done(f"{path}/holds", {"reason": "suspected-fraud"}, who="rita")
    await api.done(f"{path}/holds", {"reason": "address"}, who="sue")

    paid = await api.done(f"{path}/payments", {"method": "tok_ok"}, who="ada")
    assert (paid["status"], paid["payment_status"]) == ("pending", "authorized")
    one_left = await api.done(f"{path}/holds/1/release", who="rita")
    assert one_left["status"] == "pending"
    released = await api.done(f"{path}/holds/2/release", who="rita")
    assert released["status"] == "confirmed"
    assert all(hold["released_at"] for hold in released["holds"])


async def test_pays_in_parts(api: Api) -> None:
    order = await api.placed()
    path = f"/orders/{order['id']}/payments"

    part = await api.done(path, {"method": "tok_ok", "amount": 1_500, "capture": True}, who="ada")
    assert (part["status"], part["payment_status"]) == ("pending", "partially_paid")
    rest = await api.done(path, {"method": "tok_ok", "capture": True}, who="ada")
    assert (rest["status"], rest["payment_status"]) == ("confirmed", "paid")
    assert [payment["amount"] for payment in rest["payments"]] == [1_500, 2_500]


async def test_cancelling_units_leaves_the_rest_to_pay(api: Api) -> None:
    order = await api.placed()

    fewer = await api.done(
        f"/orders/{order['id']}/cancellations", {"items": [{"line_id": "1", "quantity": 2}]}
    )

    assert (fewer["lines"][0]["cancelled"], fewer["totals"]["due"]) == (2, 2_000)


async def test_an_order_whose_time_is_over_can_still_be_paid_until_a_worker_ends_it(
    api: Api, shop: Shop
) -> None:
    path = await api.keep(a_placed_order())
    shop.clock.advance(timedelta(days=2))

    answer = await carry_out(api, path, "pay")

    assert answer.json()["status"] == "confirmed"
