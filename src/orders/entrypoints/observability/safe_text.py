"""What of log records and exceptions may be shown.

Their texts may quote what a client sent, so only an exception's type, numeric code and place are
shown.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

LONGEST_MESSAGE: Final = 500
"""Maximum number of characters of a message."""
FRAMES: Final = 12
"""Maximum number of innermost frames of an exception."""
EXCEPTIONS: Final = 8
"""Maximum number of exceptions of one record: causes, and members of groups."""

_OURS: Final = ("orders.", "audit")
_SECRETS: Final = re.compile(
    r"eyJ[\w-]+(?:\.[\w-]*){0,2}"  # a token, or the part of one
    r"|(?i:bearer)\s+\S+"
    r"|\b(?:tok|whsec)_[\w+/=-]+"
    r"|(?<=://)[^/@\s]+(?=@)"  # name and password in a URL
)
# "Exception in callback f(<Future finished result={...}>)": hide the arguments.
_CALLED_WITH: Final = re.compile(r"(?<= in callback )(\S*?)[(<].*")


def message_of(record: logging.LogRecord) -> str:
    """Return the message, shortened, without dumps and text that looks like a secret."""
    text = record.getMessage()
    if not record.name.startswith(_OURS):
        # The further lines of other loggers are dumps of tasks and exceptions.
        text = text.partition("\n")[0].strip()
        if text.endswith("Traceback (most recent call last):"):
            text = "a traceback"
    if record.name == "asyncio":
        text = _CALLED_WITH.sub(r"\1", text)
    text = text.encode(errors="replace").decode()
    return _SECRETS.sub("[secret]", text)[:LONGEST_MESSAGE]


def described(error: BaseException) -> list[dict[str, Any]]:
    """Describe the exception, its causes and the members of groups, without their texts."""
    return [_described(each) for each in _related(error)]


def in_a_line(error: BaseException) -> str:
    """Return the same in one line, for a person."""
    parts = []
    for each in described(error)[:4]:
        number = f" (code {each['code']})" if "code" in each else ""
        frames = " < ".join(reversed(each["frames"][-3:]))
        parts.append(f"{each['type']}{number}" + (f" at {frames}" if frames else ""))
    return "; ".join(parts)


def _related(error: BaseException) -> Iterator[BaseException]:
    """Return at most `EXCEPTIONS`, the latest first; members of a group before their causes."""
    waiting = deque([error])
    for _ in range(EXCEPTIONS):
        if not waiting:
            return
        current = waiting.popleft()
        yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        hidden = None if current.__suppress_context__ else current.__context__
        if (cause := current.__cause__ or hidden) is not None:
            waiting.append(cause)


def _described(error: BaseException) -> dict[str, Any]:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = "/".join(Path(code.co_filename).parts[-3:])
        frames.append(f"{place}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    about: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}"}
    number = getattr(error, "errno", None) or getattr(error, "code", None)
    if isinstance(number, int):
        about["code"] = number
    if isinstance(error, BaseExceptionGroup):
        about["members"] = len(error.exceptions)
    return about | {"frames": frames[-FRAMES:]}
