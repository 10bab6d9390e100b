"""Databases for the contracts, each test with one of its own, and lost ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from testcontainers.core.container import DockerContainer

from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.schema import migrate
from tests.contract.forgetful_proxy import ForgetfulProxy

IMAGE = "mongo:7"


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
    server = DockerContainer(IMAGE).with_command("--replSet rs0").with_exposed_ports(27017)
    with server:
        address = f"{server.get_container_host_ip()}:{server.get_exposed_port(27017)}"
        uri = f"mongodb://{address}/?directConnection=true"
        client: MongoClient[dict[str, Any]]
        with closing(MongoClient(uri)) as client:
            members = [{"_id": 0, "host": "127.0.0.1:27017"}]
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                pass
        yield uri


@pytest.fixture
async def database_name(database_uri: str) -> AsyncIterator[str]:
    """The name of a database with all indexes and no data; it is dropped after the test."""
    name = f"test_{uuid4().hex}"
    await migrate(database_uri, database=name)
    yield name
    async with open_mongo(database_uri, database=name, timeout_seconds=30) as database:
        await database.client.drop_database(name)


@pytest.fixture
async def database(database_uri: str, database_name: str) -> AsyncIterator[Database]:
    async with open_mongo(database_uri, database=database_name, timeout_seconds=30) as opened:
        yield opened


@pytest.fixture(params=["refuses", "hangs"])
async def lost_database(
    request: pytest.FixtureRequest, unused_tcp_port: int
) -> AsyncIterator[Database]:
    """A database with the service's own time limits behind an address that never answers."""
    silent: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(lambda _, writer: silent.add(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1] if request.param == "hangs" else unused_tcp_port
    async with open_mongo(f"mongodb://127.0.0.1:{port}/", database="lost") as opened:
        yield opened
    server.close()
    for writer in silent:
        writer.close()


@pytest.fixture
async def proxy(database_uri: str) -> AsyncIterator[ForgetfulProxy]:
    """A way to the database that can lose answers, and be cut."""
    host, port = database_uri.removeprefix("mongodb://").split("/")[0].split("@")[-1].split(":")
    async with ForgetfulProxy(host, int(port)) as running:
        yield running
