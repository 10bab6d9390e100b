"""The process that starts, replaces and ends those that serve.

It hears signals in one place, one after the other: SIGTERM drains and stops, a second one or SIGINT
(Ctrl-C) stops at once, SIGHUP replaces the workers.
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
"""Tells a worker to finish what is in flight and go; SIGTERM does not reach it."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
EXIT_WITHIN_SECONDS = 28  # of the 30 that an orchestrator gives
_UP_WITHIN_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_CRASHED_SECONDS = 3.0
"""A worker that ends sooner than this would only be followed by others that do."""
# A fork is cheaper, and only there is it sound.
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("fork")
else:
    _CONTEXT = multiprocessing.get_context("spawn")
_log = logging.getLogger(__name__)


class Draining:
    """Whether this server was told to stop. Shared by its processes, without a lock."""

    def __init__(self) -> None:
        self._flag = _CONTEXT.RawValue(c_bool, False)

    def __call__(self) -> bool:
        return bool(self._flag.value)

    def begin(self) -> None:
        """Make it true, for ever and in every process."""
        self._flag.value = True


class _Worker:
    """A process that serves."""

    def __init__(self, work: Callable[[connection.Connection], None]) -> None:
        self._up, up = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=work, args=(up,))
        self._served = False
        self.began = time.monotonic()
        self.process.start()
        # The helper that spawned processes have lets signals in as it starts.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
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
            os.kill(self.process.pid, STOP)

    def has_crashed(self) -> bool:
        """Whether it has ended by itself, as soon as it was started or before it served."""
        if self.process.is_alive():
            return False
        return time.monotonic() - self.began < _CRASHED_SECONDS or not self.is_up()


class Supervisor:
    """Keeps so many workers, until they are told to go."""

    def __init__(self, work: Callable[[connection.Connection], None], count: int) -> None:
        self._work = work
        self._count = count
        self._workers: list[_Worker] = []
        self._leaving: Sequence[_Worker] = ()

    def run(self, draining: Draining, drain_seconds: float) -> None:
        """Do as signals say, and return when no worker is left."""
        try:
            for _ in range(self._count):
                self._workers.append(_Worker(self._work))
            while (heard := signal.sigwait(_HEARD)) not in {signal.SIGTERM, signal.SIGINT}:
                if heard == signal.SIGHUP:
                    self._replace()
                else:
                    self._revive()
            if heard == signal.SIGTERM:
                # Readiness is off first: load balancers see it before the port is closed.
                draining.begin()
                give_up_at = time.monotonic() + drain_seconds
                while time.monotonic() < give_up_at and not _are_told_to_go():
                    time.sleep(min(_LOOK_SECONDS, drain_seconds))
        finally:
            spent = drain_seconds if draining() else 0.0
            _end([*self._workers, *self._leaving], within_seconds=EXIT_WITHIN_SECONDS - spent)

    def _revive(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.has_crashed():
                raise SystemExit(1)
            if not worker.process.is_alive():
                _log.error("a worker ended unexpectedly: %s", worker.process.exitcode)
                self._workers[place] = _Worker(self._work)

    def _replace(self) -> None:
        """Start new workers, and let the old ones go when those serve."""
        fresh = [_Worker(self._work) for _ in self._workers]
        if all(worker.is_up() for worker in fresh):
            self._workers, fresh = fresh, self._workers
        elif not _are_told_to_go():
            _log.error("the new workers cannot serve: the old ones stay")
        self._leaving = fresh
        _end(fresh, within_seconds=EXIT_WITHIN_SECONDS, unless=_are_told_to_go)


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
            _log.error("a worker did not exit within %g s: killed", within_seconds)
            worker.process.kill()
            worker.process.join()


@contextmanager
def signals_wait() -> Iterator[None]:
    """Signals wait until they are asked for; also those to threads and processes made here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        yield
    finally:
        while too_late := signal.sigpending() & {*_HEARD}:
            signal.sigwait(too_late)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
