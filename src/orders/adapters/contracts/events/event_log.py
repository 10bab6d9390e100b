"""What every `EventLog` promises. Subclass this suite and provide your adapter:

class TestMyLog(EventLogContract):
    @pytest.fixture
    async def log(self) -> EventLog: ...

    @pytest.fixture
    async def same_log(self, log) -> EventLog: ...

    @pytest.fixture
    async def lost_log(self) -> EventLog: ...
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from orders.adapters.contracts.events.event_samples import EVERY_EVENT, logged_events
from orders.adapters.contracts.samples import NOW
from orders.application.errors import StoreUnavailable
from orders.domain.identifiers import OrderId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from orders.application.ports import EventLog, LoggedEvent

OUTAGE_SECONDS = 2.0


class EventLogContract:
    """The suite. Each test starts with an empty log."""

    @pytest.fixture
    def log(self) -> EventLog:
        """The log under test, empty."""
        raise NotImplementedError("override the fixture `log`")

    @pytest.fixture
    def same_log(self) -> EventLog:
        """A second adapter over the same log, as in another process."""
        raise NotImplementedError("override the fixture `same_log`")

    @pytest.fixture
    def lost_log(self) -> EventLog:
        """A log whose store does not respond."""
        raise NotImplementedError("override the fixture `lost_log`")

    async def test_returns_the_cause_of_an_order_once_it_is_logged(self, log: EventLog) -> None:
        first, second, *_ = logged_events()
        cause = f"00-{7:032x}-{7:016x}-01"
        assert await log.cause_of(first.order_id) is None

        await log.append([replace(first, traceparent=cause), second])

        assert await log.cause_of(first.order_id) == cause
        assert await log.cause_of(OrderId(uuid4())) is None

    async def test_returns_every_type_of_event_as_it_was_logged(self, log: EventLog) -> None:
        events = logged_events(EVERY_EVENT)

        await log.append(events)

        timeline = (await log.timeline(events[0].order_id)).events
        assert [replace(event, position=None) for event in timeline] == events
        assert [event.id for event in timeline] == [event.id for event in events]
        assert timeline[0].recorded.occurred_at.utcoffset() == NOW.utcoffset()

    async def test_a_timeline_has_the_events_of_one_order_in_sequence(self, log: EventLog) -> None:
        one, other = logged_events(), logged_events()
        await log.append([*one[5:8], *other])
        await log.append(one[:5])

        timeline = (await log.timeline(one[0].order_id)).events

        assert [event.recorded.sequence for event in timeline] == list(range(1, 9))
        unknown = await log.timeline(OrderId(uuid4()))
        assert (list(unknown.events), list(unknown.unreadable)) == ([], [])

    async def test_positions_count_every_event_from_1(self, log: EventLog) -> None:
        await log.append(logged_events()[:3])
        await log.append([])
        await log.append(logged_events()[:2])

        assert _positions((await log.after(0, tenant="shop", limit=10)).events) == [1, 2, 3, 4, 5]

    async def test_a_span_of_time_is_read_in_steps_over_all_tenants(self, log: EventLog) -> None:
        events = [*logged_events()[:4], *logged_events(tenant="other")[:4]]
        await log.append(events)
        start, end = (NOW + timedelta(milliseconds=sequence) for sequence in (2, 4))

        steps, position = [], 0
        while (page := await log.between(start, end, position=position, limit=3)).end is not None:
            steps.append(([event.id for event in page.events], page.end))
            position = page.end

        ids = [event.id for event in events]
        assert steps == [(ids[1:3], 3), (ids[5:6], 6), (ids[6:7], 8)]

    async def test_an_event_that_is_logged_already_stays_as_it_is(self, log: EventLog) -> None:
        events = logged_events()
        await log.append(events[:4])

        for repeated in (events[:4], events[2:6], [events[5], events[0], events[6]]):
            await log.append(repeated)

        feed = (await log.after(0, tenant="shop", limit=100)).events
        assert [replace(event, position=None) for event in feed] == events[:7]
        assert _positions(feed) == [1, 2, 3, 4, 5, 6, 7]

    async def test_returns_the_events_after_a_position(self, log: EventLog) -> None:
        await log.append(logged_events()[:6])

        for after, positions in ((2, [3, 4, 5]), (5, [6]), (6, [])):
            found = await log.after(after, tenant="shop", limit=3)
            assert _positions(found.events) == positions
            assert found.end == (positions[-1] if positions else None)
            assert not found.unreadable

    async def test_returns_only_the_events_of_the_tenant(self, log: EventLog) -> None:
        await log.append(logged_events()[:2])
        await log.append(logged_events(tenant="other")[:2])
        await log.append(logged_events()[:1])

        assert _positions((await log.after(0, tenant="shop", limit=10)).events) == [1, 2, 5]
        assert _positions((await log.after(0, tenant="other", limit=1)).events) == [3]
        assert _positions((await log.after(0, tenant="nobody", limit=10)).events) == []

    async def test_concurrent_appends_lose_nothing(self, log: EventLog, same_log: EventLog) -> None:
        batches = [logged_events()[:5] for _ in range(10)]

        await asyncio.gather(
            *((log, same_log)[n % 2].append(batch) for n, batch in enumerate(batches)),
            *((log, same_log)[n % 3 % 2].append(batch) for n, batch in enumerate(batches)),
        )

        feed = (await log.after(0, tenant="shop", limit=1_000)).events
        assert _positions(feed) == list(range(1, 51))
        assert {event.id for event in feed} == {event.id for batch in batches for event in batch}
        for batch in batches:
            timeline = (await log.timeline(batch[0].order_id)).events
            assert [replace(event, position=None) for event in timeline] == batch

    async def test_no_event_appears_before_one_that_a_reader_has_seen(
        self, log: EventLog, same_log: EventLog
    ) -> None:
        async def write() -> None:
            await asyncio.gather(*(w.append(logged_events()[:5]) for w in (log, same_log) * 5))

        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write())
            seen: list[LoggedEvent] = []
            while not writing.done() or len(seen) < 50:
                seen += (await log.after(len(seen), tenant="shop", limit=7)).events
                assert _positions(seen) == list(range(1, len(seen) + 1))
                await asyncio.sleep(0)

        assert seen == list((await same_log.after(0, tenant="shop", limit=100)).events)

    async def test_raises_in_time_if_the_store_does_not_respond(self, lost_log: EventLog) -> None:
        calls: list[Awaitable[object]] = [
            lost_log.append(logged_events()[:1]),
            lost_log.timeline(OrderId(uuid4())),
            lost_log.cause_of(OrderId(uuid4())),
            lost_log.after(0, tenant="shop", limit=1),
        ]

        async with asyncio.timeout(OUTAGE_SECONDS):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(calls)


def _positions(events: Sequence[LoggedEvent]) -> list[int | None]:
    return [event.position for event in events]
