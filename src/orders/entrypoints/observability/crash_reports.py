"""What a process says when something ends that nobody expected, and what others print unasked.

Python and libraries print the texts of exceptions, which may hold a whole document. Here each is
a log record, and `safe_text` says what of it is shown.
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
"""For lines that wait for their reader when a process ends."""
_AGAIN_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


def speak_plainly() -> None:
    """Until `logs` is configured, tell what is logged to the person at the screen, as lines."""
    logging.basicConfig(handlers=[PlainLines()], level=logging.WARNING)
    logging.captureWarnings(capture=True)
    hide_texts()


def hide_texts() -> None:
    """From now on show no text of an exception that nobody handles, nor what others print."""
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
    """Log what goes wrong within, and pass it on to somebody who would not."""
    try:
        yield
    except Exception:
        _log.critical("the application did not start, or end, well", exc_info=True)
        raise


def say(text: str) -> None:
    """Tell the person at the screen, a line each."""
    if writer := standard_error():
        for line in text.splitlines():
            writer.write(f"orders: {line}\n".encode(errors="replace"))


def flush() -> None:
    """Give what waits for a reader a moment; a process that ends waits for nobody."""
    if writer := standard_error():
        writer.close(FLUSH_SECONDS)


class SafeHandler(logging.Handler):
    """Writes records as lines; of one that cannot be made into a line, that it was there."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self.write = write

    def line(self, record: logging.LogRecord) -> bytes:
        """The line, with its end."""
        raise NotImplementedError

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            line = self.line(record)
        except Exception as error:  # noqa: BLE001 - whatever its arguments raise
            name, level = record.name, record.levelno
            record = logging.LogRecord(name, level, "", 0, "a record without a text", (), None)
            record.exc_info = (type(error), error, error.__traceback__)
            line = self.line(record)
        self.write(line)


class PlainLines(SafeHandler):
    """For a person at the screen."""

    def __init__(self) -> None:
        super().__init__(lambda line: say(line.decode()))

    def line(self, record: logging.LogRecord) -> bytes:
        """The message, and an exception in a line."""
        text = message_of(record)
        if record.exc_info and (error := record.exc_info[1]):
            text = f"{text}: {in_a_line(error)}"
        return text.encode()


class Printed(io.TextIOBase):
    """Standard error for whoever prints to it unasked: that it did is logged, not what.

    Some libraries print the traceback of what they handle, with its text.
    """

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", 0)
        self._at = float("-inf")

    def write(self, text: str) -> int:
        """Log who prints, and what is being handled; once for the many parts of a traceback."""
        error = sys.exc_info()[1]
        this, now = (_printer(sys._getframe(1)), id(error)), time.monotonic()  # noqa: SLF001
        if text.strip() and (this != self._last or now - self._at > _AGAIN_SECONDS):
            self._last, self._at = this, now
            _log.warning("%s printed to standard error", this[0], exc_info=error)
        return len(text)

    def fileno(self) -> int:
        """The descriptor, for those who give it to a child."""
        return sys.__stderr__.fileno() if sys.__stderr__ else super().fileno()


def _printer(frame: FrameType) -> str:
    """The place that printed, by way of `traceback` or not."""
    while frame.f_back and frame.f_code.co_filename.endswith("/traceback.py"):
        frame = frame.f_back
    return f"{frame.f_globals.get('__name__')}:{frame.f_lineno}"
