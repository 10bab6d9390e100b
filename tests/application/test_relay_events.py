"""Events reach the log once and each publisher at least once, each order's in order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import pytest

from orders.adapters.in_memory import InMemoryPublisher
from orders.application import relay_events
from orders.application.ports import KeptEvents, LoggedEvent, Published
from orders.application.publisher_queue import MAX_REFUSALS, RELAY_LEASE
from orders.application.relay_events import RelayEvents
from orders.domain.identifiers import OrderId
from orders.entrypoints.worker import start_relaying
from tests.support.shop import Interrupted, Shop

LATER = timedelta(minutes=5)
"""Longer than a claim lasts, and than the relay waits for a publisher that is away."""
SECOND = timedelta(seconds=1)


async def relay_until_nothing_waits(shop: Shop) -> None:
    for _ in range(10):
        shop.clock.advance(LATER)
        await shop.relay()


def got_by(publisher: InMemoryPublisher) -> dict[OrderId, list[int]]:
    """The sequence numbers that it got, by order."""
    got: dict[OrderId, list[int]] = defaultdict(list)
    for event in publisher.published:
        got[event.order_id].append(event.recorded.sequence)
    return got


def published(shop: Shop) -> dict[OrderId, list[int]]:
    return got_by(shop.publisher)


async def logged(shop: Shop, order_id: OrderId) -> list[int]:
    return [e.recorded.sequence for e in (await shop.log.timeline(order_id)).events]


async def left(shop: Shop, order_id: OrderId) -> int:
    return len((await shop.stored.waiting_of(order_id)).events)


async def test_logs_publishes_and_then_forgets(shop: Shop) -> None:
    order_id = (await shop.place(method="tok_ok")).order.id
    version = (await shop.see(order_id)).version

    await shop.relay()

    assert await logged(shop, order_id) == published(shop)[order_id] == [1, 2, 3, 4]
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4]
    assert await left(shop, order_id) == 0
    assert (await shop.see(order_id)).version == version
    await relay_until_nothing_waits(shop)
    assert published(shop)[order_id] == [1, 2, 3, 4]


async def test_forgets_nothing_that_a_publisher_has_not_confirmed(shop: Shop) -> None:
    order_id = (await shop.place(method="tok_ok")).order.id
    shop.publisher.unavailable = True
    await relay_until_nothing_waits(shop)
    assert await left(shop, order_id) == 4
    assert await logged(shop, order_id) == [1, 2, 3, 4]

    shop.publisher.unavailable = False
    await relay_until_nothing_waits(shop)

    assert published(shop)[order_id] == [1, 2, 3, 4]
    assert await logged(shop, order_id) == [1, 2, 3, 4]
    assert await left(shop, order_id) == 0


@pytest.mark.parametrize("step", ["claim", "append", "publish", "remove"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whatever_ends_the_relay_every_event_arrives_in_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    await _interrupted(shop, monkeypatch, step, moment)


@pytest.mark.parametrize("step", ["keep", "claim_for", "confirm", "defer"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_whatever_ends_the_relay_while_a_publisher_is_away_every_event_arrives_in_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    await shop.relay()  # prepares both publishers
    shop.other_publisher.unavailable = True
    if step != "keep":
        await shop.place(method="tok_ok", key="key-0")
        await shop.relay()
    if step in {"claim_for", "confirm"}:
        shop.other_publisher.unavailable = False
    shop.clock.advance(LATER)
    await _interrupted(shop, monkeypatch, step, moment)


async def _interrupted(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, moment: str) -> None:
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
    shop.other_publisher.unavailable = False
    await relay_until_nothing_waits(shop)

    for order_id in ids:
        for publisher in (shop.publisher, shop.other_publisher):
            first_deliveries = list(dict.fromkeys(got_by(publisher)[order_id]))
            assert first_deliveries == await logged(shop, order_id) == [1, 2, 3, 4]
        assert await left(shop, order_id) == 0
    feed = (await shop.log.after(0, tenant="shop", limit=100)).events
    assert [event.position for event in feed] == list(range(1, len(feed) + 1))


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


# -- one of two publishers is away --------------------------------------------------------------


async def test_while_one_is_away_the_other_gets_each_event_once_and_at_once(shop: Shop) -> None:
    shop.other_publisher.unavailable = True
    order_id = (await shop.place(method="tok_ok")).order.id
    for number in range(100):
        await shop.place(key=f"other-{number}")
        await shop.relay()
        shop.clock.advance(SECOND)
        assert len(shop.publisher.published) == 4 + number + 1
    # An order that already waits for the lost one is not held up for the other.
    await shop.change(order_id, "hold", lambda o, **told: o.hold("fraud", **told))  # type: ignore[arg-type]
    await shop.relay()
    assert published(shop)[order_id] == [1, 2, 3, 4, 5]

    shop.other_publisher.unavailable = False
    for _ in range(5):
        shop.clock.advance(10 * SECOND)
        await shop.relay()

    assert len(shop.publisher.published) == 105
    assert len(shop.other_publisher.published) == 105
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4, 5]
    assert await left(shop, order_id) == 0


async def test_a_publisher_that_is_away_is_tried_at_growing_distances_with_one_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[float, int]] = []
    began = shop.clock()

    async def publish(events: Sequence[LoggedEvent]) -> Published:
        orders = {event.order_id for event in events}
        tried.append(((shop.clock() - began).total_seconds(), len(orders)))
        return Published()

    monkeypatch.setattr(shop.other_publisher, "publish", publish)
    for number in range(20):
        await shop.place(key=f"key-{number}")

    for _ in range(400):
        await shop.relay()
        shop.clock.advance(SECOND / 10)

    assert tried == [(0, 20), (1, 1), (3, 1), (7, 1), (15, 1), (23, 1), (31, 1), (39, 1)]


async def test_what_waits_for_one_alone_is_not_claimed_before_that_one_is_tried(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are: nobody spins over the backlog of a publisher that is away."""
    shop.other_publisher.unavailable = True
    for number in range(150):
        await shop.place(key=f"key-{number}")
    await shop.relay()
    await shop.relay()
    assert len(shop.publisher.published) == 150
    given: list[int] = []

    def counted(name: str) -> None:
        method = getattr(shop.stored, name)

        async def claim(*args: object, **kwargs: object) -> Sequence[object]:
            found: Sequence[object] = await method(*args, **kwargs)
            given.append(len(found))
            return found

        monkeypatch.setattr(shop.stored, name, claim)

    counted("claim")
    counted("claim_for")
    for _ in range(600):
        await shop.relay()
        shop.clock.advance(SECOND / 10)
    assert sum(given) <= 10  # one for each time that it was tried in a minute


