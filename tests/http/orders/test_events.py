"""What happened: to an order, to all orders, and at the payment service."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from orders.adapters.messages import encode
from orders.domain.payments import PaymentReport, ProviderStatus
from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook

# -- the timeline -------------------------------------------------------------------------------


async def test_the_timeline_reaches_up_to_the_last_change_relayed_or_not(
    api: Api, shop: Shop
) -> None:
    order = await api.placed(payment={"method": "tok_ok"})
    path = f"/orders/{order['id']}"
    await shop.relay()
    await api.done(f"{path}/cancel", {}, who="ada")

    events = (await api.get(f"{path}/events")).json()["items"]

    assert [(event["sequence"], event["version"], event["type"]) for event in events] == [
        (1, 1, "OrderCreated"),
        (2, 1, "PaymentStarted"),
        (3, 2, "PaymentAuthorized"),
        (4, 2, "OrderConfirmed"),
        (5, 3, "OrderCancelled"),
        (6, 4, "PaymentVoided"),
    ]
    assert {event["id"] for event in events} == {f"{order['id']}:{n}" for n in range(1, 7)}
    assert [event.get("position") for event in events] == [1, 2, 3, 4, None, None]
    assert events[4]["data"]["change"] == {"reason": "customer"}
    assert events[4]["data"]["after"]["status"] == "cancelled"
    assert events[4]["data"]["after"]["due"] == 0
    assert events[0]["occurred_at"] == "2026-03-01T12:00:00Z"
    await shop.relay()
    after = (await api.get(f"{path}/events")).json()["items"]
    assert [event.get("position") for event in after] == [1, 2, 3, 4, 5, 6]
    assert [{**event, "position": None} for event in after] == [
        {**event, "position": None} for event in events
    ]


@pytest.mark.parametrize("who", ["bob", "eve", "boss"])
async def test_the_timeline_of_anothers_order_is_not_there(api: Api, who: str) -> None:
    order = await api.placed()

    answer = await api.get(f"/orders/{order['id']}/events", who=who)

    assert_problem(answer, 404, "order-not-found")


# -- the feed -----------------------------------------------------------------------------------


async def test_the_feed_is_read_on_from_where_it_ended(api: Api, shop: Shop) -> None:
    empty = (await api.get("/events", who="fin")).json()
    assert empty == {"items": [], "next_cursor": "0"}
    for _ in range(3):
        await api.placed(payment={"method": "tok_ok"})
        await shop.relay()

    seen: list[dict[str, Any]] = []
    after = "0"
    while len(seen) < 12:
        page = (await api.get("/events", who="fin", after=after, limit=5)).json()
        seen += page["items"]
        after = page["next_cursor"]

    assert [event["position"] for event in seen] == [str(n) for n in range(1, 13)]
    assert (await api.get("/events", who="fin", after=after)).json() == {
        "items": [],
        "next_cursor": "12",
    }
    await api.placed()
    await shop.relay()
    (newest,) = (await api.get("/events", who="fin", after=after)).json()["items"]
    assert (newest["position"], newest["type"]) == ("13", "orders.OrderCreated.v1")
    (on,) = (await api.get("/events", who="fin", after="12")).json()["items"]
    assert on == newest


async def test_the_feed_has_what_brokers_deliver(api: Api, shop: Shop) -> None:
    order = await api.placed(payment={"method": "tok_ok"})
    await shop.relay()

    items = (await api.get("/events", who="fin")).json()["items"]

    delivered = [json.loads(encode(event)) for event in shop.publisher.published]
    assert [{**event, "position": None} for event in items] == [
        {**event, "position": None} for event in delivered
    ]
    assert {event["subject"] for event in items} == {order["id"]}


async def test_the_feed_is_the_tenants_own(api: Api, shop: Shop) -> None:
    await api.placed()
    theirs = {"lines": [{"sku": "PEN", "name": "Pen", "quantity": 1, "unit_price": 1}]}
    other = await api.placed(who="boss", **theirs)
    await shop.relay()

    here = (await api.get("/events", who="art")).json()["items"]
    there = (await api.get("/events", who="boss")).json()["items"]

    assert [event["subject"] for event in there] == [other["id"]]
    assert [event["data"]["actor"] for event in here] == ["customer"]
    assert all("ada" not in str(event) for event in here)


@pytest.mark.parametrize("who", ["ada", "sue", "wes", "rita", "nobody"])
async def test_the_feed_is_for_finance_auditors_and_admins(api: Api, who: str) -> None:
    assert_problem(await api.get("/events", who=who), 403, "forbidden")


@pytest.mark.parametrize(
    "query",
    [
        {"after": "-1"},
        {"after": "x"},
        {"after": "9" * 30},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"before": "1"},
    ],
)
async def test_the_feed_refuses_a_query_it_cannot_mean(api: Api, query: dict[str, str]) -> None:
    answer = await api.get("/events", who="fin", **query)

    assert answer.status_code == 400, answer.text


# -- messages of the payment service ------------------------------------------------------------


async def told(api: Api, report: PaymentReport, kind: str, **options: Any) -> httpx.Response:
    """Send a signed message."""
    headers, body = a_webhook(report, kind, at=options.pop("at", int(NOW.timestamp())), **options)
    return await api.call("POST", "/payment-events", raw=body, who=None, headers=headers)


async def pending(api: Api, *, capture: bool = False) -> tuple[str, PaymentReport]:
    """The path of an order whose payment is pending, and what the service says of it."""
    order = await api.placed(payment={"method": "tok_pending", "capture": capture})
    report = await api.shop.provider.find(f"{order['id']}:1")
    assert report is not None
    assert report.status is ProviderStatus.PENDING
    return f"/orders/{order['id']}", report


async def test_a_message_is_booked_and_confirms_the_order(api: Api, shop: Shop) -> None:
    path, report = await pending(api)
    report = shop.provider.decide(report.reference)

    answer = await told(api, report, "authorized")

    assert (answer.status_code, answer.content) == (204, b"")
    order = (await api.get(path)).json()
    assert (order["status"], order["payment_status"]) == ("confirmed", "authorized")
    assert (await api.shop.history(id_of(order)))[2:] == ["PaymentAuthorized", "OrderConfirmed"]


async def test_a_message_that_comes_twice_is_booked_once(api: Api, shop: Shop) -> None:
    path, report = await pending(api, capture=True)
    report = shop.provider.decide(report.reference)
    await told(api, report, "captured")
    order = (await api.get(path)).json()

    for message_id in ("msg_1", "msg_2"):
        answer = await told(api, report, "captured", message_id=message_id)
        assert answer.status_code == 204
        assert (await api.get(path)).json() == order
    assert order["totals"]["captured"] == 4_000


async def test_messages_in_the_wrong_order_end_where_the_right_order_ends(
    api: Api, shop: Shop
) -> None:
    path, report = await pending(api, capture=True)
    captured = shop.provider.decide(report.reference)
    refunded = replace(captured, refunded=1_000)
    authorized = replace(captured, status=ProviderStatus.AUTHORIZED, captured=0)

    for kind, late in (("refunded", refunded), ("captured", captured), ("pending", report)):
        assert (await told(api, late, kind)).status_code == 204
    assert (await told(api, authorized, "authorized")).status_code == 204

    totals = (await api.get(path)).json()["totals"]
    assert (totals["captured"], totals["refunded"], totals["authorized"]) == (4_000, 1_000, 0)


async def test_a_decline_lets_the_customer_pay_again(api: Api) -> None:
    path, report = await pending(api)
    declined = replace(report, status=ProviderStatus.DECLINED, decline_code="do_not_honor")

    await told(api, declined, "declined")

    order = (await api.get(path)).json()
    assert (order["status"], order["payment_status"]) == ("pending", "failed")
    assert order["payments"][0]["decline_code"] == "do_not_honor"
    paid = await api.done(f"{path}/payments", {"method": "tok_ok"}, who="ada")
    assert paid["status"] == "confirmed"


async def test_a_charge_back_takes_what_was_kept_once(api: Api, shop: Shop) -> None:
    order = await api.placed(payment={"method": "tok_ok", "capture": True})
    report = await shop.provider.find(f"{order['id']}:1")
    assert report is not None

    for message_id in ("msg_1", "msg_2"):
        assert (await told(api, report, "charged_back", message_id=message_id)).status_code == 204

    order = (await api.get(f"/orders/{order['id']}")).json()
    assert order["payment_status"] == "charged_back"
    assert (order["totals"]["charged_back"], order["totals"]["net"]) == (4_000, 0)
    assert (await shop.history(id_of(order))).count("PaymentChargedBack") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1},
        {"currency": "USD"},
        {"captured": 5_000},
        {"refunded": 1},
    ],
)
async def test_a_message_that_contradicts_what_was_asked_moves_no_money_and_holds_the_order(
    api: Api, shop: Shop, changes: dict[str, Any]
) -> None:
    path, report = await pending(api)
    report = shop.provider.decide(report.reference)
    calls = dict(shop.provider.calls)
    amount = replace(
        report.amount,
        minor=changes.pop("amount", report.amount.minor),
        currency=changes.pop("currency", report.amount.currency),
    )

    answer = await told(api, replace(report, amount=amount, **changes), "authorized")

    assert answer.status_code == 204
    order = (await api.get(path, who="fin")).json()
    assert (order["status"], order["payments"][0]["status"]) == ("pending", "review")
    assert [hold["reason"] for hold in order["holds"]] == ["payment-mismatch"]
    await shop.work(rounds=3)
    assert shop.provider.calls == calls


async def test_a_payment_in_doubt_is_dismissed_by_a_person_and_the_customer_pays_again(
    api: Api, shop: Shop
) -> None:
    path, report = await pending(api)
    await told(api, replace(report, amount=replace(report.amount, minor=1)), "authorized")
    assert_problem(
        await api.post(f"{path}/payments", {"method": "tok_ok"}), 409, "payment-in-flight"
    )

    dismissed = await api.done(f"{path}/payments/1/dismiss", who="fin")
    assert dismissed["payments"][0]["status"] == "failed"
    await api.done(f"{path}/holds/1/release", who="rita")
    paid = await api.done(f"{path}/payments", {"method": "tok_ok"}, who="ada")

    assert (paid["status"], paid["payment_status"]) == ("confirmed", "authorized")
    assert paid["totals"]["authorized"] == 4_000


async def test_money_that_comes_after_the_end_goes_back_by_itself(api: Api, shop: Shop) -> None:
    path, report = await pending(api, capture=True)
    cancelled = await api.done(f"{path}/cancel", {}, who="ada")
    assert cancelled["status"] == "cancelled"

    await told(api, shop.provider.decide(report.reference), "captured")
    await shop.work()

    order = (await api.get(path)).json()
    assert (order["status"], order["payment_status"]) == ("cancelled", "refunded")
    assert order["totals"]["net"] == 0
    known = await shop.provider.find(report.reference)
    assert known is not None
    assert (known.captured, known.refunded) == (4_000, 4_000)
    assert "PaymentReceivedLate" in await shop.history(id_of(order))


@pytest.mark.parametrize(
    "reference",
    ["somebody-elses", "00000000-0000-8000-8000-000000000000:1", "x:1", ":", "1:é"],
)
async def test_a_message_about_no_payment_of_ours_is_taken_and_changes_nothing(
    api: Api, shop: Shop, reference: str
) -> None:
    path, report = await pending(api)
    before = (await api.get(path)).json()

    answer = await told(api, replace(report, reference=reference), "captured")

    assert answer.status_code == 204
    assert (await api.get(path)).json() == before


async def test_a_message_about_a_payment_that_the_order_does_not_have_changes_nothing(
    api: Api,
) -> None:
    path, report = await pending(api)
    before = (await api.get(path)).json()

    for attempt in ("2", "0", "99999999999999999999"):
        reference = report.reference.rpartition(":")[0] + f":{attempt}"
        assert (
            await told(api, replace(report, reference=reference), "captured")
        ).status_code == 204

    assert (await api.get(path)).json() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,bm8="},
        {"webhook-signature": "v1,é"},
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "0"},
        {"webhook-timestamp": "soon"},
    ],
)
async def test_refuses_a_message_that_is_not_proven(
    api: Api, shop: Shop, changes: dict[str, str]
) -> None:
    path, report = await pending(api)
    before = (await api.get(path)).json()
    report = shop.provider.decide(report.reference)
    headers, body = a_webhook(report, "authorized", at=int(NOW.timestamp()))
    raw = [(name.encode(), value.encode()) for name, value in {**headers, **changes}.items()]

    answer = await api.client.post("/v1/payment-events", content=body, headers=raw)

    api.front.published.judge(answer)
    assert_problem(answer, 400, "invalid-webhook")
    assert (await api.get(path)).json() == before


async def test_refuses_a_message_whose_body_was_changed(api: Api, shop: Shop) -> None:
    _, report = await pending(api)
    headers, body = a_webhook(report, "authorized", at=int(NOW.timestamp()))

    answer = await api.call(
        "POST", "/payment-events", raw=body.replace(b"4000", b"4001"), who=None, headers=headers
    )

    assert_problem(answer, 400, "invalid-webhook")


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_refuses_a_message_that_was_signed_at_another_time(
    api: Api, shop: Shop, seconds: int
) -> None:
    path, report = await pending(api)
    report = shop.provider.decide(report.reference)

    answer = await told(api, report, "authorized", at=int(NOW.timestamp()) + seconds)

    assert_problem(answer, 400, "invalid-webhook")
    assert (await api.get(path)).json()["status"] == "pending"


@pytest.mark.parametrize("kind", ["exploded", "", "AUTHORIZED"])
async def test_a_message_of_an_unknown_kind_is_taken_and_its_payment_looked_up(
    api: Api, shop: Shop, kind: str
) -> None:
    path, report = await pending(api)
    shop.provider.decide(report.reference)

    # What the message says is not believed: nobody knows how it is meant.
    answer = await told(api, replace(report, captured=1), kind)

    assert answer.status_code == 204
    order = (await api.get(path)).json()
    assert (order["status"], order["totals"]["captured"]) == ("confirmed", 0)


async def test_a_message_of_an_unknown_kind_about_nothing_of_ours_is_taken(
    api: Api, shop: Shop
) -> None:
    _, report = await pending(api)
    shop.provider.unavailable = True

    for reference in ("payout-1", "x:1"):
        stranger = replace(report, reference=reference)
        assert (await told(api, stranger, "paid_out")).status_code == 204


async def test_a_message_of_an_unknown_kind_comes_again_if_its_payment_cannot_be_looked_up(
    api: Api, shop: Shop
) -> None:
    path, report = await pending(api)
    shop.provider.decide(report.reference)
    shop.provider.unavailable = True
    assert_problem(await told(api, report, "exploded"), 503, "payment-unavailable")

    shop.provider.unavailable = False
    assert (await told(api, report, "exploded")).status_code == 204

    assert (await api.get(path)).json()["status"] == "confirmed"


async def test_refuses_a_message_that_is_too_large(api: Api) -> None:
    _, report = await pending(api)
    headers, _ = a_webhook(report, "authorized", at=int(NOW.timestamp()))

    answer = await api.call(
        "POST", "/payment-events", raw=b" " * 1_048_577, who=None, headers=headers
    )

    assert_problem(answer, 413, "body-too-large")


async def test_says_503_when_a_message_cannot_be_stored_so_that_it_comes_again(
    api: Api, shop: Shop
) -> None:
    path, report = await pending(api)
    report = shop.provider.decide(report.reference)
    shop.stored.unavailable = True

    assert_problem(await told(api, report, "authorized"), 503, "store-unavailable")
    shop.stored.unavailable = False
    shop.clock.advance(timedelta(seconds=5))
    assert (await told(api, report, "authorized")).status_code == 204
    assert (await api.get(path)).json()["status"] == "confirmed"
