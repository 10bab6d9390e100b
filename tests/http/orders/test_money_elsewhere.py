"""Manual payments, recorded refunds, terms of payment and write-offs, as clients see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orders.domain.payments import PaymentReport
from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import NOW
from tests.support.shop import Shop, a_caller, a_webhook

TRANSFER = {"method": "bank_transfer", "reference": "Auftrag 4711, Müller"}
INVOICE = {"terms": "invoice", "due_in_days": 14}
DAY = timedelta(days=1)


async def told(api: Api, report: PaymentReport, kind: str) -> None:
    """The payment service sends a signed message."""
    headers, body = a_webhook(report, kind, at=int(NOW.timestamp()))
    answer = await api.call("POST", "/payment-events", raw=body, who=None, headers=headers)
    assert answer.status_code == 204, answer.text


async def received(api: Api, **options: Any) -> dict[str, Any]:
    """An order of 4,000, paid by bank transfer."""
    order = await api.placed(**options)
    path = f"/orders/{order['id']}/payments"
    return await api.done(path, {"manual": TRANSFER, "amount": 4_000}, who="fin")


async def ship(api: Api, path: str, *steps: str) -> dict[str, Any]:
    """Pack everything, and take the parcel through these steps."""
    units = [{"line_id": "1", "quantity": 3}, {"line_id": "2", "quantity": 2}]
    order = await api.done(f"{path}/shipments", {"items": units}, who="wes")
    for step in steps:
        order = await api.done(f"{path}/shipments/1/{step}", who="wes")
    return order


def names(history: Any) -> list[str]:
    return [each["type"] for each in history.json()["items"]]


# -- recorded payments --------------------------------------------------------------------------


async def test_money_received_elsewhere_confirms_and_pays_without_the_payment_service(
    api: Api, shop: Shop
) -> None:
    order = await received(api)

    assert (order["status"], order["payment_status"]) == ("confirmed", "paid")
    assert shop.provider.calls == {}
    (payment,) = order["payments"]
    assert payment["manual"] == {**TRANSFER, "received_at": "2026-03-01T12:00:00Z"}
    assert (payment["status"], payment["captured"]) == ("captured", 4_000)
    history = await api.get(f"/orders/{order['id']}/events", who="fin")
    assert names(history)[-3:] == ["PaymentRecorded", "OrderPaid", "OrderConfirmed"]
    assert TRANSFER["reference"] not in history.text, "free text in an event"


async def test_a_refund_of_money_received_elsewhere_is_recorded_and_never_sent(
    api: Api, shop: Shop
) -> None:
    path = f"/orders/{(await received(api))['id']}"

    order = await api.done(f"{path}/cancel", who="sue")

    assert (order["totals"]["refund_due"], order["refunds"]) == (4_000, [])
    found = await api.get("/orders", who="fin", payment_status="overpaid")
    assert [each["id"] for each in found.json()["items"]] == [order["id"]], "nobody would find it"
    refused = await api.post(f"{path}/refunds", {"reason": "customer"}, who="fin")
    assert_problem(refused, 409, "refund-must-be-recorded")

    order = await api.done(
        f"{path}/refunds", {"recorded": True, "reference": "SEPA 0815"}, who="fin"
    )

    (refund,) = order["refunds"]
    assert (refund["status"], refund["recorded"], refund["reference"]) == (
        "succeeded",
        True,
        "SEPA 0815",
    )
    assert order["payments"][0]["refunded_elsewhere"] == 4_000
    assert (order["payment_status"], order["totals"]["refund_due"]) == ("refunded", 0)
    assert shop.provider.calls == {}


async def test_a_repeated_request_records_the_money_once(api: Api) -> None:
    order = await api.placed()
    path, body = f"/orders/{order['id']}/payments", {"manual": TRANSFER, "amount": 1_000}
    first = await api.post(path, body, who="fin", key="transfer-1")
    again = await api.post(path, body, who="fin", key="transfer-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["totals"]["captured"] == 1_000
    missing = await api.post(path, body, who="fin", key=None)
    assert_problem(missing, 400, "idempotency-key-missing")


@pytest.mark.parametrize("who", ["ada", "sue", "wes", "rita", "writer"])
async def test_only_finance_records_money(api: Api, who: str) -> None:
    path = f"/orders/{(await received(api, who='ada'))['id']}"
    order = (await api.get(path, who="root")).json()
    for part, body in (
        ("payments", {"manual": TRANSFER, "amount": 1}),
        ("refunds", {"recorded": True, "reference": "x", "amount": 1}),
        ("credits", {"reason": "write-off", "amount": 1}),
    ):
        assert_problem(await api.post(f"{path}/{part}", body, who=who), 403, "forbidden")
    assert (await api.get(path, who="root")).json() == order


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": 1}, "/method"),
        ({"manual": TRANSFER, "method": "tok_ok"}, "/manual"),
        ({"manual": TRANSFER, "capture": True}, "/manual"),
        ({"manual": TRANSFER | {"received_at": "2026-03-01T12:00:00.001Z"}}, "/manual/received_at"),
        ({"manual": TRANSFER | {"received_at": "2025-02-27T00:00:00Z"}}, "/manual/received_at"),
        ({"manual": TRANSFER | {"received_at": "2026-03-01T12:00:00"}}, "/manual/received_at"),
        ({"manual": TRANSFER | {"reference": "a\u0000"}}, "/manual/reference"),
        ({"manual": TRANSFER, "amount": 0}, "/amount"),
    ],
)
async def test_what_cannot_be_is_refused_and_named(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    order = await api.placed()
    answer = await api.post(f"/orders/{order['id']}/payments", body, who="root")
    problem = assert_problem(answer, 422, "invalid-value")
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "body",
    [None, {"manual": {}}, {"manual": {"method": "barter"}}, {"manual": TRANSFER | {"x": 1}}],
)
async def test_a_body_of_another_shape_is_refused(api: Api, body: Any) -> None:
    order = await api.placed()
    answer = await api.post(f"/orders/{order['id']}/payments", body, who="fin")
    assert answer.status_code in {400, 422}
    assert (await api.get(f"/orders/{order['id']}", who="ada")).json() == order


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"recorded": True}, "/reference"),
        ({"reference": "SEPA 1"}, "/reference"),
        ({"recorded": False, "reference": "SEPA 1"}, "/reference"),
    ],
)
async def test_a_reference_belongs_to_a_recorded_refund(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    order = await received(api)
    answer = await api.post(f"/orders/{order['id']}/refunds", body, who="fin")
    problem = assert_problem(answer, 422, "invalid-value")
    assert [each["pointer"] for each in problem["errors"]] == [pointer]


@pytest.mark.parametrize("of", [{"line_id": "1"}, {"undeliverable": 1}])
async def test_a_write_off_is_of_no_line(api: Api, of: dict[str, Any]) -> None:
    order = await api.placed(who="root", **INVOICE)
    body = {"amount": 1, "reason": "write-off", **of}
    answer = await api.post(f"/orders/{order['id']}/credits", body, who="fin")
    problem = assert_problem(answer, 422, "invalid-value")
    assert [each["pointer"] for each in problem["errors"]] == ["/reason"]


# -- refunds that nobody asked for here -----------------------------------------------------------


@pytest.mark.parametrize(("refunded", "status"), [(4_000, "refunded"), (1, "partially_refunded")])
async def test_what_the_payment_service_refunded_unasked_is_not_asked_for_again(
    api: Api, shop: Shop, refunded: int, status: str
) -> None:
    order = await api.placed(payment={"method": "tok_ok", "capture": True})
    path = f"/orders/{order['id']}"
    await ship(api, path, "dispatch", "deliver")
    report = await shop.provider.find(f"{order['id']}:1")
    assert report is not None

    for _ in range(2):
        await told(api, replace(report, refunded=refunded), "refunded")

    order = (await api.get(path, who="fin")).json()
    assert (order["status"], order["payment_status"]) == ("completed", status)
    assert (order["totals"]["outstanding"], order["totals"]["refunded"]) == (0, refunded)
    credits = [(each["amount"], each["reason"]) for each in order["credits"]]
    assert credits == [(refunded, "refunded-elsewhere")]
    found = await api.get("/orders", who="fin", outstanding="true")
    assert found.json()["items"] == []
    told_by = (await api.get(f"{path}/events", who="fin")).json()["items"][-2:]
    assert [(each["type"], each["actor"]["subject"]) for each in told_by] == [
        ("PaymentRefunded", "payment-service"),
        ("CreditGranted", "payment-service"),
    ]


# -- terms ----------------------------------------------------------------------------------------


@pytest.fixture
def broker(api: Api, monkeypatch: pytest.MonkeyPatch) -> str:
    """A customer's token with the scope for terms."""
    scopes = {"orders:read", "orders:write", "orders:terms"}
    caller = a_caller("broker", "customer", scopes=scopes)
    monkeypatch.setitem(api.front.tokens._callers, "broker", caller)
    return "broker"


