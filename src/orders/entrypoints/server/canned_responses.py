"""What is answered before there is a request: bytes, made once.

A problem (RFC 9457) with all headers, as everything else that is refused.
"""

from __future__ import annotations

from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from orders.entrypoints.http.middleware import overload
from orders.entrypoints.http.middleware.response_headers import ALWAYS
from orders.entrypoints.http.problems import MEDIA_TYPE, NO_TRACE, Problem, problem_of
from orders.entrypoints.server.head_limits import MOST_FIELDS, MOST_HEAD_BYTES


class Whole:
    """A problem that is always the same, but for its date and its trace id."""

    def __init__(self, problem: Problem, *fields: tuple[bytes, bytes]) -> None:
        body = msgspec.json.encode(problem)
        fields = (
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *fields,
            *ALWAYS.items(),
        )
        self._status_line = STATUS_LINE[problem.status]
        whole = b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n" + body
        self._before, self._after = whole.split(NO_TRACE.encode())

    def __call__(self, dated: bytes, trace_id: bytes) -> bytes:
        """The bytes of it; `dated` is a Date header with its line end, or nothing."""
        return b"%b%b%b%b%b" % (self._status_line, dated, self._before, trace_id, self._after)


_CLOSE: Final = (b"connection", b"close")
OVERLOADED: Final = Whole(overload.OVERLOADED, overload.RETRY_AFTER)
MALFORMED: Final = Whole(
    problem_of(400, "bad-request", "The request is malformed as HTTP."), _CLOSE
)
TOO_LARGE: Final = Whole(
    problem_of(
        431,
        "header-too-large",
        f"Send at most {MOST_FIELDS} headers, and {MOST_HEAD_BYTES} bytes before the body.",
    ),
    _CLOSE,
)
