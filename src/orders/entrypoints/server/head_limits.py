"""How much of a request has come in, against what may."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

MOST_HEAD_BYTES: Final = 65_536
"""Of a request line and its headers; and of what stands round an empty body."""
MOST_FIELDS: Final = 100
"""Headers of a request."""
_MOST_AROUND: Final = 8
"""Bytes of framing to a byte of a body; a chunk of one has five."""


class Part(Enum):
    """What of a request comes next: nothing of any, its head, or its body and what follows it."""

    NONE = auto()
    HEAD = auto()
    BODY = auto()


class MessageSize:
    """Counts one request of a connection after the other, as they are cut out of chunks."""

    def __init__(self) -> None:
        self.part = Part.NONE
        self._messages = 0
        self._head = 0  # of the chunks before this one
        self._others = 0  # of these, what may have been of requests before it
        self._body = 0
        self._around_body = 0
        self._chunk = 0
        self._before = (0, Part.NONE, 0)

    def chunk(self, size: int) -> None:
        """So many bytes will be cut up."""
        self._chunk = size
        self._before = (self._messages, self.part, self._body)

    def begin(self) -> None:
        """A request begins."""
        self.part = Part.HEAD
        self._messages += 1
        self._head = self._others = self._body = self._around_body = 0

    def head_ended(self) -> None:
        """All of its head has come."""
        self.part = Part.BODY

    def body(self, size: int) -> None:
        """So much of its body has come."""
        self._body += size

    def end(self) -> None:
        """All of it has come."""
        self.part = Part.NONE

    def is_head_too_large(self, target: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether the head is, of which all has come that will be looked at."""
        if len(fields) > MOST_FIELDS:
            return True
        if self._head + self._chunk <= MOST_HEAD_BYTES:
            return False
        return len(target) + sum(len(name) + len(value) for name, value in fields) > MOST_HEAD_BYTES

    def is_chunk_too_much(self) -> bool:
        """Whether more of a head, or of what stands round a body, has come than may."""
        messages, part, body = self._before
        if self.part is Part.HEAD:
            self._head += self._chunk
            if self._messages - messages > (part is Part.NONE):
                self._others = self._chunk
            return self._head - self._others > MOST_HEAD_BYTES
        if self.part is part is Part.BODY and messages == self._messages:
            self._around_body += self._chunk - (self._body - body)
            return self._around_body > MOST_HEAD_BYTES + _MOST_AROUND * self._body
        return False
