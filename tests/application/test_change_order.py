"""Commands: decided on the order as it is, stored once, repeated on a lost race, then given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orders.application.access import Operation
from orders.application.errors import (
    ConcurrentUpdate,
    Forbidden,
    OrderNotFound,
    RequestKeyReused,
    StaleVersion,
    StoreUnavailable,
)
from orders.application.update_order import TRIES
from orders.domain.errors import IllegalTransition
from orders.domain.identifiers import OrderId
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from tests.support.orders import an_order_id
from tests.support.shop import Shop


def note(order: Order, **who: Any) -> None:
    order.add_note("Called", **who)


def pay(order: Order, **who: Any) -> None:
    order.start_payment("tok_ok", **who)


@pytest.fixture
async def order_id(shop: Shop) -> OrderId:
    return (await shop.place()).order.id


def somebody_else(shop: Shop, order_id: OrderId, *, times: int) -> list[int]:
    """Have someone else change the order before each of the next saves; counts the saves."""
    saves: list[int] = []

    async def interfere(name: str) -> None:
        if name == "save":
            saves.append(len(saves) + 1)
            if len(saves) <= times:
                await shop.stored.save(await shop.see(order_id))

    shop.orders.before = interfere
    return saves


async def test_a_lost_race_is_decided_anew(shop: Shop, order_id: OrderId) -> None:
    saves = somebody_else(shop, order_id, times=TRIES - 1)

    answer = await shop.change(order_id, Operation.ADD_NOTE, note)

    assert len(saves) == TRIES
    assert answer.order.version == 1 + TRIES
    assert len((await shop.see(order_id)).state.notes) == 1
    assert (await shop.history(order_id)) == ["OrderCreated", "NoteAdded"]


async def test_gives_up_after_so_many_lost_races_and_has_changed_nothing(
    shop: Shop, order_id: OrderId
) -> None:
    saves = somebody_else(shop, order_id, times=TRIES)

    with pytest.raises(ConcurrentUpdate):
        await shop.change(order_id, Operation.PAY, pay)

    assert len(saves) == TRIES
    assert (await shop.see(order_id)).state.ledger.payments == ()
    assert (await shop.history(order_id)) == ["OrderCreated"]
    assert shop.provider.calls == {}


async def test_a_decision_on_a_version_is_not_decided_anew_on_another(
    shop: Shop, order_id: OrderId
) -> None:
    somebody_else(shop, order_id, times=1)

    with pytest.raises(StaleVersion) as refusal:
        await shop.change(order_id, Operation.ADD_NOTE, note, if_match=frozenset({1}))

    assert refusal.value.current == 2
    assert (await shop.see(order_id)).state.notes == ()


async def test_a_lost_race_against_a_cancellation_is_refused_for_it(
    shop: Shop, order_id: OrderId
) -> None:
    async def cancel_first(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            await shop.change(
                order_id, Operation.CANCEL, lambda order, **who: order.cancel("staff", **who)
            )

    shop.orders.before = cancel_first

    with pytest.raises(IllegalTransition):
        await shop.change(order_id, Operation.PAY, pay)

    assert shop.provider.calls == {}
    assert (await shop.see(order_id)).status is OrderStatus.CANCELLED


async def test_two_at_once_cannot_pay_the_same_amount_twice(shop: Shop, order_id: OrderId) -> None:
    met = asyncio.Barrier(2)

    async def meet(name: str) -> None:
        if name == "save" and not met.broken and len(shop.provider.calls) == 0:
            await met.wait()
            await met.abort()

    async def meet_once(name: str) -> None:
        try:
            await meet(name)
        except asyncio.BrokenBarrierError:
            return

    shop.orders.before = meet_once
    answers = await asyncio.gather(
        *(shop.change(order_id, Operation.PAY, pay, key=key) for key in ("a", "b")),
        return_exceptions=True,
    )

    (refusal,) = [answer for answer in answers if isinstance(answer, Exception)]
    assert getattr(refusal, "code", None) in {"payment-in-flight", "nothing-due"}
    assert shop.provider.calls == {f"{order_id}:1": 1}
    assert (await shop.see(order_id)).state.totals.authorized == 4_300


async def test_a_key_is_answered_once_and_for_this_command_only(
    shop: Shop, order_id: OrderId
) -> None:
    first = await shop.change(order_id, Operation.ADD_NOTE, note, key="k", body="a")
    again = await shop.change(order_id, Operation.ADD_NOTE, note, key="k", body="a")

    assert (first.replayed, again.replayed) == (False, True)
    assert again.order.state == first.order.state
    with pytest.raises(RequestKeyReused):
        await shop.change(order_id, Operation.ADD_NOTE, note, key="k", body="b")
    other = await shop.change(order_id, Operation.ADD_NOTE, note, key="k", body="b", who="sue")
    assert len(other.order.state.notes) == 2


async def test_a_key_is_not_stored_readably(shop: Shop, order_id: OrderId) -> None:
    await shop.change(order_id, Operation.ADD_NOTE, note, key="very-secret-key")

    assert "very-secret-key" not in str((await shop.see(order_id)).state.requests)


async def test_a_dry_run_decides_and_stores_nothing(shop: Shop, order_id: OrderId) -> None:
    answer = await shop.change(order_id, Operation.PAY, pay, key="k", dry_run=True)

    assert len(answer.order.state.ledger.payments) == 1
    assert (await shop.see(order_id)).version == 1
    assert shop.provider.calls == {}
    assert not (await shop.change(order_id, Operation.PAY, pay, key="k")).replayed


async def test_who_may_do_it_to_no_order_is_told_so_before_anything_is_read(shop: Shop) -> None:
    shop.stored.unavailable = True

    with pytest.raises(Forbidden) as refusal:
        await shop.change(an_order_id(), Operation.CAPTURE, note, who="ada")

    assert refusal.value.operation == "capture"


@pytest.mark.parametrize("who", ["bob", "eve", "boss"])
async def test_an_order_out_of_reach_is_not_there(shop: Shop, order_id: OrderId, who: str) -> None:
    with pytest.raises(OrderNotFound):
        await shop.change(order_id, Operation.EDIT, note, who=who, key="k")

    assert (await shop.see(order_id)).version == 1


async def test_a_store_that_is_away_is_not_asked_again(shop: Shop, order_id: OrderId) -> None:
    tries = []

    async def lose(name: str) -> None:
        if name == "save":
            tries.append(name)
            raise StoreUnavailable("gone")

    shop.orders.before = lose
    with pytest.raises(StoreUnavailable):
        await shop.change(order_id, Operation.PAY, pay)

    assert tries == ["save"]
    assert shop.provider.calls == {}


async def test_a_write_whose_answer_was_lost_is_found_by_the_repetition(
    shop: Shop, order_id: OrderId
) -> None:
    async def lose_the_answer(name: str) -> None:
        if name == "save":
            shop.orders.after = None
            raise StoreUnavailable("gone")

    shop.orders.after = lose_the_answer
    with pytest.raises(StoreUnavailable):
        await shop.change(order_id, Operation.ADD_NOTE, note, key="k")

    again = await shop.change(order_id, Operation.ADD_NOTE, note, key="k")
    assert again.replayed
    assert len(again.order.state.notes) == 1
