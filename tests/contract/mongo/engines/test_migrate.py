"""`orders migrate` on databases that are not as it needs them: it says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from pymongo import MongoClient

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDER_EVENTS, ORDERS, Document
from orders.adapters.mongo.migration import (
    CannotMigrate,
    is_outdated,
    migrate,
    wait_for_database,
)
from tests.support.database.failing_database import FailPoint, guarded_database
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.database.uris import with_option
from tests.support.processes.cluster import Cluster, Shape

IN_A_SET: Final = b"\x02setName\x00\x09\x00\x00\x00secantus\x00"
# As long, with a member that means nothing.
ROUTER: Final = b"\x02msg\x00\x09\x00\x00\x00isdbgrid\x00\x0aXY\x00"
SCALE: Final = b"\x10scaleFactor\x00\x01\x00\x00\x00"
SHARDED: Final = b"\x10sharded\x00\x01\x00\x00\x00\x0aXY\x00"


@pytest.fixture
def own_name(database_uri: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    yield name
    client: MongoClient[Document]
    with closing(MongoClient(database_uri)) as client:
        client.drop_database(name)


@pytest.fixture
async def own(database_uri: str, own_name: str) -> AsyncIterator[Database]:
    """A database without collections."""
    async with open_mongo(database_uri, database=own_name, timeout_seconds=30) as opened:
        yield opened


async def unique_indexes(database: Database, collection: str = ORDERS) -> set[str]:
    information = await database[collection].index_information()
    return {name for name, index in information.items() if index.get("unique")}


# -- shards -----------------------------------------------------------------------------------


async def test_an_engine_that_only_calls_itself_a_cluster_keeps_numbers_unique(
    own: Database, proxy: ForgetfulProxy
) -> None:
    proxy.retell(IN_A_SET, ROUTER)
    async with open_mongo(proxy.uri, database=own.name, timeout_seconds=30) as seen:
        is_router = await seen.client.is_mongos
    if not is_router:
        pytest.skip("the proxy makes a cluster of SecantusDB's replica set only")

    await migrate(proxy.uri, database=own.name)

    assert "number" in await unique_indexes(own)


async def test_sharded_orders_get_no_unique_number(own: Database, proxy: ForgetfulProxy) -> None:
    await own.create_collection(ORDERS)
    proxy.retell(SCALE, SHARDED)
    async with open_mongo(proxy.uri, database=own.name, timeout_seconds=30) as seen:
        if "sharded" not in await seen.command("collStats", ORDERS):
            pytest.skip("the engine says nothing that the proxy can make a shard of")

    await migrate(proxy.uri, database=own.name)

    assert "number" in await own[ORDERS].index_information()
    assert await unique_indexes(own) == set()
    # The feed is never sharded.
    assert await unique_indexes(own, ORDER_EVENTS) == {"position", "timeline"}


@pytest.mark.parametrize("key", [["tenant", "number"], ["number"]])
async def test_an_index_of_another_form_is_named_with_the_command_that_drops_it(
    own: Database, database_uri: str, key: list[str]
) -> None:
    """As after orders were moved from a cluster, which cannot keep numbers unique."""
    await own[ORDERS].create_index([(each, 1) for each in key], name="number", unique=len(key) < 2)

    with pytest.raises(CannotMigrate) as refused:
        await migrate(database_uri, database=own.name)

    assert 'drop it with db.orders.dropIndex("number"), and run this again' in str(refused.value)
    assert {*await own[ORDERS].index_information()} == {"_id_", "number"}
    await own[ORDERS].drop_index("number")
    await migrate(database_uri, database=own.name)
    assert "number" in await unique_indexes(own)


# -- what an engine lacks ---------------------------------------------------------------------


NO_PARTIAL: Final = b"partialFilterExpression\x00", b"partialFilterExpressioX\x00"
NO_UNIQUE: Final = b"\x08unique\x00\x01", b"\x08hidden\x00\x00"
NO_SPARSE: Final = b"\x08sparse\x00\x01", b"\x08hidden\x00\x00"


async def test_an_index_that_an_engine_refuses_is_named(
    own: Database, proxy: ForgetfulProxy
) -> None:
    proxy.reask(*NO_PARTIAL)
    lines: list[str] = []

    try:
        await migrate(proxy.uri, database=own.name, report=lines.append)
    except CannotMigrate as refused:
        lines.append(str(refused))

    # Some engines ignore what they do not know: that costs space, and is reported.
    refused_index = "the database refuses the partial index list_by_return_status of orders, "
    ignored = "the database keeps all orders in indexes for some: list_by_return_status, "
    assert lines[0].startswith((refused_index, ignored))


async def test_unique_indexes_that_an_engine_ignores_are_named(
    own: Database, proxy: ForgetfulProxy
) -> None:
    proxy.reask(*NO_UNIQUE)

    with pytest.raises(CannotMigrate, match="does not keep the unique index number of orders"):
        await migrate(proxy.uri, database=own.name)


async def test_indexes_that_hold_more_than_they_need_are_reported(
    own: Database, proxy: ForgetfulProxy
) -> None:
    proxy.reask(*NO_SPARSE)
    lines: list[str] = []

    await migrate(proxy.uri, database=own.name, report=lines.append)

    queues = "outbox_claim, publisher_lag_rabbitmq, publisher_lag_kafka, work_claim"
    assert lines == [f"the database keeps all orders in indexes for some: {queues}"]


async def test_numbers_that_are_not_unique_are_named_without_a_value(
    own: Database, database_uri: str
) -> None:
    await own[ORDERS].insert_many([{"tenant": "shop", "number": "N-1", "_id": n} for n in range(2)])

    with pytest.raises(CannotMigrate) as refused:
        await migrate(database_uri, database=own.name)

    assert str(refused.value) == (
        "the unique index number of orders cannot be created: some documents have the same key"
    )


# -- a database that refuses, or does not answer -------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (18, "the database refuses the user name or the password of ORDERS_MONGO_URI"),
        (13, "the user of ORDERS_MONGO_URI may not do this: it needs the role readWrite"),
        (59, "the database refuses a command: OperationFailure 59"),
    ],
)
async def test_what_the_database_refuses_is_told_in_plain_words(
    own: Database, database_uri: str, point: FailPoint, code: int, said: str
) -> None:
    point.fail("ping", errorCode=code)
    with pytest.raises(CannotMigrate) as refused:
        await wait_for_database(database_uri, seconds=0, report=print)
    assert str(refused.value) == said

    point.fail("listIndexes", errorCode=code)
    with pytest.raises(CannotMigrate) as refused:
        await migrate(database_uri, database=own.name)
    assert str(refused.value) == said


def test_a_wrong_password_is_told_in_one_line_without_it(tmp_path: Path) -> None:
    pytest.importorskip("secantus", reason="the database with a password is SecantusDB's")
    with guarded_database(tmp_path / "data") as uri:
        ran = [_migrated(tmp_path, each) for each in (uri, uri.replace("p%40ss", "p%40st"))]

    assert [each.returncode for each in ran] == [0, 1], ran
    assert ran[1].stdout + ran[1].stderr == (
        "orders: the database refuses the user name or the password of ORDERS_MONGO_URI\n"
    )


def _migrated(folder: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """What `orders migrate` prints, and how it ends."""
    return subprocess.run(
        [sys.executable, "-m", "orders", "migrate"],
        env=Cluster(folder / "orders", Shape(mongo_uri=uri)).environ,
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_database_that_refuses_at_first_is_waited_for(
    database_uri: str, point: FailPoint
) -> None:
    """A user may be made a moment after the server is up."""
    point.fail_once("ping", errorCode=18)

    await wait_for_database(database_uri, seconds=60, report=print)


async def test_a_server_that_cannot_answer_is_no_wrong_password(dead_port: int) -> None:
    uri = f"mongodb://orders:hunter2@127.0.0.1:{dead_port}/"

    with pytest.raises(CannotMigrate) as refused:
        await wait_for_database(uri, seconds=0, report=print)

    assert str(refused.value) == "the database does not answer: see ORDERS_MONGO_URI"


@pytest.mark.parametrize(
    ("version", "is_old"),
    [
        ("5.0.0", True),
        ("7.0.34", True),
        ("7.0.35", False),
        ("7.3.1", False),
        ("8.0.23", True),
        ("8.0.24-rc0", True),
        ("8.0.24", False),
        ("8.2.1", False),
        ("unknown", False),
    ],
)
def test_a_release_with_known_faults_is_told_from_a_later_one(version: str, is_old: bool) -> None:
    assert is_outdated(version) is is_old


async def test_options_of_an_address_are_kept(database_uri: str, own: Database) -> None:
    await migrate(with_option(database_uri, "retryWrites=false"), database=own.name)

    assert await unique_indexes(own, ORDER_EVENTS) == {"position", "timeline"}