async def test_nobody_waits_for_a_publisher_that_takes_its_time(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_events, "SLOWER_PUBLISHER_GRACE", timedelta(0))
    answered, publish = asyncio.Event(), shop.other_publisher.publish

    async def slowly(events: Sequence[LoggedEvent]) -> Published:
        await answered.wait()
        return await publish(events)

    monkeypatch.setattr(shop.other_publisher, "publish", slowly)
    relay: RelayEvents = shop.container.relay_events()
    order_id = (await shop.place(method="tok_ok")).order.id
    for number in range(3):
        await relay(limit=10)
        if not number:
            # Another relay's queue leaves alone what is still being sent.
            now = shop.clock()
            assert await shop.stored.claim_for("kafka", now=now, lease=RELAY_LEASE, limit=10) == []
        assert published(shop)[order_id] == [1, 2, 3, 4]
        assert len(published(shop)) == number + 1
        await shop.place(key=f"other-{number}")
    assert shop.other_publisher.published == []

    answered.set()
    for _ in range(2):
        for queue in relay.queues:
            await queue.send_waiting(limit=10)
    await relay(limit=10)

    # What was being sent was not sent again.
    assert len(shop.publisher.published) == len(shop.other_publisher.published) == 7
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4]
    assert await left(shop, order_id) == 0


async def test_a_worker_that_ends_waits_for_what_its_last_turn_is_still_sending(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_events, "SLOWER_PUBLISHER_GRACE", timedelta(0))
    sending, answered = asyncio.Event(), asyncio.Event()
    publish, keep = shop.other_publisher.publish, shop.stored.keep

    async def slowly(events: Sequence[LoggedEvent]) -> Published:
        sending.set()
        await answered.wait()
        return await publish(events)

    async def kept(events: Sequence[KeptEvents]) -> None:
        # Meanwhile every queue has been told to stop, and had nothing to end.
        await asyncio.sleep(0.01)
        await keep(events)
        answered.set()

    monkeypatch.setattr(shop.other_publisher, "publish", slowly)
    monkeypatch.setattr(shop.stored, "keep", kept)
    order_id = (await shop.place(method="tok_ok")).order.id
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        start_relaying(tasks, shop.container.relay_events(), stop)
        await sending.wait()
        stop.set()

    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4]
    assert await left(shop, order_id) == 0


