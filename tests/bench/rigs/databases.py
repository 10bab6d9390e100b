"""The database that a run is made on: the one given, or the fastest that this machine has."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pymongo

from orders.entrypoints.sandbox.database import answers_ping, database_command, database_uri
from orders.entrypoints.server.child_processes import ProcessFailed, free_ports
from tests.bench.results.accounting import family_of
from tests.bench.rigs.children import running

FAST: Final = "SECANTUS_BIN"
"""Where `make bench-database` has put the fast server, if not on the path."""
_NAME: Final = "secantusd-rs"
_PATIENCE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Database:
    """A running server. Without a process of ours its cost cannot be told."""

    kind: str
    uri: str
    pid: int | None

    def family(self) -> list[int]:
        """Its processes, if they are ours."""
        return [] if self.pid is None else family_of(self.pid)


@contextmanager
def running_database(storage: Path, given: str | None) -> Iterator[Database]:
    """The database at `given`, else a fast one, else the embedded one, until the block is left."""
    if given:
        yield Database(f"given, {_version_of(given)}", given, None)
        return
    port = free_ports(1)[0]
    fast = fast_server()
    if fast is None:
        kind, command = "SecantusDB for Python", list(database_command(storage, port))
    else:
        kind = "SecantusDB for Rust"
        command = [str(fast), *_options(storage, port)]
    storage.mkdir(parents=True, exist_ok=True)
    with running(command, storage.with_name("database.log")) as process:
        uri = database_uri(port)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not answers_ping(uri):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ProcessFailed(f"the database does not answer: {command}")
        yield Database(f"{kind}, {_version_of(uri)}", uri, process.pid)


def fast_server() -> Path | None:
    """The Rust sibling of the embedded database, if it is installed."""
    if told := os.environ.get(FAST):
        return Path(told)
    found = shutil.which(_NAME, path=".bench/bin") or shutil.which(_NAME)
    return Path(found).resolve() if found else None


def _options(storage: Path, port: int) -> list[str]:
    # As durable as what the service asks of MongoDB: a write is answered once it is on disk.
    durable = ["--sync-on-commit", "--log-level", "WARNING"]
    return ["--host", "127.0.0.1", "--port", str(port), "--storage-path", str(storage), *durable]


def _version_of(uri: str) -> str:
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        return f"speaks as MongoDB {client.server_info()['version']}"
