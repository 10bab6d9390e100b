"""How often payments of an order, and of a customer, may be declined: then the API says when to try
again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dependency_injector import providers

from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus
from tests.support.api import Api, assert_problem, id_of
from tests.support.orders import NOW
from tests.support.shop import Shop, a_webhook, some_settings

BAD, GOOD = {"method": "tok_declined"}, {"method": "tok_ok"}


async def declined(api: Api, times: int, *, who: str = "ada") -> tuple[str, dict[str, Any]]:
    """The path of an order after so many declined payments, and the order."""
    order = await api.placed(who=who)
    path = f"/orders/{order['id']}"
    for _ in range(times):
        order = await api.done(f"{path}/payments", BAD, who=who)
    return path, order


async def test_thirty_cards_are_refused_from_the_eleventh_on_and_an_hour_later_one_works(
    api: Api, shop: Shop
) -> None:
    path, _ = await declined(api, 0)
    answers = []
    for _ in range(30):
        answers.append(await api.post(f"{path}/payments", BAD))
        shop.clock.advance(timedelta(seconds=10))

    assert [answer.status_code for answer in answers] == [201] * 10 + [409] * 20
    for seconds, answer in enumerate(answers[10:]):
        assert_problem(answer, 409, "too-many-declines")
        assert answer.headers["retry-after"] == str(3_600 - 100 - 10 * seconds)
    assert sum(shop.provider.calls.values()) == 10

    shop.clock.advance(timedelta(seconds=int(answers[-1].headers["retry-after"]) - 10))
    paid = await api.done(f"{path}/payments", GOOD, who="ada")
    assert (paid["status"], paid["payment_status"]) == ("confirmed", "authorized")


async def test_actions_say_that_paying_is_blocked(api: Api) -> None:
    path, _ = await declined(api, 10)
    actions = (await api.get(f"{path}/actions")).json()["items"]
    (pay,) = [each for each in actions if each["action"] == "pay"]
    assert (pay["allowed"], pay["blocked_by"]) == (False, ["too-many-declines"])
    trial = await api.post(f"{path}/payments", GOOD, key=None, dry_run=True)
    assert_problem(trial, 409, "too-many-declines")


async def test_a_repeated_request_counts_once(api: Api) -> None:
    path, _ = await declined(api, 9)
    first = await api.post(f"{path}/payments", BAD, key="same")
    again = [await api.post(f"{path}/payments", BAD, key="same") for _ in range(5)]
    assert {each.headers["idempotency-replayed"] for each in again} == {"true"}
    assert {len(each.json()["payments"]) for each in (first, *again)} == {10}
    assert_problem(await api.post(f"{path}/payments", BAD), 409, "too-many-declines")


# -- of one customer, over all orders -----------------------------------------------------------


@pytest.fixture
def timed(shop: Shop) -> Shop:
    """The shop, with a limiter that goes by the test's clock."""
    limiter = InMemoryRateLimiter(clock=lambda: shop.clock().timestamp())
    shop.container.decline_limiter.override(providers.Object(limiter))
    return shop


async def test_twenty_declines_of_a_customer_stop_their_payments_on_every_order(
    api: Api, timed: Shop
) -> None:
    await declined(api, 10)
    path, _ = await declined(api, 10)
    third = f"/orders/{(await api.placed())['id']}"
    calls = sum(timed.provider.calls.values())

    for refused in (
        await api.post(f"{third}/payments", GOOD),
        await api.post(f"{third}/payments", GOOD, who="sue"),
        await api.post(f"{third}/payments", GOOD, key=None, dry_run=True),
        await api.place(payment=GOOD),
        await api.place(payment=GOOD, dry_run=True),
        await api.place(payment=GOOD, who="sue", customer_id="ada"),
    ):
        assert_problem(refused, 429, "too-many-customer-declines")
        assert refused.headers["retry-after"] == "180"
    assert sum(timed.provider.calls.values()) == calls
    assert await timed.count() == 3
    # What has a limit of its own says so first; whoever pays nothing, or pays for others, goes on.
    assert_problem(await api.post(f"{path}/payments", GOOD), 409, "too-many-declines")
    assert (await api.placed())["payments"] == []
    assert (await api.placed(who="bob", payment=GOOD))["status"] == "confirmed"
    assert (await api.placed(who="sue", payment=GOOD))["status"] == "confirmed"

    timed.clock.advance(timedelta(seconds=180))
    await api.done(f"{third}/payments", BAD, who="ada")
    again = await api.post(f"{third}/payments", GOOD)
    assert_problem(again, 429, "too-many-customer-declines")
    timed.clock.advance(timedelta(hours=1))
    assert (await api.done(f"{third}/payments", GOOD, who="ada"))["status"] == "confirmed"


async def test_a_repeated_placing_shows_its_order_though_payments_are_refused_by_now(
    api: Api, timed: Shop
) -> None:
    first = await api.place(key="k", payment=BAD)
    await declined(api, 9)
    await declined(api, 10)
    again = await api.place(key="k", payment=BAD)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert_problem(await api.place(payment=BAD), 429, "too-many-customer-declines")


async def test_a_decline_counts_once_however_often_it_is_reported(api: Api, timed: Shop) -> None:
    with timed.container.settings.override(some_settings(max_customer_declines=2)):
        order = await api.placed(payment={"method": "tok_pending"})
        pending = (await timed.see(id_of(order))).state.ledger.payments[0]
        no = PaymentReport(
            provider_id=str(pending.provider_id),
            reference=f"{order['id']}:1",
            status=ProviderStatus.DECLINED,
            amount=Money(pending.amount, "EUR"),
            captured=0,
            refunded=0,
            decline_code="do_not_honor",
        )
        for number in range(3):
            at = int(NOW.timestamp())
            message = a_webhook(no, "declined", at=at, message_id=f"msg_{number}")
            assert await timed.container.record_payment_event()(*message)
        await timed.work(rounds=3)

        await declined(api, 1)
        refused = await api.place(payment=GOOD)
        assert_problem(refused, 429, "too-many-customer-declines")


async def test_the_limit_of_a_customer_can_be_turned_off(api: Api, timed: Shop) -> None:
    with timed.container.settings.override(some_settings(max_customer_declines=0)):
        for _ in range(3):
            await declined(api, 10)
        assert (await api.placed(payment=GOOD))["status"] == "confirmed"


async def test_guests_are_nobody_in_particular(api: Api, timed: Shop) -> None:
    for _ in range(3):
        await declined(api, 10, who="sue")
    assert (await api.placed(who="sue", payment=GOOD))["status"] == "confirmed"
