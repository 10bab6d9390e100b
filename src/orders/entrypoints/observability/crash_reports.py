"""Logs unhandled exceptions and output of libraries without the texts of exceptions.

Python and libraries print these texts, which may contain a whole document. Here each of them
becomes a log record, with only what `safe_text` allows.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType, TracebackType
from typing import Final

from orders.entrypoints.observability.line_writer import standard_error
from orders.entrypoints.observability.safe_text import in_a_line, message_of

FLUSH_SECONDS: Final = 0.5
"""Time for lines that wait for a slow reader when the process ends."""
_REPEAT_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


def speak_plainly() -> None:
    """Log to standard error as plain lines, until `json_logging` is configured."""
    logging.basicConfig(handlers=[PlainLines()], level=logging.WARNING)
    logging.captureWarnings(capture=True)
    hide_texts()


def hide_texts() -> None:
    """From now on, show no text of an unhandled exception, and no output of libraries."""
    sys.excepthook = _ended
    threading.excepthook = _thread_ended
    sys.unraisablehook = _ignored
    if sys.stderr is not None:
        sys.stderr = Printed()


def _ended(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    _log.critical("ended by an exception", exc_info=error)
    flush()


def _thread_ended(thread: threading.ExceptHookArgs) -> None:
    if thread.exc_type is not SystemExit:  # as Python's own
        _log.error("a thread ended by an exception", exc_info=thread.exc_value)


def _ignored(failure: sys.UnraisableHookArgs) -> None:
    _log.error("an exception could not be raised", exc_info=failure.exc_value)


@asynccontextmanager
async def failure_logged() -> AsyncIterator[None]:
    """Log an exception before it reaches the server, which would not log it."""
    try:
        yield
    except Exception:
        _log.critical("the application did not start, or end, well", exc_info=True)
        raise


def say(text: str) -> None:
    """Write plain lines to standard error, for a person."""
    if writer := standard_error():
        for line in text.splitlines():
            writer.write(f"orders: {line}\n".encode(errors="replace"))


def flush() -> None:
    """Wait up to `FLUSH_SECONDS` for a slow reader of standard error."""
    if writer := standard_error():
        writer.close(FLUSH_SECONDS)


class SafeHandler(logging.Handler):
    """Writes records as lines. If a record cannot be formatted, the line says so."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self.write = write

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the line, with its newline."""
        raise NotImplementedError

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.line(record)
        except Exception as error:  # noqa: BLE001 - its arguments may raise anything
            name, level = record.name, record.levelno
            record = logging.LogRecord(name, level, "", 0, "a record without a text", (), None)
            record.exc_info = (type(error), error, error.__traceback__)
            line = self.line(record)
        self.write(line)


class PlainLines(SafeHandler):
    """Writes records as plain lines, for a person."""

    def __init__(self) -> None:
        super().__init__(lambda line: say(line.decode()))

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the message and the exception in one line."""
        text = message_of(record)
        if record.exc_info and (error := record.exc_info[1]):
            text = f"{text}: {in_a_line(error)}"
        return text.encode()


class Printed(io.TextIOBase):
    """Replaces `sys.stderr`: logs which code printed to it, but not the text.

    Some libraries print the traceback of an exception that they handle, with its text.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", 0)
        self._at = float("-inf")

    def write(self, text: str) -> int:
        """Log the printing module and the handled exception, once for all parts of a traceback."""
        error = sys.exc_info()[1]
        this, now = (_printer(sys._getframe(1)), id(error)), time.monotonic()  # noqa: SLF001
        if text.strip() and (this != self._last or now - self._at > _REPEAT_SECONDS):
            self._last, self._at = this, now
            _log.warning("%s printed to standard error", this[0], exc_info=error)
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor, for child processes."""
        return sys.__stderr__.fileno() if sys.__stderr__ else super().fileno()


def _printer(frame: FrameType) -> str:
    """Return the module and line that printed, also if it used `traceback`."""
    while frame.f_back and frame.f_code.co_filename.endswith("/traceback.py"):
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__')}:{frame.f_lineno}"
