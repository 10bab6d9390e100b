"""What every `EventPublisher` promises. Subclass this suite and provide your adapter and a broker:

class TestMyPublisher(EventPublisherContract):
    @pytest.fixture
    async def publisher(self) -> EventPublisher: ...

    @pytest.fixture
    async def broker(self, publisher) -> Broker: ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import pytest

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.messages import encode
from orders.application.ports import LoggedEvent, Published
from orders.domain.events import NoteAdded, OrderCancelled
from orders.domain.identifiers import OrderId, PartId

if TYPE_CHECKING:
    from orders.application.ports import EventPublisher

BOUND_SECONDS = 20.0
"""A call returns within this time, whatever the broker does."""
POISON = OrderCancelled(reason="x" * 2_000_000)
"""An event of 2 MB. Every broker under test refuses it."""


class Broker(Protocol):
    """The broker behind the publisher under test."""

    async def received(self) -> Sequence[bytes]:
        """The bodies of all messages so far, those of one order in the sequence of arrival."""
        ...

    async def lose(self) -> None:
        """Make the broker stop responding."""
        ...

    async def restore(self) -> None:
        """Let it respond again. It still has all messages that it confirmed."""
        ...


class EventPublisherContract:
    """The suite. Each test starts with an empty broker."""

    @pytest.fixture
    def publisher(self) -> EventPublisher:
        """The publisher under test."""
        raise NotImplementedError("override the fixture `publisher`")

    @pytest.fixture
    def broker(self) -> Broker:
        """The broker that the publisher sends to."""
        raise NotImplementedError("override the fixture `broker`")

    async def test_sends_every_event_in_its_published_form_in_order(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        events = logged_events()

        outcome = await publisher.publish(events)

        assert outcome == Published(confirmed={events[0].order_id: len(EVERY_EVENT)})
        assert list(await broker.received()) == [encode(event) for event in events]

    async def test_keeps_each_order_in_order(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        orders = [logged_events()[:5] for _ in range(20)]

        outcome = await publisher.publish(
            [events[place] for place in range(5) for events in orders]
        )

        assert outcome == Published(confirmed={events[0].order_id: 5 for events in orders})
        received = await broker.received()
        for events in orders:
            assert _of(events[0].order_id, received) == [encode(event) for event in events]

    async def test_an_event_that_is_sent_again_has_the_same_bytes(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        events = logged_events()[:3]

        for _ in range(2):
            outcome = await publisher.publish(events)
            assert outcome == Published(confirmed={events[0].order_id: 3})

        assert list(await broker.received()) == [encode(event) for event in events] * 2

    async def test_prepares_without_an_event_and_may_repeat_it(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        assert [await publisher.prepare(), await publisher.prepare()] == [True, True]
        assert list(await broker.received()) == []

        await publisher.publish(logged_events()[:1])
        assert len(await broker.received()) == 1

    async def test_says_in_time_that_a_lost_broker_cannot_be_prepared(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        await broker.lose()
        await publisher.publish(logged_events()[:1])

        started = time.monotonic()
        assert not await publisher.prepare()
        assert time.monotonic() - started < BOUND_SECONDS

    async def test_sends_nothing_for_no_events(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        assert await publisher.publish([]) == Published()
        assert list(await broker.received()) == []

    async def test_a_refused_event_stops_only_its_own_order(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        note = NoteAdded(note_id=PartId("1"))
        poisoned = logged_events((note, note, POISON, note))
        others = [logged_events()[:4] for _ in range(10)]
        events = [each for order in (*others[:5], poisoned, *others[5:]) for each in order]

        outcome = await publisher.publish(events)

        bad = poisoned[0].order_id
        assert dict(outcome.confirmed) == {bad: 2} | {order[0].order_id: 4 for order in others}
        assert list(outcome.refused) == [bad]
        received = await broker.received()
        assert _first_deliveries(bad, received) == [encode(event) for event in poisoned[:2]]
        for order in others:
            assert _first_deliveries(order[0].order_id, received) == [
                encode(event) for event in order
            ]

    async def test_reports_a_refusal_each_time(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        poisoned = logged_events((POISON,))

        for _ in range(2):
            outcome = await publisher.publish(poisoned)
            assert (dict(outcome.confirmed), list(outcome.refused)) == ({}, [poisoned[0].order_id])

        assert list(await broker.received()) == []

    async def test_a_call_to_a_lost_broker_returns_in_time_and_later_ones_recover(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        events = logged_events()[:3]
        await publisher.publish(events[:1])
        await broker.lose()

        for _ in range(2):
            started = time.monotonic()
            assert await publisher.publish(events[1:]) == Published()
            assert time.monotonic() - started < BOUND_SECONDS
        await broker.restore()

        confirmed = await _publish_all(publisher, events[1:])
        assert confirmed == {events[0].order_id: 3}
        assert _first_deliveries(events[0].order_id, await broker.received()) == list(
            map(encode, events)
        )

    async def test_loses_no_event_if_the_broker_is_lost_while_it_sends(
        self, publisher: EventPublisher, broker: Broker
    ) -> None:
        orders = [logged_events() for _ in range(100)]
        events = [event for order in orders for event in order]
        publishing = asyncio.ensure_future(publisher.publish(events))
        while not publishing.done() and not await broker.received():
            await asyncio.wait([publishing], timeout=0)

        await broker.lose()
        outcome = await publishing
        await broker.restore()
        left = [e for e in events if e.recorded.sequence > outcome.confirmed.get(e.order_id, 0)]
        await _publish_all(publisher, left)

        received = await broker.received()
        assert set(received) == set(map(encode, events))
        for order in orders:
            assert _first_deliveries(order[0].order_id, received) == list(map(encode, order))


async def _publish_all(
    publisher: EventPublisher, events: Sequence[LoggedEvent]
) -> dict[OrderId, int]:
    """Send until the broker has confirmed all events, as the relay does."""
    confirmed: dict[OrderId, int] = {}
    left = list(events)
    while left:
        confirmed |= (await publisher.publish(left)).confirmed
        left = [e for e in left if e.recorded.sequence > confirmed.get(e.order_id, 0)]
    return confirmed


def _of(order_id: OrderId, received: Iterable[bytes]) -> list[bytes]:
    own = f'"partitionkey":"{order_id}"'.encode()
    return [body for body in received if own in body]


def _first_deliveries(order_id: OrderId, received: Iterable[bytes]) -> list[bytes]:
    """An order's messages in the order of their first delivery."""
    return [*dict.fromkeys(_of(order_id, received))]
