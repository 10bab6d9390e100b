"""Lines for a file descriptor whose reader may be slow, or gone. Whoever writes never waits for it.

No flag is set on a file description that other processes share (a terminal, the pipe of a whole
container): we open one of our own.
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
"""The longest line: Linux writes so much to a pipe whole, whoever else writes to it (PIPE_BUF)."""
KEPT_BYTES: Final = 2**18
"""Of lines that wait for a slow reader; those after them are dropped."""

_NO_WAIT: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def _report_lost(lines: int) -> bytes:
    return b"orders: %d lines were lost\n" % lines


class LineWriter:
    """Writes lines at once while the reader keeps up, then from a thread; beyond a bound it drops.

    A line of at most `LINE_BYTES` is written whole or not at all, and does not mix with those of
    other processes. When writing works again after a loss, a line says how many were lost.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        kept_bytes: int = KEPT_BYTES,
        report_lost: Callable[[int], bytes] = _report_lost,
    ) -> None:
        """Take a descriptor, which stays open and as it is."""
        self._target, self._send, self._returns_at_once = _opened(descriptor)
        self._bound = kept_bytes
        self.report_lost = report_lost
        """Makes the line that says how many were lost."""
        self.forget()
        _WRITERS.add(self)

    def forget(self) -> None:
        """Begin anew, as after a fork: what waits is the parent's, and so are its locks."""
        # The garbage collector may run within `write`, and what it destroys may log: in the same
        # thread, so the lock is one that may be taken again.
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._lines: deque[bytes] = deque()
        self._kept = 0  # bytes that wait, with those that the thread is writing
        self._thread: threading.Thread | None = None
        self.lost = 0
        """Lines that were dropped, or that nobody can read."""
        self._unreported = self._counted = 0

    def newly_lost(self) -> int:
        """How many were lost since this was last asked."""
        newly, self._counted = self.lost - self._counted, self.lost
        return newly

    def write(self, line: bytes) -> None:
        """Write a line, which ends in a newline; or keep it, or drop it. Never waits."""
        with self._lock:
            if self._kept or not self._returns_at_once:
                self._keep(line)
                return
            try:
                sent = self._send(line)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._lose(1)
                return
            if sent < len(line):
                self._keep(line[sent:])
            elif self._unreported:
                self._report()

    def close(self, within_seconds: float) -> None:
        """Wait until what was kept is written, but not longer. What is not by then is lost."""
        with self._wake:
            self._wake.wait_for(lambda: not self._kept, within_seconds)

    def _keep(self, line: bytes) -> None:
        if self._kept + len(line) > self._bound:
            self._lose(1)
            return
        self._lines.append(line)
        self._kept += len(line)
        if self._thread is None:
            self._start()
        self._wake.notify_all()

    def _lose(self, lines: int) -> None:
        self.lost += lines
        self._unreported += lines

    def _report(self) -> None:
        lines, self._unreported = self._unreported, 0
        self._keep(self.report_lost(lines))

    def _start(self) -> None:
        """Start the thread. No signal reaches it: the supervisor waits for them in another."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        thread = threading.Thread(target=self._run, name="log", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no thread: the next line tries again
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._thread = thread

    def _run(self) -> None:
        while True:
            batch = self._next()
            works = self._send_all(batch)
            with self._wake:
                self._kept -= len(batch)
                if works and self._unreported and not self._lines:
                    self._report()
                self._wake.notify_all()

    def _next(self) -> bytes:
        """Wait for lines, and take as many as are written whole."""
        with self._wake:
            self._wake.wait_for(lambda: self._lines)
            batch = self._lines.popleft()
            while self._lines and len(batch) + len(self._lines[0]) <= LINE_BYTES:
                batch += self._lines.popleft()
            return batch

    def _send_all(self, batch: bytes) -> bool:
        """Wait until all of it is written; False if it never will be."""
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
    """Where to write, how, and whether that returns at once."""
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(kind):
        ours = socket.socket(fileno=os.dup(descriptor))
        return ours.fileno(), lambda line: ours.send(line, socket.MSG_DONTWAIT), True
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        # Opening is not always allowed: as another user, or where there is no /proc.
        with contextlib.suppress(OSError):
            target = os.open(f"/proc/self/fd/{descriptor}", _NO_WAIT)
            return target, lambda line: os.write(target, line), True
    target = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    return target, lambda line: os.write(target, line), stat.S_ISREG(kind)


@cache
def standard_error() -> LineWriter | None:
    """The one writer of this process to its standard error; None if it was started without one."""
    return LineWriter(sys.__stderr__.fileno()) if sys.__stderr__ else None


def _forget_in_child() -> None:
    for writer in _WRITERS:
        writer.forget()


_WRITERS: Final[weakref.WeakSet[LineWriter]] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forget_in_child)
