"""The HTTP server: granian, with a drain between SIGTERM and the closing of the port."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from ctypes import c_bool
from functools import partial
from typing import TYPE_CHECKING, Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from orders.entrypoints import logs
from orders.entrypoints.metrics_server import metrics_of_children
from orders.entrypoints.processes import ProcessFailed, end_with, is_taken
from orders.entrypoints.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

Build = Callable[..., "Litestar"]

_BACKLOG = 4_096
_MOST_FILES = 65_536
_OTHER_FILES = 256
"""Descriptors of a process that are no caller's connection."""
_COLLECT_AFTER = (10_000, 20, 100)
"""Objects, and collections of the younger, before garbage in circles is looked for.

A page of orders is some thousand objects: Python would look several times meanwhile.
"""
_STOP = signal.SIGINT
"""Tells a worker process to finish what is in flight and go; SIGTERM does not reach it."""
_EXIT_WITHIN_SECONDS = 28  # of the 30 that an orchestrator gives
# What granian says goes the way of all logs.
_NO_HANDLERS_OF_ITS_OWN = {
    "loggers": {
        name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")
    }
}


class Draining:
    """Whether this server was told to stop. Shared by its processes, without a lock."""

    def __init__(self) -> None:
        self._flag = multiprocessing.get_context().RawValue(c_bool, False)

    def __call__(self) -> bool:
        return bool(self._flag.value)

    def begin(self) -> None:
        """Make it true, for ever and in every process."""
        self._flag.value = True


class _DrainingServer(MPServer):
    """Granian closes its port at SIGTERM; this one first lets load balancers see readiness off."""

    def __init__(self, draining: Draining, drain_seconds: float, **options: Any) -> None:
        super().__init__("orders", **options)
        self._draining = draining
        self._drain_seconds = drain_seconds

    def signal_handler_interrupt(self, *received: Any, **_: Any) -> None:
        """Drain at the first SIGTERM; stop at once at a second signal, or at Ctrl-C."""
        if self._draining() or received[0] != signal.SIGTERM:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]
        else:
            self._draining.begin()
            delay = threading.Timer(self._drain_seconds, super().signal_handler_interrupt)
            delay.daemon = True
            delay.start()

    def _spawn_worker(self, *what: Any, **more: Any) -> WorkerProcess:
        worker: WorkerProcess = super()._spawn_worker(*what, **more)
        worker.terminate = partial(_end, worker)  # type: ignore[method-assign]
        return worker


def serve(settings: Settings, build: Build | None = None) -> None:
    """Serve the API until SIGTERM or SIGINT, then finish what is in flight, within 30 s.

    `build` makes the application in each worker process; without it, that of the service.

    Raises:
        ProcessFailed: If the port is taken.
        SystemExit: With 1 if a worker process crashes again and again.
    """
    if settings.port and is_taken(settings.host, settings.port):
        raise ProcessFailed(f"port {settings.port} on {settings.host} is taken (the API)")
    logs.configure(settings.log_level)
    draining = Draining()
    server = _DrainingServer(
        draining,
        settings.drain_seconds,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        loop=Loops.auto if sys.platform == "win32" else Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),  # ms
        backlog=_BACKLOG,
        backpressure=_open_files() - _OTHER_FILES,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig=_NO_HANDLERS_OF_ITS_OWN,
        respawn_failed_workers=True,
        workers_kill_timeout=round(_EXIT_WITHIN_SECONDS - settings.drain_seconds),
    )
    load = partial(_application, settings, draining, os.getpid(), build)
    with metrics_of_children(settings.host, settings.metrics_port):
        server.serve(target_loader=load, wrap_loader=False)


def _end(worker: WorkerProcess) -> None:
    """Tell a worker process to finish and go, in the one way that reaches it."""
    worker.interrupt_by_parent = True
    if worker.inner.is_alive():
        os.kill(worker.inner.pid, _STOP)


def _open_files() -> int:
    """Raise the number of open files to what the system allows, and return it.

    Granian takes as many connections as it has places for requests waiting, by default: those
    that are idle, or that say nothing, would keep all others out.
    """
    if sys.platform == "win32":
        return _MOST_FILES
    import resource  # noqa: PLC0415  # not there on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def _application(
    settings: Settings, draining: Draining, parent: int, build: Build | None
) -> Litestar:
    """Build the application, in the worker process that will run it."""
    from orders.entrypoints.http.app import create_app  # noqa: PLC0415  # not in the parent

    # A SIGTERM to all our processes at once, as some supervisors send it, is for the parent, which
    # drains first. Until the server takes the other signal over, it simply ends this process.
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.signal(_STOP, signal.SIG_DFL)
    end_with(parent, by=_STOP)
    logs.configure(settings.log_level)
    app = (build or create_app)(settings, is_draining=draining)
    # What is there now stays; what requests make goes when they end, by its count of references.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    return app
