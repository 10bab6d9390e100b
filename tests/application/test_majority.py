"""Nothing is acknowledged that the store may still lose: not when it is asked again, either."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from orders.application.access import Operation
from orders.application.errors import StoreUnavailable
from orders.application.propose_change import ProposedChange
from orders.domain.identifiers import derive_order_id
from orders.domain.lines import DraftLine
from orders.domain.order.order import Order
from orders.domain.payments import ProviderStatus
from tests.support.orders import NOW
from tests.support.shop import TENANT, Shop, a_request, a_webhook

ORDER: Final = derive_order_id(tenant=TENANT, subject="sue", request_key="key-1")

Send = Callable[[Shop], Awaitable[Any]]


async def place(shop: Shop) -> Any:
    return await shop.place()


async def note(shop: Shop) -> Any:
    def tell(order: Order, **who: Any) -> None:
        order.add_note("Called", **who)

    return await shop.change(ORDER, Operation.ADD_NOTE, tell, key="note")


async def note_once(shop: Shop) -> Any:
    """A command that finds its work done, without a key that says whose it was."""

    def tell(order: Order, **who: Any) -> None:
        if not order.state.notes:
            order.add_note("Called", **who)

    return await shop.change(ORDER, Operation.ADD_NOTE, tell)


async def propose(shop: Shop) -> Any:
    lamp = DraftLine(sku="LAMP", name="Lamp", quantity=1)
    wish = ProposedChange(removed={}, added=[lamp], reason="customer")
    answer = await shop.container.propose_change()(ORDER, wish, request=a_request("sue", key="c"))
    (change,) = answer.order.state.changes
    assert [line.sku for line in change.added] == ["LAMP"]
    return answer


async def hear(shop: Shop) -> Any:
    report = await shop.provider.find(f"{ORDER}:1")
    assert report is not None
    captured = replace(report, status=ProviderStatus.CAPTURED, captured=4_300)
    headers, body = a_webhook(captured, "captured", at=int(NOW.timestamp()))
    return await shop.container.record_payment_event()(headers, body)


SENT: Mapping[str, tuple[Send, Callable[[Order], object]]] = {
    "placing": (place, lambda order: True),
    "a command with its key": (note, lambda order: len(order.state.notes) == 1),
    "a command that is done already": (note_once, lambda order: len(order.state.notes) == 1),
    "a proposal": (propose, lambda order: len(order.state.changes) == 1),
    "a message": (hear, lambda order: order.state.totals.captured == 4_300),
}


@pytest.mark.parametrize("undone", [False, True], ids=["kept", "undone"])
@pytest.mark.parametrize("sent", SENT)
async def test_is_acknowledged_once_it_is_safe(shop: Shop, sent: str, undone: bool) -> None:
    send, is_done = SENT[sent]
    if send is not place:
        await shop.place(method="tok_pending")
    shop.stored.lose_majority()

    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await send(shop)

    assert is_done(await shop.see(ORDER)), "the first try has reached one server"
    shop.stored.regain_majority(undone=undone)
    assert await send(shop)
    assert is_done(await shop.see(ORDER))
    assert await shop.count() == 1


async def test_a_proposal_is_priced_anew_where_the_first_was_undone_meanwhile(shop: Shop) -> None:
    """What was read as answered, so that no line was priced, is not when it is decided on."""
    await shop.place()
    shop.stored.lose_majority()
    with pytest.raises(StoreUnavailable):
        await propose(shop)

    calls: list[str] = []

    async def undo(name: str) -> None:
        calls.append(name)
        if len(calls) == 2:
            shop.stored.regain_majority(undone=True)

    shop.orders.before = undo
    # A version that is gone for good is not waited for: whoever asks comes back.
    with pytest.raises(StoreUnavailable):
        await propose(shop)

    shop.orders.before = None
    await propose(shop)
    assert (await shop.history(ORDER)).count("OrderChangeProposed") == 1


async def test_an_outcome_that_another_has_stored_is_told_once_it_is_safe(shop: Shop) -> None:
    """A webhook is faster than the answer, and reaches one server only."""

    async def hear_first(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            shop.stored.lose_majority()
            with pytest.raises(StoreUnavailable):
                await hear(shop)

    shop.orders.before = hear_first
    answer = await shop.place(method="tok_ok", capture=True)

    assert (await shop.see(ORDER)).state.totals.captured == 4_300
    assert (answer.order.version, answer.order.state.totals.captured) == (1, 0)
    shop.stored.regain_majority(undone=True)
    assert (await shop.see(ORDER)).state == answer.order.state


async def test_a_call_that_one_server_has_reserved_is_not_made_before_it_is_safe(
    shop: Shop,
) -> None:
    def pay(order: Order, **who: Any) -> None:
        order.start_payment("tok_ok", **who)

    await shop.place()
    shop.stored.lose_majority()
    with pytest.raises(StoreUnavailable):
        await shop.change(ORDER, Operation.PAY, pay)
    shop.clock.advance(timedelta(minutes=5))

    await shop.container.process_scheduled_work()(ORDER)  # claimed before

    assert shop.provider.calls == {}
    shop.stored.regain_majority(undone=False)
    await shop.container.process_scheduled_work()(ORDER)
    assert (await shop.see(ORDER)).state.totals.authorized == 4_300


async def test_what_was_decided_on_a_version_that_is_undone_is_decided_anew(shop: Shop) -> None:
    """Also where another write has made that version meanwhile."""

    async def undo(name: str) -> None:
        if name == "save":
            shop.orders.before = None
            shop.stored.regain_majority(undone=True)
            await shop.change(
                ORDER, Operation.HOLD, lambda order, **who: order.hold("fraud", **who)
            )

    await shop.place()
    shop.stored.lose_majority()
    with pytest.raises(StoreUnavailable):
        await note(shop)
    shop.orders.before = undo

    def tell(order: Order, **who: Any) -> None:
        order.add_note("Again", **who)

    answer = await shop.change(ORDER, Operation.ADD_NOTE, tell)

    assert answer.order.version == 3
    stored = (await shop.see(ORDER)).state
    assert ([each.text for each in stored.notes], len(stored.holds)) == (["Again"], 1)
    assert await shop.history(ORDER) == ["OrderCreated", "OrderHeld", "NoteAdded"]
