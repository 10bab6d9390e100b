"""What time asks for: unpaid orders end, unknown outcomes become known, late money goes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orders.application.access import Operation
from orders.application.errors import PaymentNotAttempted, PaymentUnavailable, StoreUnavailable
from orders.application.process_scheduled_work import WORK_LEASE
from orders.application.update_order import TRIES
from orders.domain.errors import IllegalTransition
from orders.domain.lifecycle import OrderPaymentStatus, OrderStatus
from orders.domain.order.order import Order
from orders.domain.payments import (
    NOT_ATTEMPTED_RETRY_SECONDS,
    OPERATION_LEASE,
    PENDING_POLL_SECONDS,
    UNKNOWN_OUTCOME_RETRY_SECONDS,
)
from tests.support.orders import NOW
from tests.support.shop import Shop

A_DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def pay(order: Order, **who: Any) -> None:
    order.start_payment("tok_ok", capture=True, **who)


def cancel(order: Order, **who: Any) -> None:
    order.cancel("customer", **who)


# -- expiry -------------------------------------------------------------------------------------


async def test_ends_an_order_at_the_end_of_its_time_and_not_before(shop: Shop) -> None:
    order = (await shop.place()).order

    await shop.work(after=A_DAY - SECOND)
    assert (await shop.see(order.id)).status is OrderStatus.PENDING
    await shop.work(after=SECOND)

    ended = await shop.see(order.id)
    assert ended.status is OrderStatus.EXPIRED
    assert ended.state.totals.due == 0
    assert await shop.history(order.id) == ["OrderCreated", "OrderExpired"]
    assert await shop.container.process_scheduled_work().claim(limit=10) == []


async def test_does_not_end_an_order_that_is_paid_for_and_held(shop: Shop) -> None:
    order = (await shop.place()).order
    await shop.change(order.id, Operation.HOLD, lambda order, **who: order.hold("fraud", **who))
    await shop.change(
        order.id, Operation.PAY, lambda order, **who: order.start_payment("tok_ok", **who)
    )

    await shop.work(rounds=3, after=A_DAY)

    ended = await shop.see(order.id)
    assert (ended.status, ended.state.payment_status) == (OrderStatus.PENDING, "authorized")


@pytest.mark.parametrize(("method", "amount"), [("tok_pending", None), ("tok_ok", 1)])
async def test_calls_off_what_has_not_paid_for_an_order_before_it_ends(
    shop: Shop, method: str, amount: int | None
) -> None:
    order = (await shop.place()).order
    await shop.change(
        order.id,
        Operation.PAY,
        lambda order, **who: order.start_payment(method, amount=amount, **who),
    )

    await shop.work(rounds=2, after=A_DAY)

    ended = await shop.see(order.id)
    assert (ended.status, ended.state.payment_status) == (OrderStatus.EXPIRED, "voided")
    assert (ended.state.totals.authorized, ended.state.next_action_at) == (0, None)
    assert shop.provider.calls[f"{order.id}:1:void:1"] == 1


async def test_a_payment_that_cannot_be_called_off_keeps_its_order_from_ending(shop: Shop) -> None:
    order = (await shop.place(method="tok_pending")).order
    shop.provider.unavailable = True
    await shop.work(rounds=3, after=A_DAY)
    assert (await shop.see(order.id)).status is OrderStatus.PENDING

    shop.provider.unavailable = False
    await shop.work(rounds=3, after=timedelta(minutes=1))

    assert (await shop.see(order.id)).status is OrderStatus.EXPIRED


async def test_ends_an_order_whose_payment_was_declined(shop: Shop) -> None:
    order = (await shop.place(method="tok_declined")).order

    await shop.work(after=A_DAY)

    assert (await shop.see(order.id)).status is OrderStatus.EXPIRED


async def test_an_outcome_that_becomes_known_as_a_no_lets_the_order_end(shop: Shop) -> None:
    shop.provider.unavailable = True
    order = (await shop.place(method="tok_declined")).order
    await shop.work(after=2 * A_DAY)
    assert (await shop.see(order.id)).status is OrderStatus.PENDING

    shop.provider.unavailable = False
    await shop.work(rounds=2)

    assert (await shop.see(order.id)).status is OrderStatus.EXPIRED
    assert shop.provider.calls == {f"{order.id}:1": 1}


async def test_a_payment_that_comes_before_the_end_wins(shop: Shop) -> None:
    order = (await shop.place()).order

    async def pay_first(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            await shop.change(order.id, Operation.PAY, pay)

    shop.orders.before = pay_first
    await shop.work(after=A_DAY)

    stored = await shop.see(order.id)
    assert (stored.status, stored.state.totals.captured) == (OrderStatus.CONFIRMED, 4_300)


async def test_a_payment_that_comes_after_the_end_is_refused(shop: Shop) -> None:
    order = (await shop.place()).order
    shop.clock.advance(A_DAY)

    async def end_first(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            await shop.container.process_scheduled_work()(order.id)

    shop.orders.before = end_first
    with pytest.raises(IllegalTransition):
        await shop.change(order.id, Operation.PAY, pay)

    assert (await shop.see(order.id)).status is OrderStatus.EXPIRED
    assert shop.provider.calls == {}


# -- outcomes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "calls", "status"),
    [
        ("tok_timeout_booked", 1, OrderPaymentStatus.AUTHORIZED),
        ("tok_timeout_unbooked", 2, OrderPaymentStatus.AUTHORIZED),
        ("tok_flaky", 3, OrderPaymentStatus.AUTHORIZED),
    ],
)
async def test_finds_out_what_became_of_a_payment_with_the_key_it_has(
    shop: Shop, method: str, calls: int, status: OrderPaymentStatus
) -> None:
    order = (await shop.place(method=method)).order

    await shop.work(rounds=3)

    assert (await shop.see(order.id)).state.payment_status is status
    assert shop.provider.calls == {f"{order.id}:1": calls}


async def test_looks_again_ever_more_rarely_but_for_ever(shop: Shop) -> None:
    shop.provider.unavailable = True
    order = (await shop.place(method="tok_ok")).order
    waits = []

    for _ in range(9):
        due_at = (await shop.see(order.id)).state.next_action_at
        assert due_at is not None
        waits.append((due_at - shop.clock()).total_seconds())
        await shop.work(after=due_at - shop.clock() - SECOND / 1000)
        assert (await shop.see(order.id)).state.next_action_at == due_at
        await shop.work(after=SECOND / 1000)

    assert waits == [*UNKNOWN_OUTCOME_RETRY_SECONDS, 15, 15, 15, 15]


async def test_bothers_a_payment_service_that_has_not_decided_ever_more_rarely(shop: Shop) -> None:
    order = (await shop.place(method="tok_pending")).order
    waits = []

    for _ in range(9):
        due_at = (await shop.see(order.id)).state.next_action_at
        assert due_at is not None
        waits.append((due_at - shop.clock()).total_seconds())
        await shop.work(after=due_at - shop.clock())

    assert waits == [*PENDING_POLL_SECONDS, 60, 60]


async def test_a_call_that_was_not_made_is_made_soon_however_often_it_was_not(shop: Shop) -> None:
    shop.payments.before = _do_not_ask
    order = (await shop.place(method="tok_ok", key="k")).order
    assert (await shop.place(method="tok_ok", key="k")).replayed, "the request is over"

    for _ in range(9):
        due_at = (await shop.see(order.id)).state.next_action_at
        assert due_at is not None
        assert due_at - shop.clock() <= OPERATION_LEASE
        await shop.work(after=due_at - shop.clock())
    shop.payments.before = None
    await shop.work(after=timedelta(seconds=NOT_ATTEMPTED_RETRY_SECONDS))

    assert (await shop.see(order.id)).status is OrderStatus.CONFIRMED
    assert shop.provider.calls == {f"{order.id}:1": 1}


@pytest.mark.parametrize(
    ("method", "capture", "key"), [("tok_ok", True, "refund:1"), ("tok_ok", False, "1:void:1")]
)
async def test_gives_back_what_could_not_be_given_back_at_once(
    shop: Shop, method: str, capture: bool, key: str
) -> None:
    order = (await shop.place(method=method, capture=capture)).order
    shop.provider.unavailable = True
    cancelled = (await shop.change(order.id, Operation.CANCEL, cancel)).order
    assert len(cancelled.state.ledger.operations) == 1
    await shop.work()

    shop.provider.unavailable = False
    await shop.work(rounds=2)

    stored = await shop.see(order.id)
    assert stored.state.ledger.operations == ()
    assert (stored.state.totals.authorized, stored.state.totals.net) == (0, 0)
    assert shop.provider.calls[f"{order.id}:{key}"] == 1


async def test_a_payment_that_turns_up_after_the_cancellation_is_given_back(shop: Shop) -> None:
    shop.payments.after = _lose_the_answer
    order = (await shop.place(method="tok_ok", capture=True)).order
    shop.payments.after = None
    await shop.change(order.id, Operation.CANCEL, cancel)

    await shop.work()

    stored = await shop.see(order.id)
    assert stored.status is OrderStatus.CANCELLED
    assert stored.state.payment_status is OrderPaymentStatus.REFUNDED
    assert await shop.history(order.id) == [
        "OrderCreated",
        "PaymentStarted",
        "OrderCancelled",
        "PaymentCaptured",
        "PaymentReceivedLate",
        "RefundRequested",
        "PaymentRefunded",
        "RefundSucceeded",
    ]
    assert shop.provider.calls == {f"{order.id}:1": 1, f"{order.id}:refund:1": 1}


async def _do_not_ask(name: str) -> None:
    raise PaymentNotAttempted("the payment service fails")


async def _lose_the_answer(name: str) -> None:
    raise PaymentUnavailable("the answer was lost")


# -- workers ------------------------------------------------------------------------------------


async def test_two_workers_never_have_the_same_order(shop: Shop) -> None:
    ids = [(await shop.place(key=f"key-{n}")).order.id for n in range(10)]
    shop.clock.advance(A_DAY)
    process_scheduled_work = shop.container.process_scheduled_work()

    first = await process_scheduled_work.claim(limit=6)
    second = await process_scheduled_work.claim(limit=6)

    assert (len(first), len(second)) == (6, 4)
    assert {*first, *second} == {*ids}
    shop.clock.advance(WORK_LEASE)
    assert len(await process_scheduled_work.claim(limit=100)) == 10


async def test_doing_it_twice_is_doing_it_once(shop: Shop) -> None:
    order = (await shop.place(method="tok_timeout_booked")).order
    shop.clock.advance(A_DAY)
    process_scheduled_work = shop.container.process_scheduled_work()

    await process_scheduled_work(order.id)
    after = (await shop.see(order.id)).state
    await process_scheduled_work(order.id)

    assert (await shop.see(order.id)).state == after
    assert shop.provider.calls == {f"{order.id}:1": 1}


async def test_an_order_that_others_keep_changing_is_left_for_later(shop: Shop) -> None:
    order = (await shop.place(method="tok_timeout_booked")).order
    saves = []

    async def interfere(name: str) -> None:
        if name == "save":
            saves.append(name)
            await shop.stored.save(await shop.see(order.id))

    shop.orders.before = interfere
    await shop.work()
    assert len(saves) == TRIES
    assert (await shop.see(order.id)).state.payment_status is OrderPaymentStatus.PENDING

    shop.orders.before = None
    await shop.work()
    assert (await shop.see(order.id)).status is OrderStatus.CONFIRMED


async def test_an_order_that_is_not_there_is_no_work(shop: Shop) -> None:
    order = (await shop.place()).order
    shop.clock.advance(A_DAY)
    (claimed,) = await shop.container.process_scheduled_work().claim(limit=1)
    shop.stored._kept.clear()

    await shop.container.process_scheduled_work()(claimed)

    assert claimed == order.id
    assert await shop.count() == 0


async def test_a_lost_store_is_the_workers_to_know(shop: Shop) -> None:
    order = (await shop.place(method="tok_timeout_booked")).order
    shop.stored.unavailable = True

    with pytest.raises(StoreUnavailable):
        await shop.container.process_scheduled_work()(order.id)

    assert shop.clock() == NOW
