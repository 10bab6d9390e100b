"""Limits for the part of a request that is not its body."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

MAX_HEAD_BYTES: Final = 65_536
"""For the request line and all headers; also for the framing around an empty body."""
MAX_HEADERS: Final = 100
_MAX_FRAMING_PER_BODY_BYTE: Final = 8
"""A chunk of one byte needs five bytes of framing."""


class Part(Enum):
    """Which part of a request the connection reads next."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class IncomingRequest:
    """Counts the bytes of the request that a connection reads.

    Fault of uvicorn: with httptools, nothing limits the head, chunk extensions or trailers, so one
    client can fill the memory (Kludex/uvicorn#157). Can go when uvicorn limits them.
    """

    def __init__(self) -> None:
        self.part = Part.NONE
        self._number = 0
        self._overhead = 0  # from earlier reads, without the body
        self._body = 0
        self._read = 0
        self._before_read = (0, 0)

    def start_read(self, size: int) -> None:
        """`size` bytes were read from the socket and will now be parsed."""
        self._read = size
        self._before_read = (self._number, self._body)

    def begin(self) -> None:
        """A request begins."""
        self.part = Part.HEAD
        self._number += 1
        self._overhead = self._body = 0

    def add_body(self, size: int) -> None:
        """`size` bytes of its body were parsed."""
        self._body += size

    def is_head_too_large(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether the head, which is now complete, exceeds a limit."""
        if len(headers) > MAX_HEADERS:
            return True
        if self._overhead + self._read <= MAX_HEAD_BYTES:
            return False
        return len(target) + sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES

    def is_too_large_after_read(self) -> bool:
        """Whether a request that is still incomplete exceeds a limit.

        The read with which it began is not counted: it may hold other requests, too.
        """
        number, body = self._before_read
        if self.part is Part.NONE or number != self._number:
            return False
        self._overhead += self._read - (self._body - body)
        return self._overhead > MAX_HEAD_BYTES + _MAX_FRAMING_PER_BODY_BYTE * self._body
