"""A database for development and tests: SecantusDB, in a separate process.

It speaks MongoDB's wire protocol. Its licence is GPL-2, so nothing here imports it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orders.entrypoints.server.child_processes import ProcessFailed, end_with, free_ports, is_taken

_HOST = "127.0.0.1"
_START_SECONDS = 30


def database_uri(port: int) -> str:
    """Return the address of the database at `port`; it listens on this machine only."""
    return f"mongodb://{_HOST}:{port}/"


def database_command(storage_path: Path, port: int) -> Sequence[str]:
    """Return the command that serves the data at `storage_path`; commits are synced.

    Raises:
        ProcessFailed: If it is not installed.
    """
    if importlib.util.find_spec("secantus") is None:
        raise ProcessFailed("no embedded database: pip install 'orders[service,sandbox]'")
    # fmt: off
    return [
        sys.executable, "-m", "secantus", "--host", _HOST, "--port", str(port),
        "--storage-path", str(storage_path), "--sync-on-commit", "--log-level", "WARNING",
    ]
    # fmt: on


def answers_ping(uri: str) -> bool:
    """Whether a database responds at `uri` within one second."""
    from pymongo import MongoClient  # noqa: PLC0415  # slow to import
    from pymongo.errors import PyMongoError  # noqa: PLC0415

    client: MongoClient[dict[str, object]] = MongoClient(uri, serverSelectionTimeoutMS=1000)
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


@contextmanager
def embedded_database(
    storage_path: Path,
    port: int | None = None,
    *,
    command: Callable[[Path, int], Sequence[str]] = database_command,
) -> Iterator[str]:
    """Run a database until the block is left, and yield its URI once it responds.

    `storage_path` is created if it is missing; existing data is served again. Without `port`, a
    free port is used. `command` returns the server's command line. Enter the block in the main
    thread: see `end_with`.

    Raises:
        ProcessFailed: If the port is taken, or the database does not come up within 30 s.
    """
    port = port or free_ports(1)[0]
    if is_taken(_HOST, port):
        raise ProcessFailed(f"port {port} on {_HOST} is in use (the database)")
    storage_path.mkdir(parents=True, exist_ok=True)
    log = storage_path.with_name(f"{storage_path.name}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own command
            command(storage_path, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509  # one system call
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not answers_ping(database_uri(port)):
            if process.poll() is None and time.monotonic() < deadline:
                continue
            raise ProcessFailed(f"the database does not answer; its log is {log}")
        yield database_uri(port)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
