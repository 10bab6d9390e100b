"""Writes lines to a file descriptor without ever waiting for a slow reader.

It sets no flag on a file description that other processes share (a terminal, the pipe of a whole
container): it opens another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import stat
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Final

LINE_BYTES: Final = 4_096
"""The longest line: Linux writes up to PIPE_BUF bytes to a pipe atomically."""
MAX_QUEUED_BYTES: Final = 2**18
"""Bytes that wait for a slow reader; lines above that are dropped."""

_NO_WAIT: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _report_lost(lines: int) -> bytes:
    return b"orders: %d lines were lost\n" % lines


class LineWriter:
    """Writes lines directly while the reader keeps up, else from a thread; above a limit it drops.

    A line of at most `LINE_BYTES` is written whole or not at all, and does not mix with those of
    other processes. When writing works again after a loss, a line says how many were lost.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        report_lost: Callable[[int], bytes] = _report_lost,
    ) -> None:
        """Use a descriptor; it stays open and unchanged."""
        self._target, self._send, self._returns_at_once = _opened(descriptor)
        self._bound = max_queued_bytes
        self.report_lost = report_lost
        """Returns the line that says how many lines were lost."""
        self.forget()
        _WRITERS.add(self)

    def forget(self) -> None:
        """Start again after a fork: the queued lines and the locks are the parent's."""
        # The garbage collector may run inside `write`, and a finaliser may log: in the same thread,
        # so the lock must be reentrant.
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._lines: deque[bytes] = deque()
        self._queued = 0  # bytes that wait, including those that the thread writes now
        self._thread: threading.Thread | None = None
        self.lost = 0
        """Lines that were dropped or could not be written."""
        self._unreported = self._counted = 0

    def newly_lost(self) -> int:
        """Return how many lines were lost since the last call."""
        newly, self._counted = self.lost - self._counted, self.lost
        return newly

    def write(self, line: bytes) -> None:
        """Write a line that ends in a newline, queue it, or drop it. Never waits."""
        with self._lock:
            if self._queued or not self._returns_at_once:
                self._enqueue(line)
                return
            try:
                sent = self._send(line)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._lose(1)
                return
            if sent < len(line):
                self._enqueue(line[sent:])
            elif self._unreported:
                self._report()

    def close(self, within_seconds: float) -> None:
        """Wait until the queued lines are written, at most `within_seconds`; the rest is lost."""
        with self._wake:
            self._wake.wait_for(lambda: not self._queued, within_seconds)

    def _enqueue(self, line: bytes) -> None:
        if self._queued + len(line) > self._bound:
            self._lose(1)
            return
        self._lines.append(line)
        self._queued += len(line)
        if self._thread is None:
            self._start()
        self._wake.notify_all()

    def _lose(self, lines: int) -> None:
        self.lost += lines
        self._unreported += lines

    def _report(self) -> None:
        lines, self._unreported = self._unreported, 0
        self._enqueue(self.report_lost(lines))

    def _start(self) -> None:
        """Start the thread, with all signals blocked: the supervisor waits for them."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread is available: the next line tries again
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._thread = thread

    def _run(self) -> None:
        while True:
            batch = self._next()
            works = self._send_all(batch)
            with self._wake:
                self._queued -= len(batch)
                if works and self._unreported and not self._lines:
                    self._report()
                self._wake.notify_all()

    def _next(self) -> bytes:
        """Wait for lines, and return as many as are written atomically."""
        with self._wake:
            self._wake.wait_for(lambda: self._lines)
            batch = self._lines.popleft()
            while self._lines and len(batch) + len(self._lines[0]) <= LINE_BYTES:
                batch += self._lines.popleft()
            return batch

    def _send_all(self, batch: bytes) -> bool:
        """Wait until all of it is written; False if writing fails."""
        while batch:
            try:
                batch = batch[self._send(batch) :]
            except BlockingIOError:
                writable = select.poll()
                writable.register(self._target, select.POLLOUT)
                writable.poll()
            except OSError:
                with self._lock:
                    self._lose(batch.count(b"\n"))
                return False
        return True


Send = Callable[[bytes], int]


def _opened(descriptor: int) -> tuple[int, Send, bool]:
    """Return where to write, how, and whether writing returns at once."""
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(kind):
        ours = socket.socket(fileno=os.dup(descriptor))
        return ours.fileno(), lambda line: ours.send(line, socket.MSG_DONTWAIT), True
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        # Opening may fail: as another user, or without /proc.
        with contextlib.suppress(OSError):
            target = os.open(f"/proc/self/fd/{descriptor}", _NO_WAIT)
            return target, lambda line: os.write(target, line), True
    target = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    return target, lambda line: os.write(target, line), stat.S_ISREG(kind)


@cache
def standard_error() -> LineWriter | None:
    """Return this process's writer to standard error; None if it was started without it."""
    return LineWriter(sys.__stderr__.fileno()) if sys.__stderr__ else None


def _forget_in_child() -> None:
    for writer in _WRITERS:
        writer.forget()


_WRITERS: Final[weakref.WeakSet[LineWriter]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forget_in_child)
