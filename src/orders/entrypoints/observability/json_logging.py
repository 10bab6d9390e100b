"""Logs: a JSON object for each record, ours and those of libraries, on a line of standard error.

A line holds the message, the fields in `FIELDS`, and of an exception what `safe_text` allows.
Writing a line never waits, see `line_writer`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, Final, TextIO

import msgspec

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.crash_reports import SafeHandler, flush, hide_texts
from orders.entrypoints.observability.line_writer import LINE_BYTES, standard_error
from orders.entrypoints.observability.safe_text import described, message_of
from orders.entrypoints.observability.spans import current_ids

FIELDS: Final = (
    "action",
    "actor",
    "client",
    "code",
    "duration_ms",
    "first",
    "last",
    "method",
    "order_id",
    "owner",
    "publisher",
    "replayed",
    "roles",
    "route",
    "since",
    "span_id",
    "status",
    "tenant",
    "trace_id",
    "until",
)
"""What may be logged beside a message. Every other `extra` is dropped."""

_ID: Final = 36
"""Characters of each text in a line whose texts are too long. With 36, all fields fit."""
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
_log: Final = logging.getLogger(__name__)


@contextmanager
def kept(level: str) -> Iterator[None]:
    """Log what a process does until the context ends, with the exception that ends the process.

    Raises:
        SystemExit: With 1, for an exception that nobody expected. It has been logged.
    """
    hide_texts()
    configure(level)
    try:
        yield
    except (CommandFailed, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, its text is not shown
        _log.critical("ended by an exception", exc_info=True)
        raise SystemExit(1) from None
    finally:
        flush()


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` as JSON. May be repeated.

    `level` is for our own logs. Libraries log at `warning` at least: at `debug` they log the data
    itself. The audit trail has no level.
    """
    root = logging.getLogger()
    root.handlers[:] = [JsonLines(_write_to(stream))]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("orders").setLevel(wanted)
    logging.getLogger("audit").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # Logging is faster without these (logging HOWTO, Optimization), and we write none of them.
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def configure_audit() -> None:
    """Send the audit trail to standard error as JSON, and leave all other logs as they are.

    For a command whose other lines are for the person who runs it. A command serves no requests, so
    it waits for a slow reader: no audit record of what it did may be lost.
    """
    audit = logging.getLogger("audit")
    if (stream := sys.__stderr__) is not None:
        audit.handlers[:] = [JsonLines(lambda line: _write_text(stream, line))]
    audit.setLevel(logging.INFO)
    audit.propagate = False


def _write_to(stream: TextIO | None) -> Callable[[bytes], None]:
    if stream is not None:
        return lambda line: _write_text(stream, line)
    if (writer := standard_error()) is None:
        return lambda line: None
    writer.report_lost = _report_lost
    return writer.write


def _write_text(stream: TextIO, line: bytes) -> None:
    with suppress(OSError, ValueError):  # a stream that is closed
        stream.write(line.decode())
        stream.flush()


def _report_lost(lines: int) -> bytes:
    text = f"{lines} log lines were lost: nobody read standard error"
    return _encoded(_line(text, at=time.time(), level="WARNING", logger=__name__))


class JsonLines(SafeHandler):
    """Writes each record as a line of JSON. Times are UTC, to the millisecond."""

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the line: the message, `FIELDS`, the current trace, and the exception."""
        line = _line(
            message_of(record), at=record.created, level=record.levelname, logger=record.name
        )
        given = record.__dict__
        for name in FIELDS:
            if (value := given.get(name)) is not None:
                line[name] = value
        trace_id, span_id = current_ids()
        if trace_id is not None:
            line.setdefault("trace_id", trace_id)
        if span_id is not None:
            line["span_id"] = span_id
        if record.exc_info and (error := record.exc_info[1]):
            line["exception"] = described(error)
        return _encoded(line)


def _line(name: str, *, at: float, level: str, logger: str) -> dict[str, Any]:
    stamp = f"{_second(int(at))}.{int(at % 1 * 1_000):03}Z"
    return {"time": stamp, "level": level.lower(), "logger": logger, "event": name}


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _encoded(line: dict[str, Any]) -> bytes:
    text = _ENCODER.encode(line)
    if len(text) >= LINE_BYTES:
        text = _shortened(line)
    return text + b"\n"


def _shortened(line: dict[str, Any]) -> bytes:
    """Shorten a line to less than `LINE_BYTES`: frames far from the fault go first, texts last."""
    for frames in (6, 3, 1):
        for each in line.get("exception", ()):
            each["frames"] = each["frames"][-frames:]
        text = _ENCODER.encode(line)
        if len(text) < LINE_BYTES:
            return text
    for most in (20, 3):
        text = _ENCODER.encode({name: _first(value, most) for name, value in line.items()})
        if len(text) < LINE_BYTES:
            return text
    texts = {name: value[:_ID] for name, value in line.items() if isinstance(value, str)}
    return _ENCODER.encode(texts)


def _first(value: Any, most: int) -> Any:
    """Return the first of a list, and how many more there were."""
    if not isinstance(value, list) or len(value) <= most:
        return value
    return [*value[:most], f"and {len(value) - most} more"]
