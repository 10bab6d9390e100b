"""The parent process that starts, replaces and stops the worker processes.

It handles signals one after the other: SIGTERM drains and stops, a second SIGTERM or SIGINT
(Ctrl-C) stops without draining, SIGHUP replaces the workers.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import c_bool
from multiprocessing import connection

STOP = signal.SIGINT
"""Makes a worker finish its requests and exit; SIGTERM does not reach it."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
EXIT_WITHIN_SECONDS = 28  # of the 30 that an orchestrator gives
_UP_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.1
_CRASHED_SECONDS = 3.0
"""If a worker ends sooner than this after its start, its replacement would, too."""
# A fork is cheaper, and it is safe on Linux only.
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("fork")
else:
    _CONTEXT = multiprocessing.get_context("spawn")
_log = logging.getLogger(__name__)


class Draining:
    """Whether this server stops soon. Shared by its processes, without a lock."""

    def __init__(self) -> None:
        self._flag = _CONTEXT.RawValue(c_bool, False)

    def __call__(self) -> bool:
        return bool(self._flag.value)

    def begin(self) -> None:
        """Make it true in every process. Nothing makes it false again."""
        self._flag.value = True


class _Worker:
    """A worker process."""

    def __init__(self, work: Callable[[connection.Connection], None]) -> None:
        self._up, up = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=work, args=(up,))
        self._served = False
        self.began = time.monotonic()
        self.process.start()
        # The helper process of `spawn` unblocks signals when it starts.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        up.close()

    def is_up(self) -> bool:
        """Wait until it serves; False if it ended, takes too long, or a signal to stop arrived."""
        give_up_at = time.monotonic() + _UP_WITHIN_SECONDS
        try:
            while not self._served:
                self._served = self._up.poll(_POLL_SECONDS) and bool(self._up.recv())
                if time.monotonic() > give_up_at or _stop_is_pending():
                    break
        except EOFError:
            return False
        return self._served

    def stop(self) -> None:
        """Make it finish its requests and exit."""
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, STOP)

    def has_crashed(self) -> bool:
        """Whether it ended without a signal, soon after its start or before it served."""
        if self.process.is_alive():
            return False
        return time.monotonic() - self.began < _CRASHED_SECONDS or not self.is_up()


class Supervisor:
    """Keeps `count` workers running until a signal to stop.

    Before it stops them it calls `close_port`: while this process held the port, connections that
    no worker accepts any more would wait for it, and be reset at the end.
    """

    def __init__(
        self,
        work: Callable[[connection.Connection], None],
        count: int,
        *,
        close_port: Callable[[], None],
    ) -> None:
        self._work = work
        self._count = count
        self._close_port = close_port
        self._workers: list[_Worker] = []
        self._leaving: Sequence[_Worker] = ()

    def run(self, draining: Draining, drain_seconds: float) -> None:
        """Handle signals, and return when no worker is left."""
        try:
            for _ in range(self._count):
                self._workers.append(_Worker(self._work))
            while (signum := signal.sigwait(_SIGNALS)) not in {signal.SIGTERM, signal.SIGINT}:
                if signum == signal.SIGHUP:
                    self._replace()
                else:
                    self._revive()
            if signum == signal.SIGTERM:
                # Readiness fails first, so that load balancers notice before the port is closed.
                draining.begin()
                give_up_at = time.monotonic() + drain_seconds
                while time.monotonic() < give_up_at and not _stop_is_pending():
                    time.sleep(min(_POLL_SECONDS, drain_seconds))
        finally:
            spent = drain_seconds if draining() else 0.0
            self._close_port()
            _end([*self._workers, *self._leaving], within_seconds=EXIT_WITHIN_SECONDS - spent)

    def _revive(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.has_crashed():
                raise SystemExit(1)
            if not worker.process.is_alive():
                _log.error("a worker ended unexpectedly: %s", worker.process.exitcode)
                self._workers[place] = _Worker(self._work)

    def _replace(self) -> None:
        """Start new workers, and stop the old ones once the new ones serve."""
        fresh = [_Worker(self._work) for _ in self._workers]
        if all(worker.is_up() for worker in fresh):
            self._workers, fresh = fresh, self._workers
        elif not _stop_is_pending():
            _log.error("the new workers cannot serve: the old ones stay")
        self._leaving = fresh
        _end(fresh, within_seconds=EXIT_WITHIN_SECONDS, unless=_stop_is_pending)


def _stop_is_pending() -> bool:
    """Whether a signal to stop is pending: it ends every wait."""
    return bool(signal.sigpending() & {signal.SIGTERM, signal.SIGINT})


def _end(
    workers: Sequence[_Worker],
    *,
    within_seconds: float,
    unless: Callable[[], bool] = lambda: False,
) -> None:
    """Stop workers, and kill those that do not exit in time; return early if `unless` is true."""
    for worker in workers:
        worker.stop()
    deadline = time.monotonic() + within_seconds
    for worker in workers:
        while worker.process.is_alive() and time.monotonic() < deadline:
            if unless():
                return
            worker.process.join(_POLL_SECONDS)
        if worker.process.is_alive():
            _log.error("a worker did not exit within %g s: killed", within_seconds)
            worker.process.kill()
            worker.process.join()


@contextmanager
def signals_wait() -> Iterator[None]:
    """Block the signals that `run` handles, also in threads and processes started inside."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        while too_late := signal.sigpending() & {*_SIGNALS}:
            signal.sigwait(too_late)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
