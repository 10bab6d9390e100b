"""Disputes, late refund failures and payments in flight, with the sandbox's payment service."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.service.test_commerce import delivered, priced, refused, tell
from tests.support.processes.service import Caller, Running, eventually, paid


def dispute(running: Running, order_id: str, amount: int, status: str = "open") -> None:
    """Let the payer dispute a part of the order's payment, or their bank decide it."""
    (charge,) = running.charges(order_id)
    url = f"{running.addresses['payments']}/sandbox/payments/{charge['id']}/disputes"
    answer = httpx.post(url, json={"amount": amount, "status": status})
    assert answer.status_code == 201, answer.text


def comes_to(staff: Caller, order_id: str, **expected: object) -> dict[str, Any]:
    """The order once its totals and statuses are these."""

    def there() -> dict[str, Any] | None:
        order = staff.order(order_id)
        shown = order | order["totals"]
        return order if all(shown[name] == value for name, value in expected.items()) else None

    return eventually(there)


def test_k_dispute_late(running: Running) -> None:
    staff, finance = running.someone("admin"), running.someone("finance")
    order = staff.placed(priced(1000, payment={"method": "tok_ok", "capture": True}))
    path = f"/v1/orders/{order['id']}"
    assert staff.post(f"{path}/cancel").status_code == 200
    comes_to(staff, order["id"], refunded=1000, pending_refunds=0)
    (charge,) = running.charges(order["id"])

    listed = {"id": "dp_9", "amount": 1000, "status": "open"}
    refunded = {"refunded": 1000, "disputes": [listed]}
    tell(running, charge, "payment.dispute_opened", **refunded)

    shown = comes_to(staff, order["id"], net=-1000, payment_status="charged_back")
    assert shown["disputes"] == [{**listed, "payment_id": "1"}]
    mine = f"&number={order['number']}"
    assert [each["id"] for each in finance.orders(f"&dispute_status=open{mine}")] == [order["id"]]
    assert "DisputeOpened" in [each["type"] for each in staff.events(order["id"])]


def test_k_dispute_won(running: Running) -> None:
    staff = running.someone("admin")
    order = staff.placed(priced(1000, payment={"method": "tok_ok", "capture": True}))

    dispute(running, order["id"], 400)
    comes_to(staff, order["id"], charged_back=400, payment_status="charged_back")
    dispute(running, order["id"], 400, "won")

    comes_to(staff, order["id"], charged_back=0, payment_status="paid")


def test_k_refund_fails_late(running: Running) -> None:
    """The sandbox tells it some seconds after the refund; the new one goes another way."""
    staff = running.someone("admin")
    half = {"amount": 500}
    fails = {"method": "tok_refund_fails_late", **half}
    path = delivered(staff, fails, {"method": "tok_ok", **half})
    order_id = path.rpartition("/")[2]
    assert staff.post(f"{path}/credits", {"amount": 200, "reason": "goodwill"}).status_code == 201
    first = staff.post(f"{path}/refunds", {"amount": 200}).json()["refunds"]
    assert [(each["payment_id"], each["status"]) for each in first] == [("1", "succeeded")]

    order = comes_to(staff, order_id, refund_due=200, refunded=0)

    assert order["refunds"][0]["status"] == "failed"
    assert [each["type"] for each in staff.events(order_id)][-1] == "RefundFailed"
    again = staff.post(f"{path}/refunds", {"amount": 200}).json()["refunds"]
    assert (again[-1]["payment_id"], again[-1]["status"]) == ("2", "succeeded")


def test_what_the_payer_has_to_do_is_shown_until_they_did_it(running: Running, ada: Caller) -> None:
    order = ada.placed(paid("tok_requires_action", capture=True))
    (payment,) = order["payments"]
    assert payment["next_action"]["url"].startswith("https://")

    shown = comes_to(ada, order["id"], payment_status="paid")

    assert shown["payments"][0]["next_action"] is None
    assert payment["next_action"]["url"] not in running.logged()


def test_k_inflight_that_asks_the_payer_is_voided_with_its_order(
    running: Running, ada: Caller
) -> None:
    order = ada.placed(paid("tok_requires_action", capture=True))
    path = f"/v1/orders/{order['id']}"
    refused(ada.post(f"{path}/payments", {"method": "tok_ok"}), "payment-in-flight")
    assert ada.post(f"{path}/cancel").status_code == 200

    (charge,) = eventually(
        lambda: [c for c in running.charges(order["id"]) if c["status"] == "voided"]
    )
    assert charge["captured"] == 0


def test_an_authorisation_that_lapses_leaves_the_order_confirmed_and_not_sent(
    running: Running,
) -> None:
    staff = running.someone("admin")
    order = staff.placed(priced(1000, payment={"method": "tok_authorization_expires"}))
    assert order["payments"][0]["authorized_until"] is not None

    lapsed = comes_to(staff, order["id"], payment_status="voided")

    assert lapsed["status"] == "confirmed"
    mine = f"&number={order['number']}"
    assert [each["id"] for each in staff.orders(f"&ready_to_ship=false{mine}")] == [order["id"]]


def test_a_webhook_of_an_unknown_type_is_taken_and_counted(running: Running) -> None:
    staff = running.someone("admin")
    order = staff.placed(paid())
    (charge,) = running.charges(order["id"])

    tell(running, charge, "payment.partially_reversed")
    tell(running, charge, "payout.paid", reference="payout-1")

    metrics = httpx.get(running.addresses["metrics"]).text
    counts = [
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith('orders_payment_webhooks_total{type="unknown"')
    ]
    assert sum(counts) >= 2
