"""`orders events`: samples are valid messages, and stored events are sent to a broker again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.contracts.samples import NOW
from orders.adapters.messages import EVENTS, encode
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.event_log import MongoEventLog
from orders.application.replay_events import EventSpan
from orders.domain.identifiers import OrderId
from orders.entrypoints import cli
from orders.entrypoints.cli import outbox
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings.table import Settings
from tests.contract.events.published_events import judge_strictly, published
from tests.support.observed_api import Lines, logged
from tests.support.processes.brokers import KafkaMock
from tests.support.shop import some_settings

MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def kafka() -> Iterator[KafkaMock]:
    with closing(KafkaMock()) as mock:
        yield mock


@pytest.fixture
def settings(database_uri: str, database: Database, kafka: KafkaMock) -> Settings:
    return some_settings(
        mongo_uri=database_uri,
        database=database.name,
        mongo_timeout_seconds=30,
        kafka_bootstrap=tuple(kafka.bootstrap.split(",")),
    )


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    with logged() as lines:
        monkeypatch.setattr(outbox, "configure_audit", lambda: None)
        yield lines


async def received(kafka: KafkaMock, count: int) -> list[bytes]:
    """The first messages of the topic."""
    consumer = AIOKafkaConsumer(
        "orders.events", bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def test_sends_an_order_again_and_says_who_did_it(
    settings: Settings, database: Database, kafka: KafkaMock, lines: Lines
) -> None:
    events = logged_events()
    await MongoEventLog(database).append([*events, *logged_events()])
    what = events[0].order_id

    told = [line async for line in outbox.replay(settings, what, None, name="ops")]

    assert told == [f"kafka: {len(events)} events sent"]
    assert await received(kafka, len(events)) == [encode(event) for event in events]
    (record,) = lines.of("audit")
    assert {name: record[name] for name in record.keys() - {"time", "level", "logger"}} == {
        "event": "replayed",
        "action": "replay_events",
        "actor": "ops",
        "roles": ["operator"],
        "order_id": str(what),
        "publisher": "kafka",
    }


async def test_sends_a_span_of_time_again_from_a_long_feed(
    settings: Settings, database: Database, kafka: KafkaMock, lines: Lines
) -> None:
    orders = [logged_events() for _ in range(40)]
    await MongoEventLog(database).append([event for order in orders for event in order])
    span = EventSpan(start=NOW + 2 * MILLISECOND, end=NOW + 4 * MILLISECOND)

    told = [line async for line in outbox.replay(settings, span, "kafka", name="ops")]

    assert told == [
        "kafka: 40 events sent, the feed up to position 1000",
        "kafka: 80 events sent, the feed up to position 2000",
    ]
    wanted = {encode(event) for order in orders for event in order[1:3]}
    assert {*await received(kafka, 80)} == wanted
    (record,) = lines.of("audit")
    assert (record["since"], record["until"]) == (
        "2026-03-01T12:00:00.125000+00:00",
        "2026-03-01T12:00:00.127000+00:00",
    )


@pytest.mark.parametrize(
    ("changes", "publisher", "problem"),
    [
        ({}, None, "there is no such event"),
        ({}, "rabbitmq", "no such broker"),
        ({"kafka_bootstrap": ()}, None, "no such broker"),
        ({"kafka_bootstrap": ("127.0.0.1:1",)}, None, "does not confirm, after 0 events"),
    ],
)
async def test_says_why_nothing_was_sent(
    settings: Settings,
    database: Database,
    lines: Lines,
    changes: dict[str, Any],
    publisher: str | None,
    problem: str,
) -> None:
    (event, *_) = logged_events()
    if "does not" in problem:
        await MongoEventLog(database).append([event])
    given = some_settings(
        mongo_uri=settings.mongo_uri,
        database=settings.database,
        mongo_timeout_seconds=30,
        **{"kafka_bootstrap": settings.kafka_bootstrap, **changes},
    )
    with pytest.raises(CommandFailed, match=problem):
        async for _ in outbox.replay(given, OrderId(event.order_id), publisher, name="ops"):
            pass


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--order", "6f1c7a52-9c1e-8d0b-a4c3-1f2e3d4c5b6a", "--from", "2026-03-01T12:00Z"],
        ["--from", "2026-03-01T12:00Z"],
        ["--from", "2026-03-01T12:00Z", "--to", "2026-03-01T12:00Z"],
        ["--from", "2026-03-01T12:00", "--to", "2026-03-01T13:00Z"],
        ["--from", "yesterday", "--to", "2026-03-01T13:00Z"],
        ["--order", "1"],
    ],
)
def test_refuses_to_guess_what_to_send(
    given: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "speak_plainly", lambda: None)
    try:
        code: object = cli.main(["events", "replay", *given])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert capsys.readouterr().out == ""


# -- samples ----------------------------------------------------------------------------------


def printed(capsys: pytest.CaptureFixture[str], *given: str) -> list[str]:
    assert cli.main(["events", "sample", *given]) == 0
    return capsys.readouterr().out.splitlines()


def test_there_is_a_valid_sample_of_each_event(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "speak_plainly", lambda: None)
    messages = [json.loads(line) for line in printed(capsys, "--all")]
    assert {each["type"] for each in messages} == {f"orders.{e.__name__}.v1" for e in EVENTS}
    for message in messages:
        judge_strictly(message)

    for name in ("OrderPaid", "orders.OrderPaid.v1"):
        (line,) = printed(capsys, "--type", name)
        assert json.loads(line) == published("OrderPaid.v1.golden")
    assert cli.main(["events", "sample", "--type", "OrderEaten"]) == 2
