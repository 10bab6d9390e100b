"""The deadline of a request: after it the client no longer waits for the response.

Adapters check it before each call. Work that belongs to no request has none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

TO_BOOK_SECONDS: Final = 1.5
"""The part of a request's time that is reserved for storing the outcome of a payment operation."""


class Deadline:
    """A moment `seconds` after `set` was last called."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.set()

    def set(self) -> None:
        """Start the time again: the request has its slot now."""
        self._ends_at = time.monotonic() + self._seconds

    def seconds_left(self) -> float:
        """The seconds until the deadline; negative after it."""
        return self._ends_at - time.monotonic()


_deadline: ContextVar[Deadline | None] = ContextVar("orders.deadline", default=None)


@contextmanager
def within(deadline: Deadline) -> Iterator[Deadline]:
    """Give the work in this context a deadline."""
    token = _deadline.set(deadline)
    try:
        yield deadline
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """The seconds that the current request has left; infinite outside of a request."""
    deadline = _deadline.get()
    return math.inf if deadline is None else deadline.seconds_left()
