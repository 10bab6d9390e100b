"""Stored events are sent again as they were first sent, by operators only."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orders.adapters.messages import encode
from orders.application import replay_events
from orders.application.access import operator
from orders.application.errors import Forbidden, PublisherUnavailable
from orders.application.replay_events import EventSpan, Replayed, ReplayEvents
from orders.domain.identifiers import OrderId
from tests.support.shop import PEOPLE, Shop

OPS = operator("ops")
HOUR = timedelta(hours=1)


@pytest.fixture
def replay(shop: Shop) -> ReplayEvents:
    publishers = {"rabbitmq": shop.publisher, "kafka": shop.other_publisher}
    return ReplayEvents(shop.log, shop.stored, publishers)


@pytest.fixture
async def three(shop: Shop) -> list[OrderId]:
    """Orders of four events each, relayed, one an hour."""
    ids = []
    for number in range(3):
        ids.append((await shop.place(method="tok_ok", key=f"key-{number}")).order.id)
        await shop.relay()
        shop.clock.advance(HOUR)
    return ids


def forget(shop: Shop) -> list[bytes]:
    """What the publisher has had; it counts from here."""
    sent = [encode(event) for event in shop.publisher.published]
    shop.publisher.published.clear()
    shop.other_publisher.published.clear()
    return sent


async def run(replay: ReplayEvents, what: OrderId | EventSpan) -> list[Replayed]:
    return [page async for page in replay(what, publisher="rabbitmq", caller=OPS)]


async def test_an_order_is_sent_again_with_the_same_bytes_to_one_publisher(
    shop: Shop, replay: ReplayEvents, three: list[OrderId]
) -> None:
    first = [body for body in forget(shop) if str(three[1]).encode() in body]

    for _ in range(2):
        (page,) = await run(replay, three[1])
        assert (page.sent, page.waiting, page.refused) == (4, 0, {})
        assert forget(shop) == first
    assert shop.other_publisher.published == []


async def test_a_span_of_time_has_its_start_and_not_its_end(
    shop: Shop, replay: ReplayEvents, three: list[OrderId], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = forget(shop)
    monkeypatch.setattr(replay_events, "PAGE", 5)
    end = shop.clock() - HOUR
    pages = await run(replay, EventSpan(start=end - HOUR, end=end))

    assert forget(shop) == [body for body in sent if str(three[1]).encode() in body]
    assert [page.position for page in pages] == [5, 10, 12]
    assert sum(page.sent for page in pages) == 4
    assert sum(p.sent for p in await run(replay, EventSpan(start=end - 3 * HOUR, end=end))) == 8


async def test_what_a_publisher_lacks_is_left_to_the_relay(
    shop: Shop, replay: ReplayEvents
) -> None:
    """Else a later event would be delivered for the first time before an earlier one."""
    shop.publisher.max_bytes = 1
    parked = (await shop.place(method="tok_ok")).order.id
    await shop.relay()
    shop.publisher.max_bytes = 1_000_000
    forget(shop)

    (page,) = await run(replay, parked)

    assert (page.sent, page.waiting) == (0, 4)
    assert shop.publisher.published == []


async def test_a_refused_event_stops_its_order_and_no_other(
    shop: Shop, replay: ReplayEvents, three: list[OrderId], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(shop)
    monkeypatch.setattr(replay_events, "PAGE", 2)
    largest = max(len(encode(e)) for e in (await shop.log.timeline(three[0])).events)
    shop.publisher.max_bytes = largest - 1

    pages = await run(replay, EventSpan(start=shop.clock() - 4 * HOUR, end=shop.clock()))

    refused = {order_id for page in pages for order_id in page.refused}
    assert refused == set(three)
    for order_id in three:
        own = [e.recorded.sequence for e in shop.publisher.published if e.order_id == order_id]
        assert own == list(range(1, len(own) + 1))
        assert len(own) < 4


async def test_a_lost_publisher_is_told(
    shop: Shop, replay: ReplayEvents, three: list[OrderId]
) -> None:
    shop.publisher.unavailable = True
    with pytest.raises(PublisherUnavailable):
        await run(replay, three[0])


@pytest.mark.parametrize("who", PEOPLE)
async def test_nobody_else_may(
    shop: Shop, replay: ReplayEvents, three: list[OrderId], who: str
) -> None:
    forget(shop)
    with pytest.raises(Forbidden):
        async for _ in replay(three[0], publisher="rabbitmq", caller=PEOPLE[who]):
            pass
    assert shop.publisher.published == []