@pytest.mark.parametrize(
    "terms",
    [{"terms": "on_delivery"}, INVOICE, {**INVOICE, "confirmation": "automatic", "holds": []}],
)
async def test_terms_need_their_scope_and_ship_unpaid(
    api: Api, shop: Shop, broker: str, terms: dict[str, Any]
) -> None:
    assert_problem(await api.place(who="ada", **terms), 403, "forbidden")
    assert await shop.count() == 0

    order = await api.placed(who=broker, **terms)

    assert (order["status"], order["payment_status"]) == ("confirmed", "unpaid")
    assert (order["terms"], order["payment_due_at"]) == (terms["terms"], None)
    ready = await api.get("/orders", who="wes", ready_to_ship="true")
    assert [each["terms"] for each in ready.json()["items"]] == [terms["terms"]]
    assert "payment_due_at" not in ready.json()["items"][0], "money is none of the warehouse's"
    order = await ship(api, f"/orders/{order['id']}", "dispatch", "deliver")
    order = await api.done(
        f"/orders/{order['id']}/payments", {"manual": {"method": "cash"}}, who="fin"
    )
    assert (order["status"], order["payment_status"]) == ("completed", "paid")


async def test_anybody_may_pay_before_it_is_shipped(api: Api) -> None:
    order = await api.placed(who="ada", terms="prepaid")
    assert (order["status"], order["terms"], order["due_in_days"]) == ("pending", "prepaid", None)


