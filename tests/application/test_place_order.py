"""Placing: stored once per key before anyone is asked to pay, and paid for once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orders.application.access import Operation
from orders.application.errors import (
    Forbidden,
    PaymentUnavailable,
    RequestInProgress,
    RequestKeyReused,
    StoreUnavailable,
)
from orders.application.place_order import InitialPayment
from orders.domain.errors import InvalidValue, TotalChanged
from orders.domain.lifecycle import OrderPaymentStatus, OrderStatus
from orders.domain.payments import OPERATION_LEASE, PaymentStatus
from tests.support.orders import NOW, a_draft
from tests.support.shop import Shop, a_request


async def test_the_order_is_stored_with_its_call_before_the_payment_service_is_asked(
    shop: Shop,
) -> None:
    seen = []

    async def look(name: str) -> None:
        (order,) = [kept.state for kept in shop.stored._kept.values()]
        seen.append((name, order.version, [call.key for call in order.ledger.operations]))

    shop.payments.before = look
    answer = await shop.place(method="tok_ok")

    assert seen == [("authorize", 1, [f"{answer.order.id}:1"])]
    assert answer.order.version == 2
    assert answer.order.state.ledger.operations == ()
    assert answer.order.status is OrderStatus.CONFIRMED


async def test_the_method_is_forgotten_once_the_payment_is_settled(shop: Shop) -> None:
    settled = (await shop.place(method="tok_ok", key="a")).order
    pending = (await shop.place(method="tok_pending", key="b")).order

    assert settled.state.ledger.payments[0].method is None
    assert pending.state.ledger.payments[0].method == "tok_pending"


async def test_asks_for_exactly_what_is_due(shop: Shop) -> None:
    order = (await shop.place(method="tok_ok", capture=True)).order

    report = await shop.provider.find(f"{order.id}:1")
    assert report is not None
    assert (report.amount.minor, report.amount.currency) == (4_300, "EUR")


async def test_nothing_is_asked_for_an_order_that_could_not_be_stored(shop: Shop) -> None:
    shop.stored.unavailable = True

    with pytest.raises(StoreUnavailable):
        await shop.place(method="tok_ok")

    assert shop.provider.calls == {}


async def test_an_unknown_outcome_is_the_truth_until_a_worker_knows_better(shop: Shop) -> None:
    shop.provider.unavailable = True
    order = (await shop.place(method="tok_ok")).order
    assert order.state.payment_status is OrderPaymentStatus.PENDING
    await shop.work(rounds=2)
    assert (await shop.see(order.id)).state.payment_status is OrderPaymentStatus.PENDING

    shop.provider.unavailable = False
    await shop.work()

    stored = await shop.see(order.id)
    assert stored.status is OrderStatus.CONFIRMED
    assert shop.provider.calls == {f"{order.id}:1": 1}


@pytest.mark.parametrize("method", [None, "tok_ok", "tok_declined", "tok_timeout_booked"])
async def test_the_same_key_is_the_same_order(shop: Shop, method: str | None) -> None:
    first = await shop.place(method=method)
    again = await shop.place(method=method)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.order.state == first.order.state
    assert list(shop.provider.calls.values()) == ([1] if method else [])
    assert await shop.count() == 1


async def test_the_same_key_with_another_body_is_refused(shop: Shop) -> None:
    place_order = shop.container.place_order()
    for body, draft in (("a", a_draft()), ("b", a_draft(note="another"))):
        request = a_request("sue", key="k", body=body)
        placing = place_order(draft, customer_id=None, payment=None, request=request)
        if body == "a":
            await placing
        else:
            with pytest.raises(RequestKeyReused):
                await placing

    assert await shop.count() == 1


async def test_a_repetition_is_refused_while_the_first_request_may_be_running(shop: Shop) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: str) -> None:
        arrived.set()
        await go_on.wait()

    shop.payments.before = wait
    async with asyncio.TaskGroup() as group:
        first = group.create_task(shop.place(method="tok_ok"))
        await arrived.wait()
        with pytest.raises(RequestInProgress):
            await shop.place(method="tok_ok")
        shop.clock.advance(OPERATION_LEASE)
        late = await shop.place(method="tok_ok")
        assert late.replayed
        assert late.order.state.payment_status is OrderPaymentStatus.PENDING
        go_on.set()

    assert first.result().order.status is OrderStatus.CONFIRMED
    assert shop.provider.calls == {f"{late.order.id}:1": 1}


async def test_cancelling_the_client_leaves_the_call_to_a_worker(shop: Shop) -> None:
    arrived = asyncio.Event()

    async def never(_: str) -> None:
        arrived.set()
        await asyncio.Event().wait()

    shop.payments.after = never
    first = asyncio.create_task(shop.place(method="tok_ok"))
    await arrived.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    shop.payments.after = None
    await shop.work()

    again = await shop.place(method="tok_ok")
    assert again.replayed
    assert again.order.status is OrderStatus.CONFIRMED
    assert shop.provider.calls == {f"{again.order.id}:1": 1}


async def test_a_cancellation_during_the_payment_leaves_no_money_behind(shop: Shop) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait(name: str) -> None:
        if name == "authorize":
            arrived.set()
            await go_on.wait()

    shop.payments.after = wait
    async with asyncio.TaskGroup() as group:
        placing = group.create_task(shop.place(method="tok_ok", capture=True))
        await arrived.wait()
        (order_id,) = shop.stored._kept
        cancelled = await shop.change(
            order_id, Operation.CANCEL, lambda order, **who: order.cancel("customer", **who)
        )
        assert cancelled.order.status is OrderStatus.CANCELLED
        go_on.set()

    order = placing.result().order
    assert order.status is OrderStatus.CANCELLED
    assert (order.state.totals.captured, order.state.totals.net) == (4_300, 0)
    report = await shop.provider.find(f"{order_id}:1")
    assert report is not None
    assert (report.captured, report.refunded) == (4_300, 4_300)
    assert shop.provider.calls == {f"{order_id}:1": 1, f"{order_id}:refund:1": 1}


async def test_an_answer_about_another_amount_is_left_to_a_person(shop: Shop) -> None:
    async def change_the_books(name: str) -> None:
        for account in shop.provider._accounts.values():
            amount = replace(account.report.amount, minor=1)
            account.report = replace(account.report, amount=amount)

    async def lose_the_answer(name: str) -> None:
        await change_the_books(name)
        raise PaymentUnavailable("the answer was lost")

    shop.payments.after = lose_the_answer
    order = (await shop.place(method="tok_ok")).order
    shop.payments.after = None
    await shop.work(rounds=3)

    stored = await shop.see(order.id)
    assert stored.status is OrderStatus.PENDING
    assert stored.state.ledger.payments[0].status is PaymentStatus.REVIEW
    assert [hold.reason for hold in stored.state.open_holds] == ["payment-mismatch"]
    assert shop.provider.calls == {f"{order.id}:1": 1}


async def test_refuses_before_it_stores_or_asks(shop: Shop) -> None:
    with pytest.raises(InvalidValue):
        await shop.place(a_draft(lines=()), method="tok_ok")
    with pytest.raises(TotalChanged):
        await shop.place(a_draft(expected_total=1), method="tok_ok")
    with pytest.raises(Forbidden):
        await shop.place(who="ada", customer_id="bob", method="tok_ok")
    with pytest.raises(Forbidden):
        await shop.place(who="wes", method="tok_ok")

    assert await shop.count() == 0
    assert shop.provider.calls == {}


@pytest.mark.parametrize("method", ["", "4111111111111111", "a b", "x" * 129, "tok\n"])
def test_a_payment_method_is_a_token(method: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        InitialPayment(method=method)

    assert refusal.value.field == "payment/method"


async def test_orders_end_when_their_time_to_pay_is_over(shop: Shop) -> None:
    order = (await shop.place()).order

    assert order.state.created_at == NOW
    assert order.state.expires_at == NOW + shop.container.expire_after()


async def test_a_placing_whose_outcome_others_keep_from_being_stored_is_finished_by_a_worker(
    shop: Shop,
) -> None:
    async def interfere(name: str) -> None:
        if name == "save":
            (order_id,) = shop.stored._kept
            await shop.stored.save(await shop.see(order_id))

    shop.orders.before = interfere
    first = await shop.place(method="tok_ok")
    assert first.order.state.payment_status == "pending"
    shop.orders.before = None
    await shop.work()

    again = await shop.place(method="tok_ok")
    assert again.replayed
    assert again.order.status is OrderStatus.CONFIRMED
    assert shop.provider.calls == {f"{again.order.id}:1": 1}