async def test_what_one_refuses_reaches_the_other_and_is_parked_for_the_one_alone(
    shop: Shop,
) -> None:
    shop.publisher.max_bytes = 0
    order_id = (await shop.place(method="tok_ok")).order.id
    for _ in range(MAX_REFUSALS):
        await shop.relay()
        shop.clock.advance(RELAY_LEASE)
    (parked,) = await shop.stored.parked(limit=9)
    assert (parked.publisher, parked.first, parked.waiting) == ("rabbitmq", 1, 4)
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4]

    await shop.change(order_id, "hold", lambda o, **told: o.hold("fraud", **told))  # type: ignore[arg-type]
    await relay_until_nothing_waits(shop)
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4, 5]
    assert published(shop)[order_id] == []

    shop.publisher.max_bytes = 1_000_000
    assert await shop.stored.resend(order_id, "rabbitmq")
    await shop.relay()
    assert published(shop)[order_id] == got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4, 5]
    assert await left(shop, order_id) == 0


# -- the set of publishers changes --------------------------------------------------------------


async def test_what_waits_for_a_publisher_that_is_not_configured_waits_until_it_is(
    shop: Shop,
) -> None:
    """A worker that was told of too few must not lose what the others were told of."""
    shop.publisher.unavailable = shop.other_publisher.unavailable = True
    order_id = (await shop.place(method="tok_ok")).order.id
    await shop.relay()
    shop.publisher.unavailable = False
    only = {"rabbitmq": shop.publisher}
    relay = RelayEvents(shop.stored, shop.log, only, shop.clock)

    shop.clock.advance(LATER)
    for queue in relay.queues:
        await queue.send_waiting(limit=10)
    await shop.change(order_id, "hold", lambda o, **told: o.hold("fraud", **told))  # type: ignore[arg-type]
    await relay(limit=10)

    assert published(shop)[order_id] == [1, 2, 3, 4, 5]
    assert shop.other_publisher.published == []
    shop.other_publisher.unavailable = False
    await relay_until_nothing_waits(shop)
    assert got_by(shop.other_publisher)[order_id] == [1, 2, 3, 4, 5]
    assert published(shop)[order_id] == [1, 2, 3, 4, 5]
    assert await left(shop, order_id) == 0


async def test_a_publisher_that_is_added_gets_what_is_relayed_from_then_on(shop: Shop) -> None:
    shop.publisher.unavailable = True
    first = (await shop.place(method="tok_ok")).order.id
    alone = RelayEvents(shop.stored, shop.log, {"rabbitmq": shop.publisher}, shop.clock)
    await alone(limit=10)
    await shop.change(first, "hold", lambda o, **told: o.hold("fraud", **told))  # type: ignore[arg-type]

    shop.publisher.unavailable = False
    await relay_until_nothing_waits(shop)

    assert published(shop)[first] == [1, 2, 3, 4, 5]
    assert got_by(shop.other_publisher)[first] == [5]
    assert await left(shop, first) == 0


async def test_a_publisher_is_prepared_before_the_first_event_and_until_it_is_there(
    shop: Shop,
) -> None:
    attempts: list[bool] = []

    async def prepare() -> bool:
        attempts.append(not shop.publisher.unavailable)
        return attempts[-1]

    shop.publisher.prepare = prepare  # type: ignore[method-assign]
    shop.publisher.unavailable = True
    await shop.relay()
    await shop.relay()
    assert attempts == [False]  # the next try waits
    shop.clock.advance(LATER)
    await shop.relay()
    shop.publisher.unavailable = False
    shop.clock.advance(LATER)
    await shop.relay()
    assert not any(each.is_unreachable for each in shop.container.relay_events().queues)
    order_id = (await shop.place(method="tok_ok")).order.id
    await shop.relay()

    assert attempts == [False, False, True]
    assert published(shop)[order_id] == [1, 2, 3, 4]
