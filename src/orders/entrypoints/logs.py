"""Logs: one JSON object a line on standard error, for our own words and everybody else's.

Only the fields in `FIELDS` leave the process. Texts of exceptions may quote what a caller sent,
so an exception is logged as its type, its numeric code and where it was raised.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator
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
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("orders").setLevel(wanted)
    logging.getLogger("audit").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # Python's own way to log faster (logging HOWTO, Optimization): none of it is written anyway.
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class JsonLine(logging.Formatter):
    """Writes a record as JSON; its time in UTC, to the millisecond."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. Nothing of the record but `FIELDS` and the message is in it."""
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{second}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _message(record),
        }
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
