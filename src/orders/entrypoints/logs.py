"""Logs: one JSON object a line on standard error, for our own words and everybody else's.

Only the fields in `FIELDS` leave the process. Texts of exceptions may quote what a caller sent,
so an exception is logged as its type, its numeric code and where it was raised.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from orders.entrypoints.telemetry import current_ids

FIELDS: Final = (
    "action",
    "actor",
    "client",
    "code",
    "duration_ms",
    "method",
    "order_id",
    "owner",
    "replayed",
    "roles",
    "route",
    "span_id",
    "status",
    "tenant",
    "trace_id",
)
"""What may be logged beside a message; every other `extra` is dropped."""

LONGEST_MESSAGE: Final = 500
"""Characters of a message."""
FRAMES: Final = 12
"""Innermost frames of an exception that are logged."""

_OURS: Final = ("orders.", "audit")
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)
_SECRETS: Final = re.compile(
    r"eyJ[\w-]+(?:\.[\w-]*){0,2}"  # a token, or the part of one
    r"|(?i:bearer)\s+\S+"
    r"|\b(?:tok|whsec)_[\w+/=-]+"
    r"|(?<=://)[^/@\s]+(?=@)"  # name and password in a URL
)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` as JSON. May be repeated.

    `level` is for our own logs. Libraries never get below warning: what they log when asked to
    debug is the data itself. The audit trail has no level.
    """
    root = logging.getLogger()
    root.handlers[:] = [JsonLines(stream or sys.stderr)]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("orders").setLevel(wanted)
    logging.getLogger("audit").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # Python's own way to log faster (logging HOWTO, Optimization): none of it is written anyway.
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def event(logger: logging.Logger, level: int, name: str, fields: Mapping[str, Any]) -> None:
    """Log what has a fixed name and no exception, with fields of `FIELDS` that are ours.

    The same line as `logger.log` gives, if `fields` name trace and span, for less than half: there
    are one or two for every request.
    """
    if not logger.isEnabledFor(level):
        return
    handlers = logging.getLogger().handlers
    # There is no stream in a process that was started without a standard error.
    is_ours = len(handlers) == 1 and not logger.handlers
    if is_ours and isinstance(ours := handlers[0], JsonLines) and ours.stream:
        with suppress(OSError, ValueError):  # as of any other line that cannot be written
            ours.write(name, fields, at=time.time(), level=level, logger=logger.name)
    else:
        logger.log(level, name, extra=fields)


class JsonLines(logging.StreamHandler[TextIO]):
    """Writes records as JSON, a line each; times in UTC, to the millisecond."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonLine())

    def write(
        self, name: str, fields: Mapping[str, Any], *, at: float, level: int, logger: str
    ) -> None:
        """Write what happened `at` a time, in seconds since 1970."""
        line = _line(name, at=at, level=logging.getLevelName(level), logger=logger)
        line |= {field: value for field, value in fields.items() if value is not None}
        text = _ENCODER.encode(line).decode()
        with self.lock:  # type: ignore[union-attr] # made by the handler itself
            self.stream.write(f"{text}\n")
            self.stream.flush()


class JsonLine(logging.Formatter):
    """A record as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Nothing of the record but `FIELDS` and the message is in it."""
        line = _line(
            _message(record), at=record.created, level=record.levelname, logger=record.name
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
            line["exception"] = [_described(each) for each in _chain(error)]
        return _ENCODER.encode(line).decode()


def _line(name: str, *, at: float, level: str, logger: str) -> dict[str, Any]:
    stamp = f"{_second(int(at))}.{int(at % 1 * 1_000):03}Z"
    return {"time": stamp, "level": level.lower(), "logger": logger, "event": name}


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if not record.name.startswith(_OURS):
        # What others append to their first line is dumps: of a task, of what it raised.
        text = text.partition("\n")[0]
    return _SECRETS.sub("[secret]", text)[:LONGEST_MESSAGE]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, the latest first; a bounded number of them."""
    current: BaseException | None = error
    for _ in range(5):
        if current is None:
            return
        yield current
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden


def _described(error: BaseException) -> dict[str, Any]:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = "/".join(Path(code.co_filename).parts[-3:])
        frames.append(f"{place}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    described: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    number = getattr(error, "errno", None) or getattr(error, "code", None)
    if isinstance(number, int):
        described["code"] = number
    return described | {"frames": frames[-FRAMES:]}
