"""What the database's use tells: commands as spans, connections, and what waits in the queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from pymongo.errors import OperationFailure

from orders.adapters.contracts.samples import NOW, a_new_order
from orders.adapters.mongo import backlog as watched
from orders.adapters.mongo.backlog import MongoBacklog
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDERS, Document
from orders.adapters.mongo.monitoring import CommandSpans, PoolUse
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.errors import StoreUnavailable
from orders.application.ports import Backlog
from orders.application.publisher_queue import RELAY_LEASE
from orders.entrypoints.observability import spans as telemetry
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.spans import RecordedTrace

CANARY = "canary7f3a"
SECOND = timedelta(seconds=1)


# -- commands ---------------------------------------------------------------------------------


@pytest.fixture
async def heard(database_uri: str, database: Database) -> AsyncIterator[Database]:
    """The database, with commands recorded where the work is."""
    options: dict[str, Any] = {"timeout_seconds": 30, "listeners": [CommandSpans()]}
    async with open_mongo(database_uri, database=database.name, **options) as opened:
        yield opened


def within(traced: RecordedTrace) -> Any:
    headers = [(b"traceparent", traced.traceparent.encode())]
    return telemetry.entered(telemetry.request_span(headers))


async def test_every_command_is_a_span_of_operation_and_collection(heard: Database) -> None:
    traced = RecordedTrace()
    orders = MongoOrders(heard)
    order = a_new_order()
    with within(traced):
        await orders.add(order)
        await orders.get(order.id)
    assert [each.name for each in traced.spans] == ["insert orders", "find orders"]
    find = traced.of("find orders")
    assert find.kind is SpanKind.CLIENT
    assert dict(find.attributes or {}) == {
        "db.system.name": "mongodb",
        "db.namespace": heard.name,
        "db.operation.name": "find",
        "db.collection.name": "orders",
    }


async def test_the_rest_of_a_cursor_is_of_its_collection(heard: Database) -> None:
    traced = RecordedTrace()
    documents: list[Document] = [{"_id": number} for number in range(5)]
    await heard["numbers"].delete_many({})
    await heard["numbers"].insert_many(documents)
    with within(traced):
        assert len(await heard["numbers"].find({}, batch_size=2).to_list()) == 5
    names = [each.name for each in traced.spans]
    assert names[0] == "find numbers"
    assert set(names[1:]) == {"getMore numbers"}


async def test_a_refused_command_is_an_error_without_its_text(heard: Database) -> None:
    traced = RecordedTrace()
    with within(traced), suppress(OperationFailure):
        await heard[ORDERS].update_one({"tenant": CANARY}, {f"${CANARY}": {CANARY: 1}})
    (refused,) = traced.spans
    assert refused.name == "update orders"
    assert CANARY not in traced.text


async def test_a_command_that_the_server_does_not_know_is_an_error(heard: Database) -> None:
    traced = RecordedTrace()
    with within(traced), pytest.raises(OperationFailure):
        await heard.command(f"{CANARY[:6]}Unknown", CANARY)
    (refused,) = traced.spans
    assert refused.status.status_code is StatusCode.ERROR
    assert str((refused.attributes or {})["error.type"]).isdecimal()
    assert refused.status.description is None


async def test_what_nobody_records_is_no_span(heard: Database) -> None:
    traced = RecordedTrace()
    await MongoOrders(heard).add(a_new_order())
    assert traced.spans == []


# -- connections ------------------------------------------------------------------------------


async def test_connections_are_counted_while_they_are_held_and_waited_for(
    database_uri: str,
) -> None:
    use = PoolUse()
    options: dict[str, Any] = {"timeout_seconds": 30, "pool_size": 1, "listeners": [use]}
    async with open_mongo(database_uri, database="any", **options) as opened:
        assert (use.open, use.in_use, use.waiting) == (0, 0, 0)
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(opened.command("ping")) for _ in range(3)]
            seen = set()
            while not all(each.done() for each in calls):
                seen.add((use.in_use, use.waiting))
                await asyncio.sleep(0)
        assert (1, 2) in seen
        assert (use.open, use.in_use, use.waiting) == (1, 0, 0)
    assert use.open == 0


async def test_what_a_lost_database_takes_with_it_is_counted_no_longer(
    proxy: ForgetfulProxy,
) -> None:
    use = PoolUse()
    options: dict[str, Any] = {"timeout_seconds": 2, "pool_size": 1, "listeners": [use]}
    async with open_mongo(proxy.uri, database="any", **options) as opened:
        await opened.command("ping")
        assert use.open == 1
        await proxy.cut()
        calls = (MongoBacklog(opened).measure(now=NOW) for _ in range(3))
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(each) for each in told} == {StoreUnavailable}
        assert (use.open, use.in_use, use.waiting) == (0, 0, 0)
        await proxy.restore()
        # A client that is closed while it looks for its server leaves a socket behind.
        await opened.command("ping")


# -- what waits -------------------------------------------------------------------------------


async def look(database: Database, *, after: timedelta = timedelta()) -> Backlog:
    return await MongoBacklog(database).measure(now=NOW + after)


async def test_the_oldest_is_found_behind_many_that_were_never_tried(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "MAX_SCANNED", 2)
    orders, outbox = MongoOrders(database), MongoOutbox(database)
    await orders.add(a_new_order())
    await outbox.claim(now=NOW, lease=RELAY_LEASE, limit=1)
    for _ in range(5):
        await orders.add(a_new_order(now=NOW + 50 * SECOND))
    assert (await look(database, after=60 * SECOND)).new.oldest_event_seconds == 60


async def test_counts_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "MAX_COUNT", 2)
    for _ in range(3):
        await MongoOrders(database).add(a_new_order())
    assert (await look(database)).new.waiting_orders == 2
