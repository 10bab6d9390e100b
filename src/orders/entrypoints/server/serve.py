"""The HTTP server: uvicorn, in processes of its own below one that holds the port."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING, cast

import uvicorn

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.observability import json_logging as logs
from orders.entrypoints.observability.metrics_server import metrics_of_children
from orders.entrypoints.server.child_processes import ProcessFailed, end_with
from orders.entrypoints.server.supervisor import (
    EXIT_WITHIN_SECONDS,
    STOP,
    Draining,
    Supervisor,
    signals_wait,
)
from orders.entrypoints.settings.table import Settings

if TYPE_CHECKING:
    import asyncio

    from litestar import Litestar

    from orders.entrypoints.http.middleware.overload import OverloadProtection

Build = Callable[..., "Litestar"]

_BACKLOG = 4_096
_MOST_FILES = 65_536
_CLOSE_SECONDS = 2
"""For the application's own end, after what was in flight."""
_COLLECT_AFTER = (10_000, 20, 100)
"""Objects, and collections of the younger, before garbage in circles is looked for.

A page of orders is some thousand objects: Python would look several times meanwhile.
"""


def serve(settings: Settings, build: Build | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT, then finish what is in flight, within 30 s.

    `build` makes the application in each worker process; without it, that of the service.

    Raises:
        ProcessFailed: If the port is taken.
        SettingsError: If this process cannot listen there at all.
        SystemExit: With 1 if a worker crashes as soon as it was started.
    """
    _raise_open_files()
    with (
        signals_wait(),
        logs.kept(settings.log_level),
        _listening(settings.host, settings.port) as listening,
        metrics_of_children(settings.host, settings.metrics_port),
    ):
        draining = Draining()
        work = partial(_work, settings, draining, os.getpid(), build, listening)
        Supervisor(work, settings.workers).run(draining, settings.drain_seconds)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
        )
    except OSError as trouble:
        if trouble.errno == errno.EADDRINUSE:
            raise ProcessFailed(f"port {port} on {host} is in use (the API)") from trouble
        if trouble.errno == errno.EACCES:
            raise SettingsError(
                ["ORDERS_PORT cannot be used: the process lacks the permission"]
            ) from trouble
        reason = "cannot be used: this machine has no such address"
        raise SettingsError([f"ORDERS_HOST {reason}"]) from trouble
    with listening:
        yield listening


def _raise_open_files() -> None:
    """Take as many connections as the system allows: idle ones would keep all others out."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    """Says when it serves, and ends with 0 when it is told to go."""

    def __init__(self, config: uvicorn.Config, up: connection.Connection) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.send(True)
        self._up.close()

    def handle_exit(self, *_: object) -> None:
        """Finish, however often it is said: Ctrl-C reaches a worker, and its parent says it too."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again when all is done.
        signal.signal(STOP, self.handle_exit)
        yield


def server_config(
    app: Litestar,
    overload: OverloadProtection,
    is_draining: Callable[[], bool],
    *,
    end_within_seconds: int,
) -> uvicorn.Config:
    """How uvicorn serves an application over our connections."""
    from orders.entrypoints.server.uvicorn_protocol import Connection  # noqa: PLC0415  # not in the parent

    return uvicorn.Config(
        app,
        interface="asgi3",
        http=cast("type[asyncio.Protocol]", partial(Connection, overload, is_draining)),
        ws="none",
        loop="uvloop",
        lifespan="on",
        backlog=_BACKLOG,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=end_within_seconds,
    )


def _work(
    settings: Settings,
    draining: Draining,
    parent: int,
    build: Build | None,
    listening: socket.socket,
    up: connection.Connection,
) -> None:
    """Serve, in a worker process."""
    # A SIGTERM to all our processes at once, as some supervisors send it, is for the parent, which
    # drains first. Until the server hears it, the other signal simply ends this process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    signal.signal(STOP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})
    end_with(parent, by=STOP)
    with logs.kept(settings.log_level):
        app = _application(settings, draining, build)
        # Before its parent takes it for stuck.
        within = EXIT_WITHIN_SECONDS - settings.drain_seconds - _CLOSE_SECONDS
        config = server_config(app, app.state.overload, draining, end_within_seconds=round(within))
        _Server(config, up).run([listening])


def _application(settings: Settings, draining: Draining, build: Build | None) -> Litestar:
    from orders.entrypoints.server import application  # noqa: PLC0415  # not in the parent

    app = (build or application.build)(settings, is_draining=draining)
    # What is there now stays; what requests make goes when they end, by its count of references.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    return app
