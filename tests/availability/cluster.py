"""The service as the experiments have it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from orders.entrypoints.sandbox.database import database_uri
from orders.entrypoints.sandbox.stack import accepts
from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.cluster import Process, Shape, cluster
from tests.support.processes.fleet import Fleet
from tests.support.processes.service import Running


@contextmanager
def staged(
    folder: Path,
    options: argparse.Namespace,
    *,
    apis: int = 1,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """A fleet over the embedded database, or over the program that was named."""
    with ExitStack() as stack:
        uri = None
        if options.database:
            uri = stack.enter_context(_served(folder, options.database))
        folder = folder / "cluster"
        shape = Shape(apis=apis, environ=environ or {}, mongo_uri=uri)
        started = stack.enter_context(cluster(folder, shape))
        client = stack.enter_context(httpx.Client(base_url=started.apis[0], timeout=30))
        yield Fleet(started, Running(started.apis[0], folder, started.addresses(), client))


@contextmanager
def _served(folder: Path, program: str) -> Iterator[str]:
    (port,) = free_ports(1)
    # fmt: off
    command = [
        program, "--host", "127.0.0.1", "--port", str(port),
        "--storage-path", str(folder / "database"), "--sync-on-commit", "--log-level", "WARNING",
    ]
    # fmt: on
    process = Process(
        "database",
        command,
        environ={},
        log=folder / "database.log",
        answers=lambda: accepts(port),
    )
    process.start()
    try:
        process.wait_until_up()
        yield database_uri(port)
    finally:
        process.kill()
