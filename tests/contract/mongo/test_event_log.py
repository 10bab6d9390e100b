"""Event logs in memory and in MongoDB keep what `EventLog` promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orders.adapters.contracts.events.event_log import EventLogContract
from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.in_memory import InMemoryEventLog
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.event_log import MongoEventLog
from orders.application.errors import StoreUnavailable
from tests.support.database.faulty_proxy import ForgetfulProxy


class TestInMemoryEventLog(EventLogContract):
    @pytest.fixture
    def log(self) -> InMemoryEventLog:
        return InMemoryEventLog()

    @pytest.fixture
    def same_log(self, log: InMemoryEventLog) -> InMemoryEventLog:
        return log

    @pytest.fixture
    def lost_log(self) -> InMemoryEventLog:
        log = InMemoryEventLog()
        log.unavailable = True
        return log


class TestMongoEventLog(EventLogContract):
    @pytest.fixture
    def log(self, database: Database) -> MongoEventLog:
        return MongoEventLog(database)

    @pytest.fixture
    async def same_log(self, database_uri: str, database_name: str) -> AsyncIterator[MongoEventLog]:
        """Another connection, and another idea of where the feed ends."""
        async with open_mongo(database_uri, database=database_name, timeout_seconds=30) as again:
            yield MongoEventLog(again)

    @pytest.fixture
    def lost_log(self, lost_database: Database) -> MongoEventLog:
        return MongoEventLog(lost_database)


@pytest.mark.parametrize("logged", [0, 1, 2, 3, 4, 7, 8, 33])
async def test_a_new_process_finds_the_end_of_the_feed(database: Database, logged: int) -> None:
    before = logged_events()[:logged]
    await MongoEventLog(database).append(before)

    await MongoEventLog(database).append(logged_events()[:2])

    feed = await MongoEventLog(database).after(0, tenant="shop", limit=100)
    assert [event.position for event in feed.events] == list(range(1, logged + 3))


async def test_an_append_whose_answer_was_lost_logs_nothing_twice(
    proxy: ForgetfulProxy, database_name: str, retries_writes: bool
) -> None:
    async with open_mongo(proxy.uri, database=database_name) as database:
        log = MongoEventLog(database)
        events = logged_events()
        await log.append(events[:2])
        proxy.lose_next_answers("insert")

        if not retries_writes:
            with pytest.raises(StoreUnavailable):
                await log.append(events[2:5])
        await log.append(events[2:5])

        await log.append(events[5:6])
        feed = await log.after(0, tenant="shop", limit=100)
    assert proxy.lost == 1
    assert [(e.position, e.recorded.sequence) for e in feed.events] == [(n, n) for n in range(1, 7)]
