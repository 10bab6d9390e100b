"""The HTTP server: uvicorn in processes of its own, and the one that starts and ends them.

The parent takes the port, so none is lost while workers come and go. It hears signals in one
place, one after the other: SIGTERM drains and stops, a second one or SIGINT (Ctrl-C) stops at
once, SIGHUP replaces the workers.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_bool
from functools import partial
from multiprocessing import connection
from typing import TYPE_CHECKING

import uvicorn

from orders.entrypoints import logs
from orders.entrypoints.metrics_server import metrics_of_children
from orders.entrypoints.processes import ProcessFailed, end_with
from orders.entrypoints.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

    from orders.entrypoints.http.overload import OverloadProtection

Build = Callable[..., "Litestar"]

_BACKLOG = 4_096
_MOST_FILES = 65_536
_COLLECT_AFTER = (10_000, 20, 100)
"""Objects, and collections of the younger, before garbage in circles is looked for.

A page of orders is some thousand objects: Python would look several times meanwhile.
"""
_STOP = signal.SIGINT
"""Tells a worker to finish what is in flight and go; SIGTERM does not reach it."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_EXIT_WITHIN_SECONDS = 28  # of the 30 that an orchestrator gives
_UP_WITHIN_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_CRASHED_SECONDS = 3.0
"""A worker that ends sooner than this would only be followed by others that do."""
_log = logging.getLogger(__name__)


class Draining:
    """Whether this server was told to stop. Shared by its processes, without a lock."""

    def __init__(self) -> None:
        self._flag = multiprocessing.get_context("fork").RawValue(c_bool, False)

    def __call__(self) -> bool:
        return bool(self._flag.value)

    def begin(self) -> None:
        """Make it true, for ever and in every process."""
        self._flag.value = True


def serve(settings: Settings, build: Build | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT, then finish what is in flight, within 30 s.

    `build` makes the application in each worker process; without it, that of the service.

    Raises:
        ProcessFailed: If the port is taken.
        SystemExit: With 1 if a worker crashes as soon as it was started.
    """
    logs.configure(settings.log_level)
    _raise_open_files()
    with (
        _listening(settings.host, settings.port) as listening,
        _signals_wait(),
        metrics_of_children(settings.host, settings.metrics_port),
    ):
        draining = Draining()
        work = partial(_work, settings, draining, os.getpid(), build, listening)
        _Workers(work, settings.workers).run(draining, settings.drain_seconds)


class _Worker:
    """A process that serves."""

    def __init__(self, work: Callable[[connection.Connection], None]) -> None:
        # Forked: it has the application's settings, and the sockets, without being told.
        context = multiprocessing.get_context("fork")
        self._up, up = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(up,))
        self._served = False
        self.began = time.monotonic()
        self.process.start()
        up.close()

    def is_up(self) -> bool:
        """Wait until it serves; False if it ended instead, takes too long, or we are to go."""
        give_up_at = time.monotonic() + _UP_WITHIN_SECONDS
        try:
            while not self._served:
                self._served = self._up.poll(_LOOK_SECONDS) and bool(self._up.recv())
                if time.monotonic() > give_up_at or _are_told_to_go():
                    break
        except EOFError:
            return False
        return self._served

    def stop(self) -> None:
        """Let it finish what is in flight, and go."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, _STOP)

    def has_crashed(self) -> bool:
        """Whether it has ended by itself, as soon as it was started or before it served."""
        if self.process.is_alive():
            return False
        return time.monotonic() - self.began < _CRASHED_SECONDS or not self.is_up()


class _Workers:
    """Keeps so many workers, until they are told to go."""

    def __init__(self, work: Callable[[connection.Connection], None], count: int) -> None:
        self._work = work
        self._workers = [_Worker(work) for _ in range(count)]
        self._leaving: Sequence[_Worker] = ()

    def run(self, draining: Draining, drain_seconds: float) -> None:
        """Do as signals say, and return when no worker is left."""
        try:
            while (heard := signal.sigwait(_HEARD)) not in {signal.SIGTERM, signal.SIGINT}:
                if heard == signal.SIGHUP:
                    self._replace()
                else:
                    self._revive()
            if heard == signal.SIGTERM:
                # Readiness is off first: load balancers see it before the port is closed.
                draining.begin()
                signal.sigtimedwait({signal.SIGTERM, signal.SIGINT}, drain_seconds)
        finally:
            spent = drain_seconds if draining() else 0.0
            _end([*self._workers, *self._leaving], within_seconds=_EXIT_WITHIN_SECONDS - spent)

    def _revive(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.has_crashed():
                raise SystemExit(1)
            if not worker.process.is_alive():
                _log.error("a worker ended by itself: %s", worker.process.exitcode)
                self._workers[place] = _Worker(self._work)

    def _replace(self) -> None:
        """Start new workers, and let the old ones go when those serve."""
        fresh = [_Worker(self._work) for _ in self._workers]
        if all(worker.is_up() for worker in fresh):
            self._workers, fresh = fresh, self._workers
        elif not _are_told_to_go():
            _log.error("the new workers do not serve: the old ones stay")
        self._leaving = fresh
        _end(fresh, within_seconds=_EXIT_WITHIN_SECONDS, unless=_are_told_to_go)


def _are_told_to_go() -> bool:
    """Whether a signal to stop waits to be heard: it comes before whatever we wait for."""
    return bool(signal.sigpending() & {signal.SIGTERM, signal.SIGINT})


def _end(
    workers: Sequence[_Worker],
    *,
    within_seconds: float,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """Tell workers to go, and kill those that do not; leave it `unless` we may not wait."""
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + within_seconds
    for worker in workers:
        while worker.process.is_alive() and time.monotonic() < deadline:
            if unless():
                return
            worker.process.join(_LOOK_SECONDS)
        if worker.process.is_alive():
            _log.error("a worker did not go within %g s: killed", within_seconds)
            worker.process.kill()
            worker.process.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as trouble:
        raise ProcessFailed(f"port {port} on {host} is taken (the API)") from trouble
    with listening:
        yield listening


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals wait until they are asked for; also those to threads and processes made here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        yield
    finally:
        while signal.sigtimedwait(_HEARD, 0):  # what came too late to be asked for
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
        signal.signal(_STOP, self.handle_exit)
        yield


def server_config(
    app: Litestar,
    overload: OverloadProtection,
    is_draining: Callable[[], bool],
    *,
    end_within_seconds: int,
) -> uvicorn.Config:
    """How uvicorn serves an application over our connections."""
    from orders.entrypoints.http.connections import connections  # noqa: PLC0415  # not in the parent

    return uvicorn.Config(
        app,
        interface="asgi3",
        http=connections(overload, is_draining),
        ws="none",
        loop="uvloop",
        lifespan="on",
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
    signal.signal(_STOP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_STOP})
    end_with(parent, by=_STOP)
    logs.configure(settings.log_level)
    app = _application(settings, draining, build)
    within = _EXIT_WITHIN_SECONDS - settings.drain_seconds
    config = server_config(app, app.state.overload, draining, end_within_seconds=round(within))
    _Server(config, up).run([listening])


def _application(settings: Settings, draining: Draining, build: Build | None) -> Litestar:
    from orders.entrypoints.http.app import create_app  # noqa: PLC0415  # not in the parent

    app = (build or create_app)(settings, is_draining=draining)
    # What is there now stays; what requests make goes when they end, by its count of references.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    return app
