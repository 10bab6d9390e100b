"""`orders outbox`: what it prints, and what the audit trail says of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

from orders.adapters.contracts.events.waiting_samples import claim, claim_for, keep, nothing
from orders.adapters.contracts.samples import NOW, a_new_order
from orders.adapters.mongo.connection import Database
from orders.adapters.mongo.orders import MongoOrders
from orders.adapters.mongo.outbox import MongoOutbox
from orders.domain.identifiers import OrderId
from orders.entrypoints import cli
from orders.entrypoints.cli import outbox
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings.table import Settings
from tests.support.observed_api import Lines, logged
from tests.support.shop import some_settings


@pytest.fixture
def settings(database_uri: str, database: Database) -> Settings:
    return some_settings(mongo_uri=database_uri, database=database.name, mongo_timeout_seconds=30)


@pytest.fixture
async def parked(database: Database) -> OrderId:
    """An order whose one event is parked for Kafka."""
    order = a_new_order()
    await MongoOrders(database).add(order)
    store = MongoOutbox(database)
    (new,) = await claim(store)
    await keep(store, new, {"kafka": nothing()})
    (lacking,) = await claim_for("kafka", store)
    await store.park("kafka", lacking, reason="too-large", now=NOW)
    return order.id


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    with logged() as lines:
        # The command would send its audit records to standard error instead.
        monkeypatch.setattr(outbox, "configure_audit", lambda: None)
        yield lines


async def test_says_who_has_sent_what_again(
    settings: Settings, parked: OrderId, lines: Lines
) -> None:
    (line,) = await outbox.listed(settings, name="ops")
    assert str(parked) in line
    assert lines.of("audit") == []

    told = await outbox.resend(settings, None, None, name="ops")

    assert told == [f"{parked} will be sent to kafka again"]
    (record,) = lines.of("audit")
    assert {name: record[name] for name in record.keys() - {"time", "level", "logger"}} == {
        "event": "changed",
        "action": "resend_events",
        "actor": "ops",
        "roles": ["operator"],
        "order_id": str(parked),
        "publisher": "kafka",
    }
    with pytest.raises(CommandFailed, match="has no parked events"):
        await outbox.resend(settings, parked, None, name="ops")
    assert len(lines.of("audit")) == 1


async def test_says_who_has_dropped_what(settings: Settings, parked: OrderId, lines: Lines) -> None:
    told = await outbox.drop(settings, "kafka", name="ops")

    assert told == ["1 events will not be sent to kafka"]
    (record,) = lines.of("audit")
    assert (record["action"], record["actor"]) == ("drop_events", "ops")
    assert (record["order_id"], record["publisher"]) == (str(parked), "kafka")
    assert (record["first"], record["last"]) == (1, 1)


async def test_refuses_to_drop_what_may_leave_yet(
    database_uri: str, database: Database, parked: OrderId, lines: Lines
) -> None:
    settings = some_settings(
        mongo_uri=database_uri, database=database.name, kafka_bootstrap=("127.0.0.1:1",)
    )
    with pytest.raises(CommandFailed, match="whose setting was removed"):
        await outbox.drop(settings, "kafka", name="ops")
    assert lines.of("audit") == []
    (line,) = await outbox.listed(settings, name="ops")
    assert str(parked) in line


@pytest.mark.parametrize(("given", "name"), [([], "from-the-system"), (["--as", "ada"], "ada")])
def test_is_done_by_the_user_of_the_system_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, given: list[str], name: str
) -> None:
    names: list[str] = []

    async def listed(_: Settings, *, name: str) -> list[str]:
        names.append(name)
        return []

    monkeypatch.setattr(outbox, "listed", listed)
    monkeypatch.setattr(Settings, "read", classmethod(lambda _: some_settings()))
    monkeypatch.setattr("getpass.getuser", lambda: "from-the-system")
    monkeypatch.setattr(cli, "speak_plainly", lambda: None)

    assert cli.main(["outbox", "list", *given]) == 0

    assert names == [name]


AUDIT = """
import logging
from orders.entrypoints.observability.json_logging import configure_audit
configure_audit()
print("ready", flush=True)
for number in range(4_000):
    logging.getLogger("audit").info("record %s of what was done", number)
"""


def test_no_audit_record_of_a_command_is_lost_to_a_slow_reader() -> None:
    command = [sys.executable, "-c", AUDIT]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"ready\n"
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)  # it would end if it did not wait for its reader
        lines = process.stderr.read().splitlines()
    assert len(lines) == 4_000
    assert process.returncode == 0
