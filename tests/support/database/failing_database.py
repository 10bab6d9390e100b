"""A database that answers what a test wants: MongoDB's fail points, as SecantusDB has them, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from orders.entrypoints.sandbox.database import database_command, embedded_database

NO_MAJORITY = {"code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting timed out"}
"""What a server says beside the result of a write that it could not replicate in time."""


def failing_database_command(storage_path: Path, port: int) -> Sequence[str]:
    """The command that serves what is stored, and fails when it is told to."""
    return [*database_command(storage_path, port), "--enable-test-commands"]


def stand_alone_database_command(storage_path: Path, port: int) -> Sequence[str]:
    """As `failing_database_command`, by a server that is in no replica set."""
    return [*failing_database_command(storage_path, port), "--standalone"]


@contextmanager
def guarded_database(storage_path: Path) -> Iterator[str]:
    """A database that asks for a user and a password, whose signs an address must escape."""
    with (
        embedded_database(storage_path) as uri,
        MongoClient[dict[str, object]](uri) as client,
    ):
        roles = [{"role": "root", "db": "admin"}]
        client.admin.command("createUser", "orders", pwd="p@ss/word", roles=roles)

    def command(path: Path, port: int) -> Sequence[str]:
        return [*failing_database_command(path, port), "--auth"]

    with embedded_database(storage_path, command=command) as uri:
        yield f"{uri.replace('mongodb://', 'mongodb://orders:p%40ss%2Fword@')}?authSource=admin"


class FailPoint:
    """Has the commands of the service fail; those of whoever sets it up do not."""

    def __init__(self, client: MongoClient[dict[str, object]]) -> None:
        self._client = client

    def fail(self, *commands: str, **how: object) -> None:
        """From now on: `errorCode`, `errorLabels`, `writeConcernError`, `closeConnection`."""
        data = {"failCommands": list(commands), "appName": "orders", **how}
        self._configure(mode="alwaysOn", data=data)

    def fail_once(self, *commands: str, **how: object) -> None:
        """As `fail`, for the next of these commands only."""
        data = {"failCommands": list(commands), "appName": "orders", **how}
        self._configure(mode={"times": 1}, data=data)

    def fail_from(self, count: int, *commands: str, **how: object) -> None:
        """As `fail`, after the next `count` of these commands."""
        data = {"failCommands": list(commands), "appName": "orders", **how}
        self._configure(mode={"skip": count}, data=data)

    def off(self) -> None:
        """Fail no more."""
        self._configure(mode="off")

    def _configure(self, **how: Any) -> None:
        self._client.admin.command("configureFailPoint", "failCommand", **how)


@contextmanager
def fail_point(uri: str) -> Iterator[FailPoint]:
    """A fail point of the server at `uri`; off in the end. Skips where servers have none."""
    client: MongoClient[dict[str, object]]
    with MongoClient(uri, appname="test") as client:
        point = FailPoint(client)
        try:
            point.off()
        except OperationFailure:
            pytest.skip("the database has no fail points: start it with enableTestCommands=1")
        try:
            yield point
        finally:
            point.off()
