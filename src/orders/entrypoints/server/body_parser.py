"""A parser that reads the body behind an offer of another protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

import httptools

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class ParserOwner(Protocol):
    """A protocol that httptools calls, and that holds its parser."""

    parser: Any


def parser_of_body(protocol: ParserOwner, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Give `protocol` a parser that has read a head with the same framing, but without the offer.

    The protocol's methods are called for that head, too.
    """
    framing = b"".join(b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING)
    parser = httptools.HttpRequestParser(protocol)
    # As uvicorn does: data behind `Connection: close` is no error.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    protocol.parser = parser
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
