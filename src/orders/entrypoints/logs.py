"""Logs: one JSON object a line on standard error, for our own words and everybody else's.

Only the fields in `FIELDS` leave the process. Texts of exceptions may quote what a caller sent,
so an exception is logged as its type, its numeric code and where it was raised.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
from structlog.stdlib import ExtraAdder, ProcessorFormatter

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
    "status",
    "tenant",
    "trace_id",
)
"""What may be logged beside a message; every other `extra` is dropped."""

LONGEST_MESSAGE: Final = 500
"""Characters of a message."""
FRAMES: Final = 12
"""Innermost frames of an exception that are logged."""

_OURS: Final = ("orders", "audit")
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
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[ExtraAdder(FIELDS)],
            processors=[_as_line, _as_json],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("orders").setLevel(wanted)
    logging.getLogger("audit").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _as_line(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record: logging.LogRecord = event["_record"]
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    line: dict[str, Any] = {
        "time": time.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": _message(record.name, event["event"]),
    }
    line |= {name: event[name] for name in FIELDS if event.get(name) is not None}
    if error := (event.get("exc_info") or (None, None))[1]:
        line["exception"] = [_described(each) for each in _chain(error)]
    return line


def _as_json(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(line).decode()


def _message(logger: str, text: str) -> str:
    if logger.partition(".")[0] not in _OURS:
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
