"""Offers to speak another protocol: a server may ignore them (RFC 9110, 7.8), and this one does.

llhttp takes an offer for the end of HTTP and leaves the body unread. Every stock JDK `HttpClient`
offers h2c, so what it sends would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import httptools

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
"""Headers, in small letters, that say where a request ends."""


def new_parser(protocol: Any) -> Any:
    """A parser as uvicorn makes it: what comes behind `Connection: close` is no error."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def head_without_offer(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A head with a request's framing only: a parser expects the same body behind it."""
    framing = b"".join(b"%b: %b\r\n" % field for field in fields if field[0] in _FRAMING)
    return b"POST / HTTP/1.1\r\n%b\r\n" % framing
