"""What an order is placed with: its time to pay, its first holds, and who confirms it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orders.domain.identifiers import OrderId
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus
from tests.support.api import Api, assert_nothing_happened, assert_problem, id_of
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook, some_settings

DAYS = 30
"""The longest time to pay by default."""


async def work_is_due(shop: Shop, order_id: OrderId) -> None:
    """A worker does what is due."""
    assert await shop.container.process_scheduled_work().claim(limit=10) == [order_id]
    await shop.container.process_scheduled_work()(order_id)


# -- the time to pay ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "expires_at"),
    [
        ({"pay_within_seconds": 1}, "2026-03-01T12:00:01Z"),
        ({"pay_within_seconds": DAYS * 86_400}, "2026-03-31T12:00:00Z"),
        ({"expires_at": "2026-03-01T12:00:00.001Z"}, "2026-03-01T12:00:00.001000Z"),
        ({"expires_at": "2026-03-01T12:00:00.001999Z"}, "2026-03-01T12:00:00.001000Z"),
        ({"expires_at": "2026-03-31T14:00:00+02:00"}, "2026-03-31T12:00:00Z"),
        ({"expires_at": None, "pay_within_seconds": None}, "2026-03-02T12:00:00Z"),
    ],
    ids=str,
)
async def test_an_order_states_its_time_to_pay(
    api: Api, stated: dict[str, Any], expires_at: str
) -> None:
    order = await api.placed(**stated)
    assert order["expires_at"] == expires_at
    assert (await api.get(f"/orders/{order['id']}")).json()["expires_at"] == expires_at


async def test_an_order_expires_at_its_own_time(api: Api, shop: Shop) -> None:
    order = await api.placed(pay_within_seconds=90)
    shop.clock.advance(timedelta(seconds=90))
    await work_is_due(shop, id_of(order))
    assert (await api.get(f"/orders/{order['id']}")).json()["status"] == "expired"


@pytest.mark.parametrize(
    ("stated", "code", "pointer"),
    [
        ({"pay_within_seconds": 0}, "invalid-value", "/pay_within_seconds"),
        ({"pay_within_seconds": -1}, "invalid-value", "/pay_within_seconds"),
        ({"pay_within_seconds": DAYS * 86_400 + 1}, "invalid-value", "/pay_within_seconds"),
        ({"pay_within_seconds": 2**62}, "invalid-value", "/pay_within_seconds"),
        ({"expires_at": "2026-03-01T12:00:00Z"}, "expiry-passed", "/expires_at"),
        ({"expires_at": "2026-03-01T12:00:00.000999Z"}, "expiry-passed", "/expires_at"),
        ({"expires_at": "2026-02-28T12:00:00Z"}, "expiry-passed", "/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expiry-passed", "/expires_at"),
        ({"expires_at": "2026-03-31T12:00:00.001Z"}, "invalid-value", "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "invalid-value", "/expires_at"),
        ({"expires_at": "2026-03-02T12:00:00"}, "invalid-value", "/expires_at"),
        (
            {"expires_at": "2026-03-02T12:00:00Z", "pay_within_seconds": 60},
            "invalid-value",
            "/pay_within_seconds",
        ),
    ],
    ids=str,
)
async def test_a_time_to_pay_that_cannot_be_is_refused(
    api: Api, shop: Shop, stated: dict[str, Any], code: str, pointer: str
) -> None:
    problem = assert_problem(await api.place(**stated), 422, code)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    await assert_nothing_happened(shop)


async def test_the_longest_time_to_pay_is_a_setting(api: Api, shop: Shop) -> None:
    with shop.container.settings.override(some_settings(max_pay_within_seconds=60)):
        assert_problem(await api.place(pay_within_seconds=61), 422, "invalid-value")
        assert_problem(await api.place(expires_at="2026-03-01T12:01:01Z"), 422, "invalid-value")
        order = await api.placed()
    assert order["expires_at"] == "2026-03-02T12:00:00Z", "what nobody stated is not refused"


async def test_a_repeated_request_shows_its_order_when_its_time_is_over(
    api: Api, shop: Shop
) -> None:
    first = await api.place(key="k", expires_at="2026-03-01T12:01:00Z")
    shop.clock.advance(timedelta(minutes=2))
    again = await api.place(key="k", expires_at="2026-03-01T12:01:00Z")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert_problem(await api.place(expires_at="2026-03-01T12:01:00Z"), 422, "expiry-passed")


async def test_half_paid_and_given_back_expires_at_its_time(api: Api, shop: Shop) -> None:
    order = await api.placed(pay_within_seconds=3_600)
    path = f"/orders/{order['id']}"
    half = {"method": "tok_ok", "amount": 2_000, "capture": True}
    await api.done(f"{path}/payments", half, who="ada")
    taken = (await shop.see(id_of(order))).state.ledger.payments[0]
    back = PaymentReport(
        provider_id=str(taken.provider_id),
        reference=f"{order['id']}:1",
        status=ProviderStatus.CAPTURED,
        amount=Money(2_000, "EUR"),
        captured=2_000,
        refunded=2_000,
    )
    message = a_webhook(back, "refunded", at=int(NOW.timestamp()))
    assert await shop.container.record_payment_event()(*message)

    await shop.work(after=timedelta(seconds=3_599))
    assert (await api.get(path)).json()["status"] == "pending"
    await shop.work(after=timedelta(seconds=1))
    ended = (await api.get(path)).json()
    assert (ended["status"], ended["totals"]["outstanding"]) == ("expired", 0)


# -- holds --------------------------------------------------------------------------------------


async def test_an_order_is_held_from_the_start(api: Api, shop: Shop) -> None:
    order = await api.placed(
        who="sue", holds=["fraud-review", "address"], payment={"method": "tok_ok"}
    )
    assert (order["status"], order["payment_status"]) == ("pending", "authorized")
    assert [hold["reason"] for hold in order["holds"]] == ["fraud-review", "address"]
    assert (await shop.history(id_of(order)))[:3] == ["OrderCreated", "OrderHeld", "OrderHeld"]

    path = f"/orders/{order['id']}/holds"
    assert (await api.done(f"{path}/1/release"))["status"] == "pending"
    assert (await api.done(f"{path}/2/release"))["status"] == "confirmed"


@pytest.mark.parametrize("who", ["ada", "till", "writer"])
async def test_who_may_not_hold_an_order_places_none_on_hold(
    api: Api, shop: Shop, who: str
) -> None:
    assert_problem(await api.place(who=who, holds=["fraud-review"]), 403, "forbidden")
    await assert_nothing_happened(shop)
    assert (await api.placed(who=who, holds=[]))["holds"] == []


@pytest.mark.parametrize(
    "holds", [["Not a code"], [""], ["a", "a"], [f"h{n}" for n in range(21)]], ids=str
)
async def test_holds_that_are_no_reasons_are_refused(
    api: Api, shop: Shop, holds: list[str]
) -> None:
    assert_problem(await api.place(who="sue", holds=holds), 422, "invalid-value")
    await assert_nothing_happened(shop)


# -- confirmation -------------------------------------------------------------------------------


async def test_an_order_with_manual_confirmation_waits_for_staff(api: Api) -> None:
    paid = {"payment": {"method": "tok_ok"}}
    order = await api.placed(who="sue", confirmation="manual", **paid)
    path = f"/orders/{order['id']}"
    assert (order["status"], order["confirmation"]) == ("pending", "manual")
    assert (order["payment_status"], order["totals"]["authorized"]) == ("authorized", 4_000)
    packed = await api.post(f"{path}/shipments", {"items": []}, who="wes")
    assert_problem(packed, 409, "illegal-transition")
    actions = (await api.get(f"{path}/actions", who="sue")).json()["items"]
    assert {a["action"]: a["allowed"] for a in actions}["confirm"] is True

    assert (await api.done(f"{path}/confirm", who="sue"))["status"] == "confirmed"
    assert (await api.placed(**paid))["confirmation"] == "automatic"


async def test_staff_cannot_confirm_what_nobody_pays(api: Api) -> None:
    order = await api.placed(who="sue", confirmation="manual")
    refused = await api.post(f"/orders/{order['id']}/confirm", who="sue")
    assert_problem(refused, 409, "payment-not-covered")


@pytest.mark.parametrize("who", ["ada", "till"])
async def test_who_may_not_confirm_orders_leaves_none_to_staff(
    api: Api, shop: Shop, who: str
) -> None:
    assert_problem(await api.place(who=who, confirmation="manual"), 403, "forbidden")
    await assert_nothing_happened(shop)
    assert (await api.placed(who=who, confirmation="automatic"))["status"] == "pending"


async def test_a_confirmation_of_another_kind_is_refused(api: Api, shop: Shop) -> None:
    assert_problem(await api.place(who="sue", confirmation="later"), 422, "invalid-value")
    await assert_nothing_happened(shop)
