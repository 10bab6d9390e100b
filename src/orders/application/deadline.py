"""Until when a request is worth working for: after that nobody waits for its answer.

Adapters look at it before they begin something. Work that no request has asked for has none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

TO_BOOK_SECONDS: Final = 1.5
"""What is kept of the time of a request to store what another service has answered."""


class Deadline:
    """A moment, `seconds` after it was last set."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.set()

    def set(self) -> None:
        """Begin anew: the request has only now come in."""
        self._ends_at = time.monotonic() + self._seconds

    def seconds_left(self) -> float:
        """How long it is until then; negative when it is over."""
        return self._ends_at - time.monotonic()


_deadline: ContextVar[Deadline | None] = ContextVar("orders.deadline", default=None)


@contextmanager
def within(deadline: Deadline) -> Iterator[Deadline]:
    """Work until then."""
    token = _deadline.set(deadline)
    try:
        yield deadline
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """What is left to the current request; infinite outside of one."""
    deadline = _deadline.get()
    return math.inf if deadline is None else deadline.seconds_left()
