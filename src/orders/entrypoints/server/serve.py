"""`orders serve`: a parent process holds the port, and its worker processes run uvicorn."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from multiprocessing import connection
from typing import TYPE_CHECKING, Final, cast

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
    from litestar import Litestar

    from orders.entrypoints.http.middleware.overload import OverloadProtection

Build = Callable[..., "Litestar"]

TESTED_VERSIONS: Final = {"uvicorn": "0.54", "httptools": "0.9"}
"""Minor versions that `uvicorn_protocol` works with. With others, uvicorn runs as it comes."""
_STOCK_LACKS: Final = (
    "uvicorn runs without the service's own protocol, which was tested with %s, not with %s: a"
    " slow request head or response has no time limit, a head may be larger and end its lines in a"
    " bare LF, a refusal under overload costs more, and a malformed request gets a plain text"
    " response"
)
_BACKLOG = 4_096
_MAX_OPEN_FILES = 65_536
_CLOSE_SECONDS = 2
"""For the application to close its connections after the last response."""
_GC_THRESHOLDS = (10_000, 20, 100)
"""A page of orders makes some thousand objects: the defaults would collect several times for it."""
_KEEP_ALIVE_SECONDS = 10
"""The gateway closes idle connections after 5 s, so never while we close them. Only stock uvicorn
reads this: in our protocol an idle connection waits for a head, as long."""
KEEP_ALIVE: Final = ("keep-alive", f"timeout={_KEEP_ALIVE_SECONDS - 1}")
"""Tells clients how long they may keep an idle connection: a second less than this side does, so
that none sends a request over a connection that is just being closed.
"""
_log = logging.getLogger(__name__)


def serve(settings: Settings, build: Build | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT, then finish the running requests within 30 s.

    Each worker process makes its application with `build`, or else the service's.

    Raises:
        ProcessFailed: If the port is taken.
        SettingsError: If this process may not listen there.
        SystemExit: With 1 if a worker crashes while it starts.
    """
    _raise_open_files()
    with (
        signals_wait(),
        logs.kept(settings.log_level),
        _listening(settings.host, settings.port) as listening,
        metrics_of_children(settings.host, settings.metrics_port),
    ):
        if untested := _untested_versions():
            tested = _listed(TESTED_VERSIONS.items())
            _log.warning(_STOCK_LACKS, tested, _listed(untested))
        draining = Draining()
        work = partial(_work, settings, draining, os.getpid(), build, listening)
        supervisor = Supervisor(work, settings.workers, close_port=listening.close)
        supervisor.run(draining, settings.drain_seconds)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=host == "::"
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ProcessFailed(f"port {port} on {host} is in use (the API)") from error
        if error.errno == errno.EACCES:
            raise SettingsError(
                ["ORDERS_PORT cannot be used: the process lacks the permission"]
            ) from error
        reason = "cannot be used: this machine has no such address"
        raise SettingsError([f"ORDERS_HOST {reason}"]) from error
    with listening:
        yield listening


def _raise_open_files() -> None:
    """Allow as many connections as the system does, so that idle ones do not keep others out."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


class _Server(uvicorn.Server):
    """Reports when it serves, resets no connection when it stops, and exits with 0 after a signal.

    Faults of uvicorn: it reports nothing, resets connections that wait to be accepted, and raises
    the signal again when it has finished. Can go when uvicorn has hooks for all three.
    """

    def __init__(self, config: uvicorn.Config, up: connection.Connection) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.send(True)
        self._up.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: take the connections that wait to be accepted, close the port, finish."""
        for listening in sockets or ():
            await self._accept_waiting(listening)
        await super().shutdown(sockets)

    async def _accept_waiting(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:  # none waits
                return
            await loop.connect_accepted_socket(self._connection, accepted)

    def _connection(self) -> asyncio.Protocol:
        """Return the protocol of a new connection, as `startup` makes it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def handle_exit(self, *_: object) -> None:
        """Finish, however many signals come: Ctrl-C reaches a worker and its parent."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(STOP, self.handle_exit)
        yield


def server_config(
    app: Litestar,
    overload: OverloadProtection,
    is_draining: Callable[[], bool],
    *,
    end_within_seconds: int,
) -> uvicorn.Config:
    """Return uvicorn's configuration for a worker process."""
    return uvicorn.Config(
        app,
        interface="asgi3",
        # h11 as the stock protocol: it reads the body behind an upgrade offer.
        http="h11" if _untested_versions() else _own_protocol(overload, is_draining),
        ws="none",
        loop="uvloop",
        lifespan="on",
        backlog=_BACKLOG,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[KEEP_ALIVE],
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=end_within_seconds,
    )


def _own_protocol(
    overload: OverloadProtection, is_draining: Callable[[], bool]
) -> type[asyncio.Protocol]:
    from orders.entrypoints.server.uvicorn_protocol import Connection  # noqa: PLC0415  # not in the parent

    return cast("type[asyncio.Protocol]", partial(Connection, overload, is_draining))


def _untested_versions() -> list[tuple[str, str]]:
    """Packages whose installed version is not one of `TESTED_VERSIONS`."""
    installed = [(name, metadata.version(name)) for name in TESTED_VERSIONS]
    return [
        (name, version)
        for name, version in installed
        if not version.startswith(f"{TESTED_VERSIONS[name]}.")
    ]


def _listed(versions: Iterable[tuple[str, str]]) -> str:
    return " and ".join(f"{name} {version}" for name, version in versions)


def _work(
    settings: Settings,
    draining: Draining,
    parent: int,
    build: Build | None,
    listening: socket.socket,
    up: connection.Connection,
) -> None:
    """Serve, in a worker process."""
    # Some supervisors send SIGTERM to all processes. Only the parent acts on it: it drains first.
    # Until the server handles STOP, that signal simply ends this process.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    signal.signal(STOP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP})
    end_with(parent, by=STOP)
    with logs.kept(settings.log_level):
        app = _application(settings, draining, build)
        # The worker must exit before its parent kills it.
        within = EXIT_WITHIN_SECONDS - settings.drain_seconds - _CLOSE_SECONDS
        config = server_config(app, app.state.overload, draining, end_within_seconds=round(within))
        _Server(config, up).run([listening])


def _application(settings: Settings, draining: Draining, build: Build | None) -> Litestar:
    from orders.entrypoints.server import application  # noqa: PLC0415  # not in the parent

    app = (build or application.build)(settings, is_draining=draining)
    # The collector skips what exists now: it stays. Requests free their objects by reference count.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    return app