@pytest.mark.parametrize(
    "terms",
    [
        {"terms": "invoice"},
        {"terms": "invoice", "due_in_days": 366},
        {"terms": "on_delivery", "due_in_days": 1},
        {"terms": "prepaid", "due_in_days": 1},
        {"due_in_days": 1},
        {"due_in_days": 1, "confirmation": "automatic"},
        {"terms": "someday"},
    ],
)
async def test_terms_that_make_no_sense_are_refused(
    api: Api, shop: Shop, terms: dict[str, Any]
) -> None:
    assert (await api.place(who="root", **terms)).status_code == 422
    assert await shop.count() == 0


async def test_an_invoice_that_is_not_paid_in_time_is_listed_until_it_is_written_off(
    api: Api, shop: Shop
) -> None:
    order = await api.placed(who="root", **INVOICE)
    path = f"/orders/{order['id']}"

    async def listed(overdue: str) -> list[str]:
        answer = await api.get("/orders", who="fin", overdue=overdue)
        return [each["id"] for each in answer.json()["items"]]

    assert [await listed(each) for each in ("true", "false")] == [[], []]
    await ship(api, path, "dispatch")
    order = (await api.get(path, who="fin")).json()
    assert order["payment_due_at"] == "2026-03-15T12:00:00Z"
    assert [await listed(each) for each in ("true", "false")] == [[], [order["id"]]]
    shop.clock.advance(14 * DAY + timedelta(seconds=1))
    assert [await listed(each) for each in ("true", "false")] == [[order["id"]], []]
    refused = await api.get("/orders", who="wes", overdue="true")
    assert_problem(refused, 403, "forbidden")

    order = await api.done(f"{path}/shipments/1/deliver", who="wes")
    too_much = await api.post(
        f"{path}/credits", {"amount": 4_001, "reason": "write-off"}, who="fin"
    )
    assert_problem(too_much, 409, "credit-exceeds")
    order = await api.done(f"{path}/credits", {"amount": 4_000, "reason": "write-off"}, who="fin")

    assert (order["status"], order["totals"]["outstanding"]) == ("completed", 0)
    assert [await listed(each) for each in ("true", "false")] == [[], []]
    told_of = names(await api.get(f"{path}/events", who="fin"))
    assert told_of.count("PaymentDueDateSet") == 1


async def test_graphql_shows_the_same(api: Api) -> None:
    order = await received(api, who="root", **INVOICE)
    query = """{orders(filter: {overdue: false}) {edges {node {id}}}
      order(id: "%s") {terms dueInDays paymentDueAt refunds {recorded reference}
        payments {refundedElsewhere manual {method reference receivedAt}}}}"""
    body = {"query": query % id_of(order)}
    answer = await api.call("POST", "/graphql", body, who="fin")
    assert answer.json() == {
        "data": {
            "orders": {"edges": []},
            "order": {
                "terms": "invoice",
                "dueInDays": 14,
                "paymentDueAt": None,
                "refunds": [],
                "payments": [
                    {
                        "refundedElsewhere": 0,
                        "manual": {
                            "method": "bank_transfer",
                            "reference": TRANSFER["reference"],
                            "receivedAt": "2026-03-01T12:00:00Z",
                        },
                    }
                ],
            },
        }
    }
