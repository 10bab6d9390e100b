"""Operators see what is held up, send it again or drop it, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orders.application.access import Caller, operator
from orders.application.errors import Forbidden
from orders.application.manage_outbox import (
    DroppedEvents,
    ManageOutbox,
    NotDroppable,
    ResentEvents,
)
from orders.application.publisher_queue import MAX_REFUSALS, RELAY_LEASE
from orders.domain.identifiers import OrderId
from tests.support.shop import PEOPLE, Shop

OPS = operator("ops")
KNOWN = ("rabbitmq", "kafka")


@pytest.fixture
def outbox(shop: Shop) -> ManageOutbox:
    return ManageOutbox(shop.stored, KNOWN, KNOWN, shop.clock)


async def a_parked_order(shop: Shop, key: str) -> OrderId:
    """An order of four events that Kafka has refused for good, and RabbitMQ has."""
    shop.other_publisher.max_bytes = 1
    order_id = (await shop.place(method="tok_ok", key=key)).order.id
    for _ in range(MAX_REFUSALS):
        await shop.relay()
        shop.clock.advance(RELAY_LEASE)
    shop.other_publisher.max_bytes = 1_000_000
    return order_id


async def test_lists_what_is_parked(shop: Shop, outbox: ManageOutbox) -> None:
    assert (await outbox.list(caller=OPS)).parked == []
    order_id = await a_parked_order(shop, "parked")

    found = await outbox.list(caller=OPS)

    (parked,) = found.parked
    assert (parked.order_id, parked.publisher) == (order_id, "kafka")
    assert (parked.first, parked.waiting, parked.reason) == (1, 4, "too-large")
    assert found.unreadable == []


async def test_resends_what_is_parked_of_all_orders(shop: Shop, outbox: ManageOutbox) -> None:
    ids = {await a_parked_order(shop, key) for key in ("one", "two")}

    resent = [each async for each in outbox.resend(caller=OPS)]

    assert {each.order_id for each in resent} == ids
    assert {each.publisher for each in resent} == {"kafka"}
    assert [each async for each in outbox.resend(caller=OPS)] == []
    await shop.relay()
    assert {event.order_id for event in shop.other_publisher.published} == ids


async def test_resends_what_is_parked_of_one_order(shop: Shop, outbox: ManageOutbox) -> None:
    wanted, other = [await a_parked_order(shop, key) for key in ("one", "two")]

    resent = [each async for each in outbox.resend(order_id=wanted, caller=OPS)]

    assert resent == [ResentEvents(order_id=wanted, publisher="kafka")]
    assert [each.order_id for each in (await outbox.list(caller=OPS)).parked] == [other]


async def test_resends_nothing_to_another_publisher(shop: Shop, outbox: ManageOutbox) -> None:
    order_id = await a_parked_order(shop, "parked")

    for which in (None, order_id):
        resent = outbox.resend(order_id=which, publisher="rabbitmq", caller=OPS)
        assert [each async for each in resent] == []

    assert len((await outbox.list(caller=OPS)).parked) == 1


async def test_drops_all_that_waits_for_a_publisher_that_is_not_configured(shop: Shop) -> None:
    """What waits, what is deferred and what is parked; and nothing of another publisher."""
    outbox = ManageOutbox(shop.stored, KNOWN, ("rabbitmq",), shop.clock)
    parked = await a_parked_order(shop, "parked")
    shop.publisher.unavailable = shop.other_publisher.unavailable = True
    waiting = (await shop.place(method="tok_ok", key="waiting")).order.id
    await shop.relay()

    dropped = [each async for each in outbox.drop("kafka", caller=OPS)]

    assert {each.order_id: each for each in dropped} == {
        order_id: DroppedEvents(order_id=order_id, publisher="kafka", first=1, last=4)
        for order_id in (parked, waiting)
    }
    assert [each.count for each in dropped] == [4, 4]
    assert [each async for each in outbox.drop("kafka", caller=OPS)] == []
    assert await left(shop, parked) == 0
    shop.publisher.unavailable = shop.other_publisher.unavailable = False
    for _ in range(3):
        shop.clock.advance(10 * RELAY_LEASE)
        await shop.relay()
    got = [e.recorded.sequence for e in shop.publisher.published if e.order_id == waiting]
    assert (got, await left(shop, waiting)) == ([1, 2, 3, 4], 0)
    assert shop.other_publisher.published == []


async def test_gives_what_it_drops_before_it_drops_it(shop: Shop) -> None:
    """A process that dies meanwhile has put at least what is gone on record."""
    outbox = ManageOutbox(shop.stored, KNOWN, ("rabbitmq",), shop.clock)
    order_id = await a_parked_order(shop, "parked")

    dropping = outbox.drop("kafka", caller=OPS)

    assert (await anext(dropping)).order_id == order_id
    assert await left(shop, order_id) == 4
    assert [each async for each in dropping] == []
    assert await left(shop, order_id) == 0


@pytest.mark.parametrize("publisher", ["kafka", "carrier-pigeon", ""])
async def test_drops_nothing_of_a_publisher_that_is_configured_or_unknown(
    shop: Shop, outbox: ManageOutbox, publisher: str
) -> None:
    await a_parked_order(shop, "parked")

    with pytest.raises(NotDroppable):
        await anext(outbox.drop(publisher, caller=OPS))

    assert len((await outbox.list(caller=OPS)).parked) == 1


CALLS: dict[str, Callable[[ManageOutbox, Caller], Any]] = {
    "list": lambda outbox, caller: outbox.list(caller=caller),
    "resend": lambda outbox, caller: anext(outbox.resend(caller=caller)),
    "drop": lambda outbox, caller: anext(outbox.drop("kafka", caller=caller)),
}


@pytest.mark.parametrize("who", ["root", "art", "fin", "nobody"])
@pytest.mark.parametrize("call", CALLS)
async def test_is_for_operators_only(shop: Shop, call: str, who: str) -> None:
    """The outbox holds the events of all tenants, so no tenant's administrator may."""
    outbox = ManageOutbox(shop.stored, KNOWN, (), shop.clock)
    await a_parked_order(shop, "parked")

    with pytest.raises(Forbidden):
        await CALLS[call](outbox, PEOPLE[who])

    assert len((await outbox.list(caller=OPS)).parked) == 1


async def left(shop: Shop, order_id: OrderId) -> int:
    return len((await shop.stored.waiting_of(order_id)).events)
