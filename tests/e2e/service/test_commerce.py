"""What people who run shops have reported of others: nothing is shipped that nobody pays for, money
finds its way back, and nobody gets a stranger's order.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.service.test_money_and_lifecycle import event_of, sign_webhook
from tests.support.processes.service import MUG, Caller, Running, body, eventually, key, paid

ALL = {"items": [{"line_id": "1", "quantity": 1}]}
ADDRESS = {"name": "Ada Quill", "line1": "1 Mill Lane", "city": "Cork", "country": "IE"}


def priced(price: int, **members: object) -> dict[str, Any]:
    """What places one mug at a price of the caller's."""
    return body(lines=[{**MUG, "unit_price": price}], **members)


def tell(running: Running, charge: dict[str, Any], type_: str, **changed: object) -> None:
    """Let the payment service say something of a charge."""
    raw = event_of(charge, type_, **changed)
    headers = sign_webhook(running, raw, (running.data / "webhook-secret").read_text())
    answer = running.nobody()("POST", "/v1/payment-events", content=raw, headers=headers)
    assert answer.status_code < 300, answer.text


def refused(answer: Any, code: str) -> None:
    """The command was refused for this reason."""
    assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text


@pytest.mark.parametrize("packed", [False, True], ids=["to pack", "to send"])
def test_k_unpaid_ship(running: Running, packed: bool) -> None:
    staff = running.someone("admin")
    order = staff.placed(priced(1000, payment={"method": "tok_ok"}))
    path = f"/v1/orders/{order['id']}"
    if packed:
        assert staff.post(f"{path}/shipments", ALL).status_code == 201
    (charge,) = running.charges(order["id"])
    tell(running, charge, "payment.voided", status="voided")

    command, content = (
        (f"{path}/shipments/1/dispatch", None) if packed else (f"{path}/shipments", ALL)
    )
    refused(staff.post(command, content), "payment-not-covered")
    assert staff.order(order["id"])["status"] == "confirmed"
    mine = f"&number={order['number']}"
    assert staff.orders(f"&ready_to_ship=true{mine}") == []
    assert [each["id"] for each in staff.orders(f"&ready_to_ship=false{mine}")] == [order["id"]]
    actions = {each["action"]: each for each in staff.get(f"{path}/actions").json()["items"]}
    for action in ("create_shipment", "dispatch"):
        assert "payment-not-covered" in actions[action]["blocked_by"]

    assert staff.post(f"{path}/payments", {"method": "tok_ok"}).status_code == 201
    assert [each["id"] for each in staff.orders(f"&ready_to_ship=true{mine}")] == [order["id"]]
    assert staff.post(command, content).status_code in {200, 201}


def delivered(staff: Caller, *payments: dict[str, Any]) -> str:
    """An order of 1000 that was paid so and has arrived; its address in the API."""
    path = f"/v1/orders/{staff.placed(priced(1000))['id']}"
    for payment in payments:
        assert staff.post(f"{path}/payments", {"capture": True, **payment}).status_code == 201
    assert staff.post(f"{path}/shipments", ALL).status_code == 201
    for step in ("dispatch", "deliver"):
        assert staff.post(f"{path}/shipments/1/{step}").status_code == 200
    return path


def test_k_refund_stuck(running: Running) -> None:
    staff = running.someone("admin")
    fails = {"method": "tok_refund_fails", "amount": 500}
    path = delivered(staff, fails, {"method": "tok_ok", "amount": 500})
    assert staff.post(f"{path}/credits", {"amount": 200, "reason": "goodwill"}).status_code == 201

    first = staff.post(f"{path}/refunds", {"amount": 200}).json()["refunds"]
    again = staff.post(f"{path}/refunds", {"amount": 200}).json()["refunds"]

    assert [(each["payment_id"], each["status"]) for each in first] == [("1", "failed")]
    assert (again[-1]["payment_id"], again[-1]["status"]) == ("2", "succeeded")


