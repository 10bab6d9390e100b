"""Group G: money is exact, is charged once, and an order does only what its life allows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest

from tests.support.processes.service import (
    MUG,
    Caller,
    Running,
    at_once,
    body,
    eventually,
    key,
    line,
    paid,
)


@pytest.mark.parametrize("price", [1.5, "150", 1e2, 150.0])
def test_m_jpy_fraction(admin: Caller, price: object) -> None:
    content = body(currency="JPY", lines=[{**MUG, "unit_price": price}])
    assert admin.place(content).status_code == 422


@pytest.mark.parametrize(
    ("currency", "minor"), [("JPY", 1234), ("BHD", 1234), ("KWD", 1), ("CLF", 12345), ("EUR", 99)]
)
def test_m_bhd(running: Running, currency: str, minor: int) -> None:
    owner = running.someone("admin")
    order = owner.placed(
        {**paid(capture=True), "currency": currency, "lines": [{**MUG, "unit_price": minor}]}
    )
    assert order["totals"]["captured"] == order["totals"]["due"] == minor
    (charge,) = running.charges(order["id"])
    assert (charge["amount"], charge["captured"], charge["currency"]) == (minor, minor, currency)
    created = owner.events(order["id"])[0]["data"]
    assert (created["change"]["gross"], created["after"]["due"]) == (minor, minor)


@pytest.mark.parametrize(
    ("quantity", "price", "lines"),
    [
        (100_000, 10**10, 10),  # 10^16 > 2^53
        (100_000, 10**10, 2_000),
        (1, 10**10 + 1, 1),
        (1, 2**53, 1),
        (1, 2**63 - 1, 1),
        (1, 2**63, 1),
        (1, 2**64, 1),
        (1, -1, 1),
    ],
)
def test_m_over(admin: Caller, quantity: int, price: int, lines: int) -> None:
    content = body(lines=[{**MUG, "quantity": quantity, "unit_price": price}] * lines)
    assert admin.place(content).status_code == 422
    assert admin.post("/v1/orders/quote", content).status_code == 422


@pytest.mark.parametrize("member", ["discount", "tax", "price"])
@pytest.mark.parametrize("value", [-1, 2**53, 2**63, 10**30, 1251])
def test_m_over_by_other_amounts(admin: Caller, member: str, value: int) -> None:
    if value == 1251 and member != "discount":
        return  # a tax or a shipping price may well be that high
    content = body(shipping={"price": value}) if member == "price" else line(**{member: value})
    if member != "price":
        content["lines"][0]["unit_price"] = 1250
    assert admin.place(content).status_code == 422


def test_m_mixed(ada: Caller) -> None:
    assert ada.place(body(lines=[MUG, {**MUG, "currency": "EUR"}])).status_code == 422
    assert ada.orders() == []


@pytest.mark.parametrize(
    "content",
    [
        line(unit_price=1),
        line(unit_price=0),
        line(unit_price=1249),
        line(unit_price=1250, discount=1),
        line(tax=-1),
        line(tax=1),
        body(discount=1),
        body(discount=-1),
        body(shipping={"method": "standard", "price": 1}),
        body(shipping={"method": "no-such-way"}),
        line(sku="shipping/standard", unit_price=0),
        line(sku="mug-red"),
        body(expected_total=1249),
    ],
)
def test_m_price(ada: Caller, content: dict[str, Any]) -> None:
    assert ada.place(content).status_code == 422
    assert ada.orders() == []


def test_m_price_of_shipping_cannot_be_left_out(ada: Caller) -> None:
    shown = ada.placed(body(shipping={"method": "standard"}))
    assert shown["totals"]["due"] == 1250 + 495


def test_d_canceltwice(running: Running, ada: Caller) -> None:
    order = ada.placed(paid(capture=True))
    path = f"/v1/orders/{order['id']}/cancel"
    first, second = ada.post(path), ada.post(path)
    assert first.status_code == 200
    assert second.status_code in {200, 409}
    (charge,) = running.charges(order["id"])
    assert (charge["captured"], charge["refunded"]) == (1250, 1250)
    events = [event["type"] for event in ada.events(order["id"])]
    assert events.count("OrderCancelled") == events.count("RefundRequested") == 1
    assert [event["sequence"] for event in ada.events(order["id"])] == [*range(1, len(events) + 1)]


def test_d_canceltwice_at_once_and_refunds_besides(
    running: Running, ada: Caller, admin: Caller
) -> None:
    order = ada.placed(paid(capture=True))
    path = f"/v1/orders/{order['id']}"
    at_once(
        *[lambda: ada.post(f"{path}/cancel")] * 8,
        *[lambda: admin.post(f"{path}/refunds", {"amount": 1250})] * 8,
    )
    (charge,) = running.charges(order["id"])
    assert (charge["captured"], charge["refunded"]) == (1250, 1250)
    assert ada.order(order["id"])["totals"]["refunded"] == 1250


def test_captures_at_once_take_no_more_than_is_due(
    running: Running, ada: Caller, admin: Caller
) -> None:
    order = ada.placed(paid())
    path = f"/v1/orders/{order['id']}/payments/1/capture"
    at_once(*[lambda: admin.post(path, {"amount": 700})] * 8, *[lambda: admin.post(path)] * 8)
    (charge,) = running.charges(order["id"])
    assert charge["captured"] <= 1250
    assert ada.order(order["id"])["totals"]["captured"] == charge["captured"]


@pytest.mark.parametrize("method", ["tok_slow", "tok_pending"])
def test_cp_cancelrace(running: Running, ada: Caller, method: str) -> None:
    order = ada.placed()
    path = f"/v1/orders/{order['id']}"
    _, cancelled = at_once(
        lambda: ada.post(f"{path}/payments", {"method": method, "capture": True}),
        lambda: ada.post(f"{path}/cancel"),
    )
    assert cancelled.status_code in {200, 409}

    def settled() -> bool:
        now = ada.order(order["id"])
        kept = sum(c["captured"] - c["refunded"] for c in running.charges(order["id"]))
        held = sum(
            c["amount"] - c["released"] - c["captured"]
            for c in running.charges(order["id"])
            if c["status"] == "authorized"
        )
        if now["status"] == "cancelled":
            return bool(kept == held == 0 and now["payment_status"] != "pending")
        return bool(now["status"] == "confirmed" and kept == 1250)

    eventually(settled)


def test_an_unknown_outcome_is_not_paid_again(running: Running, ada: Caller) -> None:
    order = ada.placed(paid("tok_pending"))
    assert order["payment_status"] == "pending"
    again = ada.post(f"/v1/orders/{order['id']}/payments", {"method": "tok_ok"})
    assert again.status_code == 409
    assert len(running.charges(order["id"])) == 1


@pytest.mark.parametrize("amount", [0, -1, 1251, 2**53, 2**63, 1.5, "1", True])
def test_pay_only_what_is_due(running: Running, ada: Caller, amount: object) -> None:
    order = ada.placed()
    answer = ada.post(f"/v1/orders/{order['id']}/payments", {"method": "tok_ok", "amount": amount})
    assert answer.status_code in {409, 422}
    assert running.charges(order["id"]) == []


def test_parts_of_a_payment_add_up(running: Running, ada: Caller) -> None:
    order = ada.placed()
    path = f"/v1/orders/{order['id']}/payments"
    wish = {"method": "tok_ok", "amount": 500, "capture": True}
    answers = at_once(*[lambda: ada.post(path, wish)] * 6)
    charged = sum(charge["captured"] for charge in running.charges(order["id"]))
    # One at a time is in flight; none takes more than what is left.
    assert charged == 500 * [a.status_code for a in answers].count(201) <= 1250
    assert ada.order(order["id"])["totals"]["captured"] == charged


@pytest.mark.parametrize(
    "step",
    ["payments", "confirm", "cancellations", "shipments", "returns", "holds", "complete"],
)
def test_d_illegal(running: Running, ada: Caller, admin: Caller, step: str) -> None:
    order_id = ada.placed(paid())["id"]
    order = ada.post(f"/v1/orders/{order_id}/cancel").json()
    items = {"items": [{"line_id": "1", "quantity": 1}]}
    content = {
        "payments": {"method": "tok_ok"},
        "holds": {"reason": "fraud"},
        "cancellations": items,
        "shipments": items,
        "returns": items,
    }.get(step, {})
    answer = admin.post(f"/v1/orders/{order_id}/{step}", content)
    assert answer.status_code == 409, answer.text
    assert answer.json()["blocked_by"]
    assert ada.order(order_id) == order
    assert len(running.charges(order_id)) == 1


def test_d_illegal_cancel_of_what_was_sent(ada: Caller, admin: Caller) -> None:
    order = ada.placed(paid(capture=True))
    items = {"items": [{"line_id": "1", "quantity": 1}]}
    admin.post(f"/v1/orders/{order['id']}/shipments", items)
    before = ada.order(order["id"])
    answer = ada.post(f"/v1/orders/{order['id']}/cancel")
    assert (answer.status_code, answer.json()["blocked_by"]) == (409, ["already-shipped"])
    assert ada.order(order["id"]) == before


def test_d_ryw_and_listryw(ada: Caller) -> None:
    for _ in range(5):
        order = ada.placed()
        assert ada.order(order["id"]) == order
        assert ada.get("/v1/orders?limit=1").json()["items"] == [order]


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
def test_d_page(ada: Caller, sort: str) -> None:
    at_start = {ada.placed()["id"] for _ in range(30)}
    seen: list[str] = []
    path = f"/v1/orders?limit=7&sort={sort}"
    while path:
        page = ada.get(path)
        seen += [order["id"] for order in page.json()["items"]]
        if len(seen) < 30:
            ada.placed()
        path = page.links.get("next", {}).get("url", "")
        assert bool(path) == (page.json()["next_cursor"] is not None)
    assert len(seen) == len(set(seen))
    assert at_start <= set(seen)


def sign_webhook(running: Running, raw: bytes, secret: str, age_seconds: int = 0) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    message, sent_at = f"msg_{key()}", str(int(time.time()) - age_seconds)
    signed = f"{message}.{sent_at}.".encode() + raw
    code = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    return {
        "webhook-id": message,
        "webhook-timestamp": sent_at,
        "webhook-signature": f"v1,{base64.b64encode(code).decode()}",
    }


def event_of(charge: dict[str, Any], type_: str, **changed: object) -> bytes:
    """What the payment service says of a charge."""
    names = ("id", "reference", "status", "amount", "currency", "captured", "refunded")
    data = {**{name: charge[name] for name in names}, "decline_code": None, **changed}
    return json.dumps({"type": type_, "data": data}).encode()


@pytest.mark.parametrize("forgery", ["none", "wrong", "old", "ahead", "v2", "empty", "other-body"])
def test_a_forged_webhook_changes_nothing(running: Running, ada: Caller, forgery: str) -> None:
    order = ada.placed(paid())
    (charge,) = running.charges(order["id"])
    raw = event_of(charge, "payment.captured", status="captured", captured=1250)
    secret = (running.data / "webhook-secret").read_text()
    wrong = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    age = {"old": 3_600, "ahead": -3_600}.get(forgery, 0)
    headers = sign_webhook(running, raw, wrong if forgery == "wrong" else secret, age)
    if forgery == "none":
        headers = {}
    if forgery == "v2":
        headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v2,")
    if forgery == "empty":
        headers["webhook-signature"] = "v1,"
    sent = raw + b" " if forgery == "other-body" else raw
    answer = running.nobody()("POST", "/v1/payment-events", content=sent, headers=headers)
    assert answer.status_code in {400, 401}
    assert ada.order(order["id"]) == order


def test_cp_inbox(running: Running, ada: Caller) -> None:
    order = ada.placed(paid())
    (charge,) = running.charges(order["id"])
    raw = event_of(charge, "payment.captured", status="captured", captured=1250)
    headers = sign_webhook(running, raw, (running.data / "webhook-secret").read_text())
    nobody = running.nobody()
    for _ in range(2):
        answer = nobody("POST", "/v1/payment-events", content=raw, headers=headers)
        assert answer.status_code == 204
    assert ada.order(order["id"])["totals"]["captured"] == 1250
    types = [event["type"] for event in ada.events(order["id"])]
    assert types.count("PaymentCaptured") == 1


@pytest.mark.parametrize(
    "changed", [{"amount": 1}, {"currency": "EUR"}, {"captured": 99_999}, {"refunded": 99_999}]
)
def test_cp_mismatch(running: Running, ada: Caller, changed: dict[str, object]) -> None:
    order = ada.placed()
    ada.post(f"/v1/orders/{order['id']}/payments", {"method": "tok_pending"})
    (charge,) = running.charges(order["id"])
    raw = event_of(
        charge, "payment.captured", **{"status": "captured", "captured": 1250, **changed}
    )
    headers = sign_webhook(running, raw, (running.data / "webhook-secret").read_text())
    answer = running.nobody()("POST", "/v1/payment-events", content=raw, headers=headers)
    assert answer.status_code in {204, 400}
    now = ada.order(order["id"])
    assert now["status"] == "pending"
    assert now["payment_status"] != "paid"
    assert httpx.get(f"{running.url}/livez").status_code == 200
