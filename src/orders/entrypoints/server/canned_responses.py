"""Responses that are sent before a request exists for the application: their bytes are made once.

Each is a problem (RFC 9457) with the headers of every other response.
"""

from __future__ import annotations

from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from orders.entrypoints.http.middleware import overload
from orders.entrypoints.http.middleware.response_headers import ALWAYS
from orders.entrypoints.http.problems import MEDIA_TYPE, NO_TRACE, Problem, problem_of
from orders.entrypoints.server.head_limits import MAX_HEAD_BYTES, MAX_HEADERS


class CannedResponse:
    """A problem of which only the date and the trace id differ between two responses.

    Fault of uvicorn: it answers what it cannot parse with plain text and without our headers. Can
    go when uvicorn lets the application build these responses.
    """

    def __init__(self, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
        body = msgspec.json.encode(problem)
        headers = (
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            *headers,
            *ALWAYS.items(),
        )
        self._status_line = STATUS_LINE[problem.status]
        response = b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body
        self._before, self._after = response.split(NO_TRACE.encode())

    def __call__(self, date_header: bytes, trace_id: bytes) -> bytes:
        """Return its bytes; `date_header` ends with its line end, or is empty."""
        return b"%b%b%b%b%b" % (self._status_line, date_header, self._before, trace_id, self._after)


_CLOSE: Final = (b"connection", b"close")
OVERLOADED: Final = CannedResponse(overload.OVERLOADED, overload.RETRY_AFTER)
MALFORMED: Final = CannedResponse(
    problem_of(400, "bad-request", "The request is malformed as HTTP."), _CLOSE
)
TOO_LARGE: Final = CannedResponse(
    problem_of(
        431,
        "header-too-large",
        f"Send at most {MAX_HEADERS} headers, and {MAX_HEAD_BYTES} bytes before the body.",
    ),
    _CLOSE,
)
