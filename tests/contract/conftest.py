"""Databases for the contracts, each test with one of its own, and lost ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from uuid import uuid4

import pytest
from pymongo import MongoClient
from testcontainers.core.container import DockerContainer

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.documents import ORDER_EVENTS, ORDERS, Document
from orders.adapters.mongo.migration import migrate
from tests.support.database.connecting import cancelled_connections_are_closed
from tests.support.database.failing_database import FailPoint, fail_point
from tests.support.database.faulty_proxy import ForgetfulProxy

IMAGE = "mongo:7"
_COMMAND = "--replSet rs0 --setParameter enableTestCommands=1"


@pytest.fixture(scope="session", autouse=True)
def no_connection_outlives_its_test() -> Iterator[None]:
    with cancelled_connections_are_closed():
        yield


def _which() -> str:
    if os.environ.get("ORDERS_TEST_MONGO_URI"):
        return "given"
    engine = shutil.which("docker")
    if engine is None:
        return "embedded"
    # Only an image that is here already: a test run fetches nothing.
    there = subprocess.run([engine, "image", "inspect", IMAGE], capture_output=True, check=False)
    return "container" if there.returncode == 0 else "embedded"


@pytest.fixture(scope="session", params=[_which()])
def database_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    """One server for the whole run; the test's id says which kind."""
    if request.param != "container":
        yield request.getfixturevalue("mongo_uri")
        return
    server = DockerContainer(IMAGE).with_command(_COMMAND).with_exposed_ports(27017)
    with server:
        address = f"{server.get_container_host_ip()}:{server.get_exposed_port(27017)}"
        uri = f"mongodb://{address}/?directConnection=true"
        client: MongoClient[Document]
        with closing(MongoClient(uri)) as client:
            members = [{"_id": 0, "host": "127.0.0.1:27017"}]
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                pass
        yield uri


@pytest.fixture(scope="session")
def migrated(database_uri: str) -> Iterator[str]:
    """The name of a database of this run's own, with all indexes."""
    name = f"test_{uuid4().hex}"
    asyncio.run(migrate(database_uri, database=name))
    yield name
    client: MongoClient[Document]
    with closing(MongoClient(database_uri)) as client:
        client.drop_database(name)


@pytest.fixture
async def database(database_uri: str, migrated: str) -> AsyncIterator[Database]:
    """A database with all indexes and no data, and time for a machine that is busy."""
    async with open_mongo(database_uri, database=migrated, timeout_seconds=30) as opened:
        for collection in (ORDERS, ORDER_EVENTS):
            await opened[collection].delete_many({})
        yield opened


@pytest.fixture
def database_name(database: Database) -> str:
    """The name of `database`, for connections of the test's own."""
    return database.name


@pytest.fixture(params=["refuses", "hangs"])
async def dead_port(request: pytest.FixtureRequest, unused_tcp_port: int) -> AsyncIterator[int]:
    """A port where nobody listens, or somebody who never says a word."""
    if request.param == "refuses":
        yield unused_tcp_port
        return
    silent: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(lambda _, writer: silent.add(writer), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in silent:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def lost_database(dead_port: int) -> AsyncIterator[Database]:
    """A database, with the service's own time limits, that never answers."""
    async with open_mongo(f"mongodb://127.0.0.1:{dead_port}/", database="lost") as opened:
        yield opened


@pytest.fixture
def point(database_uri: str) -> Iterator[FailPoint]:
    """What makes commands of the service fail."""
    if os.environ.get("ORDERS_TEST_MONGO_URI") and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("other test processes use this database: run these tests in one process")
    with fail_point(database_uri) as found:
        yield found


@pytest.fixture
async def proxy(database_uri: str) -> AsyncIterator[ForgetfulProxy]:
    """A way to the database that can lose answers, and be cut."""
    async with ForgetfulProxy(database_uri) as running:
        yield running


@pytest.fixture
async def retries_writes(database: Database) -> bool:
    """Whether the driver sends a write again whose answer was lost: not to a stand-alone server.

    There, whoever called is told to try again.
    """
    await database.client.admin.command("ping")
    servers = database.client.topology_description.server_descriptions().values()
    can = any(each.retryable_writes_supported for each in servers)
    return can and database.client.options.retry_writes
