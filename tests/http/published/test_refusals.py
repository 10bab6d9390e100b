"""What a command is refused for, by the name of the guard."""

from __future__ import annotations

from typing import Any

import pytest

from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.order.storing import restore
from tests.support.api import Api
from tests.support.api_commands import (
    BODIES,
    ONE_PEN,
    approved_return,
    assert_refused,
    carry_out,
    credit,
    hold,
    in_flight,
    pay_out,
    prepared,
    units,
    voiding,
)
from tests.support.orders import (
    an_order_with_late_money,
    authorize,
    pack,
    return_units,
    send,
    take,
)
from tests.support.orders import deliver as deliver_units


@pytest.mark.parametrize(
    ("action", "order", "body", "blocked_by"),
    [
        ("confirm", prepared(), None, ["payment-not-covered"]),
        ("confirm", prepared(hold), None, ["on-hold", "payment-not-covered"]),
        ("confirm", prepared(hold, take), None, ["on-hold"]),
        ("complete", prepared(authorize), None, ["not-delivered", "not-settled", "still-open"]),
        ("complete", prepared(take), None, ["not-delivered"]),
        ("complete", prepared(authorize, deliver_units), None, ["not-settled", "still-open"]),
        ("cancel", prepared(authorize, pack), None, ["already-shipped"]),
        ("cancel", prepared(authorize, send), None, ["already-shipped"]),
        ("cancel_items", prepared(), units("1", 4), ["quantity-exceeds"]),
        (
            "cancel_items",
            prepared(),
            {"items": [{"line_id": str(n + 1), "quantity": 3 - n} for n in range(3)]},
            ["use-cancel"],
        ),
        ("cancel_items", prepared(authorize, pack), units("1", 1), ["quantity-exceeds"]),
        ("pay", prepared(take), {"method": "tok_ok"}, ["nothing-due"]),
        ("pay", prepared(authorize), {"method": "tok_ok"}, ["nothing-due"]),
        ("pay", prepared(in_flight), {"method": "tok_ok"}, ["payment-in-flight"]),
        ("pay", prepared(), {"method": "tok_ok", "amount": 4_301}, ["amount-exceeds-due"]),
        ("capture", prepared(authorize), {"amount": 4_301}, ["amount-exceeds-due"]),
        ("capture", prepared(take), None, ["illegal-step"]),
        ("void", prepared(take), None, ["illegal-step"]),
        ("void", prepared(authorize, voiding), None, ["illegal-step"]),
        ("capture", prepared(authorize, voiding), None, ["illegal-step"]),
        ("refund", prepared(take), None, ["amount-exceeds-refundable"]),
        ("refund", prepared(take, credit), {"amount": 2}, ["amount-exceeds-refundable"]),
        (
            "grant_credit",
            prepared(take),
            {"amount": 4_301, "reason": "goodwill"},
            ["credit-exceeds"],
        ),
        ("grant_credit", prepared(), {"amount": 4_301, "reason": "x"}, ["credit-exceeds"]),
        (
            "grant_credit",
            prepared(take),
            {"amount": 3_001, "reason": "damaged", "line_id": "1"},
            ["credit-exceeds"],
        ),
        (
            "grant_credit",
            prepared(take, send),
            {"amount": 1, "reason": "lost", "line_id": "1", "undeliverable": 1},
            ["quantity-exceeds"],
        ),
        ("revoke_credit", prepared(take, credit, pay_out), None, ["illegal-step"]),
        ("create_shipment", prepared(authorize), units("1", 4), ["quantity-exceeds"]),
        ("record_late_shipment", prepared(authorize), ONE_PEN, ["quantity-exceeds"]),
        ("fail_delivery", prepared(authorize, pack), None, ["illegal-step"]),
        ("create_shipment", prepared(authorize), units("3", 1), ["quantity-exceeds"]),
        ("create_shipment", prepared(authorize, hold), ONE_PEN, ["on-hold"]),
        ("create_shipment", prepared(authorize, voiding), ONE_PEN, ["payment-not-covered"]),
        ("dispatch", prepared(authorize, pack, hold), None, ["on-hold"]),
        ("dispatch", prepared(authorize, pack, voiding), None, ["payment-not-covered"]),
        (
            "dispatch",
            prepared(authorize, pack, voiding, hold),
            None,
            ["on-hold", "payment-not-covered"],
        ),
        ("dispatch", prepared(authorize, send), None, ["illegal-step"]),
        ("deliver", prepared(authorize, pack), None, ["illegal-step"]),
        ("cancel_shipment", prepared(authorize, send), None, ["illegal-step"]),
        ("request_return", prepared(authorize, send), ONE_PEN, ["quantity-exceeds"]),
        ("request_return", prepared(take, deliver_units), units("1", 4), ["quantity-exceeds"]),
        (
            "request_return",
            prepared(take, deliver_units, return_units),
            units("1", 3),
            ["quantity-exceeds"],
        ),
        ("receive_return", prepared(take, deliver_units, return_units), None, ["illegal-step"]),
        (
            "receive_return",
            prepared(take, deliver_units, approved_return),
            units("1", 2),
            ["quantity-exceeds"],
        ),
        (
            "receive_return",
            prepared(take, deliver_units, approved_return),
            {"credit": 1_001},
            ["credit-exceeds"],
        ),
        ("close_return", prepared(take, deliver_units, return_units), None, ["illegal-step"]),
    ],
)
async def test_a_guard_refuses_by_name(
    api: Api, action: str, order: Order, body: dict[str, Any] | None, blocked_by: list[str]
) -> None:
    path = await api.keep(restore(order.state))

    await assert_refused(api, path, action, *blocked_by, body=body or BODIES.get(action))


async def test_a_capture_of_one_of_two_payments_is_bounded_by_that_payment(api: Api) -> None:
    order = prepared(lambda order: authorize(order, 300), lambda order: authorize(order, 4_000))
    path = await api.keep(order)

    await assert_refused(api, path, "capture", "amount-exceeds-authorized", body={"amount": 301})


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.EXPIRED])
async def test_late_money_can_be_refunded_by_hand_where_the_automatic_refund_failed(
    api: Api, status: OrderStatus
) -> None:
    path = await api.keep(an_order_with_late_money(status))

    answer = await carry_out(api, path, "refund")

    assert answer.status_code == 201
    assert answer.json()["refunds"][1]["amount"] == 4_300
