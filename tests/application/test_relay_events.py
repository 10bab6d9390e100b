"""Events reach the log once and the broker at least once, each order's in order."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest

from orders.domain.identifiers import OrderId
from tests.shop import Interrupted, Shop

LATER = timedelta(minutes=5)
"""Longer than a claim lasts, and than the relay waits for a broker that is away."""


async def relay_until_nothing_waits(shop: Shop) -> None:
    for _ in range(10):
        shop.clock.advance(LATER)
        await shop.relay()


def published(shop: Shop) -> dict[OrderId, list[int]]:
    """The sequence numbers that the broker got, by order."""
    got: dict[OrderId, list[int]] = defaultdict(list)
    for event in shop.publisher.published:
        got[event.order_id].append(event.recorded.sequence)
    return got


async def logged(shop: Shop, order_id: OrderId) -> list[int]:
    return [event.recorded.sequence for event in await shop.log.timeline(order_id)]


async def test_logs_publishes_and_then_forgets(shop: Shop) -> None:
    order_id = (await shop.place(method="tok_ok")).order.id
    version = (await shop.see(order_id)).version

    await shop.relay()

    assert await logged(shop, order_id) == published(shop)[order_id] == [1, 2, 3, 4]
    assert await shop.stored.waiting_of(order_id) == ()
    assert (await shop.see(order_id)).version == version
    await relay_until_nothing_waits(shop)
    assert published(shop)[order_id] == [1, 2, 3, 4]


async def test_forgets_nothing_that_the_broker_has_not_confirmed(shop: Shop) -> None:
    order_id = (await shop.place(method="tok_ok")).order.id
    shop.publisher.unavailable = True
    await relay_until_nothing_waits(shop)
    assert len(await shop.stored.waiting_of(order_id)) == 4
    assert await logged(shop, order_id) == [1, 2, 3, 4]

    shop.publisher.unavailable = False
    await relay_until_nothing_waits(shop)

    assert published(shop)[order_id] == [1, 2, 3, 4]
    assert await logged(shop, order_id) == [1, 2, 3, 4]
    assert await shop.stored.waiting_of(order_id) == ()


@pytest.mark.parametrize("step", ["claim", "append", "publish", "remove"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whatever_ends_the_relay_every_event_arrives_in_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    ids = [(await shop.place(method="tok_ok", key=f"key-{n}")).order.id for n in range(3)]
    port = {"append": shop.log, "publish": shop.publisher}.get(step, shop.stored)
    method = getattr(port, step)

    async def end(*args: object, **kwargs: object) -> object:
        if moment == "before":
            raise Interrupted
        await method(*args, **kwargs)
        raise Interrupted

    monkeypatch.setattr(port, step, end)
    with pytest.RaisesGroup(Interrupted, allow_unwrapped=True, flatten_subgroups=True):
        await shop.relay()
    monkeypatch.undo()
    await relay_until_nothing_waits(shop)

    for order_id in ids:
        got = published(shop)[order_id]
        first_deliveries = list(dict.fromkeys(got))
        assert first_deliveries == await logged(shop, order_id) == [1, 2, 3, 4]
        assert await shop.stored.waiting_of(order_id) == ()
    positions = [event.position for event in await shop.log.after(0, tenant="shop", limit=100)]
    assert positions == list(range(1, 13))


async def test_an_event_is_the_same_on_every_delivery(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = (await shop.place()).order.id

    async def forget_to_forget(*args: object, **kwargs: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(shop.stored, "remove", forget_to_forget)
        await relay_until_nothing_waits(shop)
    await relay_until_nothing_waits(shop)

    assert len(shop.publisher.published) > 1
    assert {event.id for event in shop.publisher.published} == {f"{order_id}:1"}
    assert len({str(event.recorded) for event in shop.publisher.published}) == 1
    assert await logged(shop, order_id) == [1]