def test_a_refund_goes_to_the_payment_that_is_named(running: Running) -> None:
    staff = running.someone("admin")
    half = {"method": "tok_ok", "amount": 500}
    path = delivered(staff, half, half)
    assert staff.post(f"{path}/credits", {"amount": 600, "reason": "goodwill"}).status_code == 201

    too_much = staff.post(f"{path}/refunds", {"amount": 501, "payment_id": "2"})
    refused(too_much, "amount-exceeds-refundable")
    unknown = staff.post(f"{path}/refunds", {"amount": 1, "payment_id": "3"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "part-not-found")
    taken = staff.post(f"{path}/refunds", {"amount": 200, "payment_id": "2"})

    assert taken.json()["refunds"][-1]["payment_id"] == "2"
    charges = {each["reference"][-2:]: each for each in running.charges(path.split("/")[-1])}
    assert (charges[":1"]["refunded"], charges[":2"]["refunded"]) == (0, 200)


def test_k_credit_early(running: Running) -> None:
    staff = running.someone("admin")
    path = f"/v1/orders/{staff.placed(priced(1000, payment={'method': 'tok_ok'}))['id']}"

    credited = staff.post(f"{path}/credits", {"amount": 100, "reason": "goodwill"})
    assert credited.status_code == 201
    assert credited.json()["totals"]["due"] == 900
    refused(staff.post(f"{path}/credits", {"amount": 901, "reason": "goodwill"}), "credit-exceeds")
    refused(staff.post(f"{path}/payments/1/capture", {"amount": 901}), "amount-exceeds-due")
    captured = staff.post(f"{path}/payments/1/capture").json()["totals"]
    assert (captured["captured"], captured["outstanding"]) == (900, 0)


def test_k_inflight_is_voided_and_paid_another_way(running: Running) -> None:
    staff = running.someone("admin")
    path = f"/v1/orders/{staff.placed(paid('tok_pending'))['id']}"
    refused(staff.post(f"{path}/payments", {"method": "tok_ok"}), "payment-in-flight")

    voided = staff.post(f"{path}/payments/1/void")
    assert (voided.status_code, voided.json()["payment_status"]) == (200, "voided")
    paid_anew = staff.post(f"{path}/payments", {"method": "tok_ok", "capture": True})
    assert (paid_anew.status_code, paid_anew.json()["payment_status"]) == (201, "paid")
    statuses = [each["status"] for each in running.charges(path.rsplit("/", maxsplit=1)[-1])]
    assert sorted(statuses) == ["captured", "voided"]


def test_k_inflight_is_voided_with_its_order(running: Running, ada: Caller) -> None:
    order = ada.placed(paid("tok_pending", capture=True))
    assert ada.post(f"/v1/orders/{order['id']}/cancel").status_code == 200

    (charge,) = eventually(
        lambda: [c for c in running.charges(order["id"]) if c["status"] == "voided"]
    )
    assert charge["captured"] == 0
    assert ada.order(order["id"])["payment_status"] == "voided"


def test_k_hold_stop(running: Running) -> None:
    staff = running.someone("admin")
    path = f"/v1/orders/{staff.placed(paid())['id']}"
    for command, content in (("shipments", ALL), ("holds", {"reason": "fraud-check"})):
        assert staff.post(f"{path}/{command}", content).status_code == 201

    refused(staff.post(f"{path}/shipments/1/dispatch"), "on-hold")
    assert staff.post(f"{path}/shipments/1/cancel").status_code == 200
    assert staff.post(f"{path}/cancel", {"reason": "fraud"}).json()["status"] == "cancelled"


def test_k_address(running: Running, ada: Caller) -> None:
    staff = running.someone("admin")
    order = ada.placed(paid(shipping={"address": ADDRESS}))
    path = f"/v1/orders/{order['id']}"
    assert staff.post(f"{path}/shipments", ALL).status_code == 201

    def move(who: Caller, line1: str) -> Any:
        version = who.order(order["id"])["version"]
        return who(
            "PATCH",
            path,
            json={"shipping": {"address": {**ADDRESS, "line1": line1}}},
            headers={"If-Match": f'"{version}"'},
        )

    refused(move(ada, "2 Other Street"), "already-shipped")
    moved = move(staff, "3 New Road").json()
    assert moved["shipping"]["address"]["line1"] == "3 New Road"
    assert moved["shipments"][0]["address"] == {**ADDRESS}


def test_k_guest(running: Running) -> None:
    """A guest registers: staff assign the order, once, and from then on it is the customer's."""
    desk, ada, bob = running.someone("support"), running.someone(), running.someone()
    order = desk.placed(body(contact={"email": "ada@quill.example"}, gift_message="For Bea"))
    path = f"/v1/orders/{order['id']}"
    assert [who.get(path).status_code for who in (ada, bob)] == [404, 404]

    def assign(customer: Caller) -> Any:
        return desk.post(f"{path}/customer", {"customer_id": customer.subject})

    assert [assign(ada).status_code for _ in range(2)] == [200, 200]
    refused(assign(bob), "has-customer")

    seen = ada.get(path).json()
    assert (seen["customer_id"], seen["gift_message"]) == (ada.subject, "For Bea")
    assert [each["id"] for each in ada.orders()] == [order["id"]]
    assert (bob.get(path).status_code, bob.orders()) == (404, [])
    *_, event = desk.events(order["id"])
    assert event["type"] == "CustomerAssigned"
    assert event["actor"] == {"kind": "staff", "subject": desk.subject}
    warehouse = running.someone("fulfillment").get(path).json()
    assert (warehouse["contact"], warehouse["gift_message"]) == ({"phone": None}, "For Bea")


def test_k_by_ref(running: Running) -> None:
    """Staff and a stranger use one reference; whoever asks gets their own, or nobody's."""
    reference = f"ref-{key()}"
    ada, bob = running.someone(), running.someone()
    desk, shop = running.someone("support"), running.someone("admin")
    for_ada = desk.placed(body(external_reference=reference, customer_id=ada.subject))
    by_bob = bob.placed(body(external_reference=reference))
    path = f"/v1/orders/by-reference/{reference}"

    assert [who.get(path).json()["id"] for who in (desk, bob, ada)] == [
        for_ada["id"],
        by_bob["id"],
        for_ada["id"],
    ]
    answer = shop.get(path)
    refused(answer, "ambiguous-reference")
    assert answer.json()["order_ids"] == [by_bob["id"], for_ada["id"]]
    own = shop.placed(body(external_reference=reference))
    assert shop.get(path).json()["id"] == own["id"]
    assert running.someone().get(path).status_code == 404
