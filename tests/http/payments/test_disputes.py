"""Disputes, refunds that fail late and payments in flight, as clients see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orders.domain.payments import (
    DisputeStatus,
    NextAction,
    PaymentReport,
    ProviderStatus,
    ReportedDispute,
    ReportedRefund,
    ReportedRefundStatus,
)
from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook

OPEN, WON, LOST = DisputeStatus
URL = "https://bank.example/3ds?session=s3cret"


async def told(api: Api, report: PaymentReport, kind: str) -> None:
    """The payment service sends a signed message."""
    headers, body = a_webhook(report, kind, at=int(NOW.timestamp()))
    answer = await api.call("POST", "/payment-events", raw=body, who=None, headers=headers)
    assert answer.status_code == 204, answer.text


async def paid(api: Api, **options: Any) -> tuple[str, PaymentReport]:
    """The path of an order of 4,000 that is paid, and what the payment service says of it."""
    order = await api.placed(payment={"method": "tok_ok", "capture": True}, **options)
    report = await api.shop.provider.find(f"{order['id']}:1")
    assert report is not None
    return f"/orders/{order['id']}", report


def disputed(report: PaymentReport, amount: int, status: DisputeStatus) -> PaymentReport:
    dispute = ReportedDispute(id="dp_1", amount=amount, status=status)
    return replace(report, disputes=(dispute,))


async def test_a_dispute_is_charged_back_until_it_is_won(api: Api, shop: Shop) -> None:
    path, report = await paid(api)
    await told(api, disputed(report, 400, OPEN), "dispute_opened")

    order = (await api.get(path, who="fin")).json()
    assert order["disputes"] == [{"id": "dp_1", "payment_id": "1", "amount": 400, "status": "open"}]
    assert (await api.get(f"{path}/disputes", who="fin")).json()["items"] == order["disputes"]
    assert (order["payment_status"], order["totals"]["charged_back"]) == ("charged_back", 400)

    await told(api, disputed(report, 400, WON), "dispute_closed")

    order = (await api.get(path, who="fin")).json()
    assert (order["payment_status"], order["totals"]["charged_back"]) == ("paid", 0)
    history = await shop.history(id_of(order))
    assert [name for name in history if name.startswith("Dispute")] == [
        "DisputeOpened",
        "DisputeWon",
    ]


async def test_a_dispute_after_the_refund_of_a_cancelled_order_is_listed_for_finance(
    api: Api,
) -> None:
    path, report = await paid(api)
    await api.done(f"{path}/cancel", {"reason": "customer"}, who="ada")
    (refunded,) = (await api.get(path)).json()["refunds"]
    assert refunded["status"] == "succeeded"
    report = replace(report, refunded=4_000)

    await told(api, disputed(report, 4_000, OPEN), "dispute_opened")

    order = (await api.get(path, who="fin")).json()
    assert (order["totals"]["net"], order["payment_status"]) == (-4_000, "charged_back")
    for status, count in (("open", 1), ("lost", 0), ("won", 0)):
        page = (await api.get("/orders", who="fin", dispute_status=status)).json()
        assert len(page["items"]) == count
    await told(api, disputed(report, 4_000, LOST), "dispute_closed")
    page = (await api.get("/orders", who="fin", dispute_status=["lost", "open"])).json()
    assert [each["id"] for each in page["items"]] == [order["id"]]


async def test_who_sees_no_money_sees_no_disputes(api: Api) -> None:
    path, report = await paid(api)
    await told(api, disputed(report, 400, OPEN), "dispute_opened")

    order = (await api.get(path, who="wes")).json()

    assert "disputes" not in order
    assert_problem(await api.get(f"{path}/disputes", who="wes"), 403, "forbidden")
    assert_problem(await api.get("/orders", who="wes", dispute_status="open"), 403, "forbidden")


async def test_a_refund_that_fails_late_is_owed_again(api: Api, shop: Shop) -> None:
    path, report = await paid(api)
    await api.done(f"{path}/cancel", {"reason": "customer"}, who="ada")
    order = (await api.get(path)).json()
    failed = ReportedRefund(
        id="re_1",
        reference=f"{order['id']}:refund:1",
        amount=4_000,
        status=ReportedRefundStatus.FAILED,
    )
    shop.clock.advance(timedelta(days=2))
    headers, body = a_webhook(
        replace(report, refunded=0, refunds=(failed,)),
        "refund_failed",
        at=int(shop.clock().timestamp()),
    )
    await api.call("POST", "/payment-events", raw=body, who=None, headers=headers)

    order = (await api.get(path)).json()
    assert order["refunds"][0]["status"] == "failed"
    assert (order["totals"]["refunded"], order["totals"]["refund_due"]) == (0, 4_000)
    assert (await shop.history(id_of(order)))[-1] == "RefundFailed"
    retried = await api.done(f"{path}/refunds", {"reason": "customer"}, who="fin")
    assert retried["refunds"][1]["amount"] == 4_000


async def test_a_refund_that_is_pending_is_asked_about_until_it_is_decided(
    api: Api, shop: Shop
) -> None:
    """The first answer is not taken for the last, and no second refund is sent."""
    path, report = await paid(api)
    order_id = path.rpartition("/")[2]
    key = f"{order_id}:refund:1"
    listed = ReportedRefund(
        id="re_1", reference=key, amount=4_000, status=ReportedRefundStatus.PENDING
    )
    now = replace(report, refunds=(listed,))
    sent: list[str] = []

    class Undecided:
        async def refund(self, *_: object, reference: str, **__: object) -> PaymentReport:
            sent.append(reference)
            return now

        async def find(self, _: str) -> PaymentReport:
            return now

    shop.payments.port = Undecided()
    await api.done(f"{path}/cancel", {"reason": "customer"}, who="ada")
    for _ in range(3):
        await shop.work()
        assert (await api.get(path)).json()["refunds"][0]["status"] == "requested"
    decided = replace(listed, status=ReportedRefundStatus.SUCCEEDED)
    now = replace(report, refunded=4_000, refunds=(decided,))
    await shop.work()

    order = (await api.get(path)).json()
    assert (order["refunds"][0]["status"], order["payment_status"]) == ("succeeded", "refunded")
    assert sent == [key]


# -- payments in flight ------------------------------------------------------------------------


async def asked(api: Api) -> tuple[str, PaymentReport]:
    """The path of an order whose payer has something to do, and the report that says so."""
    order = await api.placed(payment={"method": "tok_pending", "capture": True})
    report = await api.shop.provider.find(f"{order['id']}:1")
    assert report is not None
    asks = replace(
        report,
        status=ProviderStatus.REQUIRES_ACTION,
        next_action=NextAction(type="redirect", url=URL),
    )
    await told(api, asks, "requires_action")
    return f"/orders/{order['id']}", report


@pytest.mark.parametrize("who", ["ada", "sue", "fin"])
async def test_what_the_payer_has_to_do_is_shown_until_the_payment_is_settled(
    api: Api, shop: Shop, who: str
) -> None:
    path, report = await asked(api)

    (payment,) = (await api.get(f"{path}/payments", who=who)).json()["items"]
    assert payment["status"] == "requires_action"
    assert payment["next_action"] == {"type": "redirect", "url": URL}

    await told(api, shop.provider.decide(report.reference), "captured")
    (payment,) = (await api.get(f"{path}/payments", who=who)).json()["items"]
    assert (payment["status"], payment["next_action"]) == ("captured", None)


async def test_nobody_else_sees_what_the_payer_has_to_do(
    api: Api, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    path, _ = await asked(api)

    for who in ("wes", "bob", "boss"):
        answer = await api.get(path, who=who)
        assert "s3cret" not in answer.text
    feed = await api.get(f"{path}/events", who="fin")
    assert "s3cret" not in feed.text
    assert "s3cret" not in caplog.text


async def test_a_payment_in_flight_is_voided_and_the_order_paid_another_way(api: Api) -> None:
    path, _ = await asked(api)
    again = await api.post(f"{path}/payments", {"method": "tok_ok"}, who="ada")
    assert_problem(again, 409, "payment-in-flight")

    order = await api.done(f"{path}/payments/1/void", who="fin")
    assert (order["payment_status"], order["payments"][0]["next_action"]) == ("voided", None)

    order = await api.done(f"{path}/payments", {"method": "tok_ok"}, who="ada")
    assert order["status"] == "confirmed"


async def test_an_authorisation_says_how_long_it_lasts_and_may_lapse(api: Api) -> None:
    order = await api.placed(payment={"method": "tok_ok"})
    path = f"/orders/{order['id']}"
    report = await api.shop.provider.find(f"{order['id']}:1")
    assert report is not None
    until = NOW + timedelta(days=7)
    await told(api, replace(report, authorized_until=until), "authorized")
    shown = (await api.get(path)).json()["payments"][0]
    assert shown["authorized_until"] == "2026-03-08T12:00:00Z"

    await told(api, replace(report, status=ProviderStatus.VOIDED), "voided")

    order = (await api.get(path, who="wes")).json()
    assert order["status"] == "confirmed"
    actions = (await api.get(f"{path}/actions", who="root")).json()["items"]
    blocked = {each["action"]: each["blocked_by"] for each in actions}
    assert blocked["create_shipment"] == ["payment-not-covered"]
    page = (await api.get("/orders", who="wes", ready_to_ship="false")).json()
    assert [each["id"] for each in page["items"]] == [order["id"]]
