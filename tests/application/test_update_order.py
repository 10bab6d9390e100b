"""The one compare-and-swap loop: what it reads, saves and returns, and how often."""

from __future__ import annotations

import pytest

from orders.application.errors import ConcurrentUpdate, OrderNotFound, StoreUnavailable
from orders.application.update_order import TRIES, update_order
from orders.domain.identifiers import Actor, OrderId
from orders.domain.order.order import Order
from tests.support.orders import CUSTOMER, NOW, an_order_id
from tests.support.shop import Shop

BY: Actor = CUSTOMER


@pytest.fixture
async def order_id(shop: Shop) -> OrderId:
    return (await shop.place()).order.id


def note(order: Order) -> str:
    order.add_note("Called", by=BY, now=NOW)
    return f"decided on version {order.version}"


def nothing(order: Order) -> str:
    return f"decided on version {order.version}"


def calls_of(shop: Shop) -> list[str]:
    calls: list[str] = []

    async def count(name: str) -> None:
        calls.append(name)

    shop.orders.before = count
    return calls


async def test_saves_what_was_decided_and_returns_it(shop: Shop, order_id: OrderId) -> None:
    calls = calls_of(shop)

    updated = await update_order(shop.orders, order_id, note)

    assert calls == ["get", "save"]
    assert (updated.outcome, updated.order.version) == ("decided on version 1", 2)
    assert updated.order.state == (await shop.see(order_id)).state
    assert updated.reserved == ()


async def test_names_the_operations_that_the_decision_reserved(
    shop: Shop, order_id: OrderId
) -> None:
    updated = await update_order(
        shop.orders, order_id, lambda order: order.start_payment("tok_ok", by=BY, now=NOW)
    )
    assert list(updated.reserved) == [f"{order_id}:1"]
    assert shop.provider.calls == {}


async def test_decides_on_a_durable_version_if_nothing_is_to_be_saved(
    shop: Shop, order_id: OrderId
) -> None:
    calls = calls_of(shop)

    updated = await update_order(shop.orders, order_id, nothing)

    assert calls == ["get", "get_durable"]
    assert (updated.outcome, updated.order.version) == ("decided on version 1", 1)


async def test_saves_nothing_that_a_majority_already_has_otherwise(
    shop: Shop, order_id: OrderId
) -> None:
    """The version that was read is undone before it is read durably: it is decided anew, saved."""

    def note_once(order: Order) -> None:
        if not order.state.notes:
            note(order)

    shop.stored.lose_majority()
    with pytest.raises(StoreUnavailable):
        await update_order(shop.orders, order_id, note_once)
    with pytest.raises(StoreUnavailable):
        await update_order(shop.orders, order_id, note_once)
    shop.stored.regain_majority(undone=True)

    updated = await update_order(shop.orders, order_id, note_once)

    assert len(updated.order.state.notes) == 1
    assert (await shop.see(order_id)).state == updated.order.state


async def test_takes_an_order_that_is_known_to_be_durable_without_a_read(
    shop: Shop, order_id: OrderId
) -> None:
    order = await shop.stored.get_durable(order_id)
    calls = calls_of(shop)

    updated = await update_order(shop.orders, order_id, nothing, durable=order)
    assert (calls, updated.order) == ([], order)

    await update_order(shop.orders, order_id, note, durable=order)
    assert calls == ["save"]


async def test_a_lost_race_is_decided_anew_on_what_is_stored_now(
    shop: Shop, order_id: OrderId
) -> None:
    durable = await shop.stored.get_durable(order_id)
    calls: list[str] = []

    async def interfere(name: str) -> None:
        calls.append(name)
        if calls == ["save"]:
            await shop.stored.save(await shop.see(order_id))

    shop.orders.before = interfere

    updated = await update_order(shop.orders, order_id, note, durable=durable)

    assert calls == ["save", "get", "save"]
    assert (updated.outcome, updated.order.version) == ("decided on version 2", 3)
    assert len(updated.order.state.notes) == 1


async def test_after_a_lost_race_nothing_is_returned_that_is_not_durable(
    shop: Shop, order_id: OrderId
) -> None:
    """Whoever was faster did the same work, and only one server has it."""
    durable = await shop.stored.get_durable(order_id)

    def note_once(order: Order) -> None:
        if not order.state.notes:
            note(order)

    async def be_faster(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            shop.stored.lose_majority()
            with pytest.raises(StoreUnavailable):
                await update_order(shop.stored, order_id, note)

    shop.orders.before = be_faster

    with pytest.raises(StoreUnavailable):
        await update_order(shop.orders, order_id, note_once, durable=durable)


@pytest.mark.parametrize("tries", [1, TRIES])
async def test_gives_up_after_lost_races_and_has_saved_nothing(
    shop: Shop, order_id: OrderId, tries: int
) -> None:
    saves: list[str] = []

    async def interfere(name: str) -> None:
        if name == "save":
            saves.append(name)
            await shop.stored.save(await shop.see(order_id))

    shop.orders.before = interfere

    with pytest.raises(ConcurrentUpdate):
        await update_order(shop.orders, order_id, note, tries=tries)

    assert len(saves) == tries
    assert (await shop.see(order_id)).state.notes == ()


async def test_an_order_that_is_not_there_is_told(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        await update_order(shop.orders, an_order_id("another"), note)
