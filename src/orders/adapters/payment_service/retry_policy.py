"""When a call may be made again, and after how long a wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 2.0


class RetryBudget:
    """How many repetitions the calls made so far have paid for.

    Each call pays in a tenth of a repetition, at most ten are kept: of n calls no more than
    n/10 + 10 are repeated, so repeating never doubles the load on a service that fails.
    A spent budget is full again after a minute in which no call wanted a repetition; otherwise
    a quiet process would never repeat anything again.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        reserve: float = 10.0,
        calm_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start with a full reserve. `clock` counts seconds and never goes back."""
        self._ratio = ratio
        self._reserve = reserve
        self._calm_seconds = calm_seconds
        self._clock = clock
        self._left = reserve
        self._asked_at = clock()

    def pay_in(self) -> None:
        """Count one call, its repetitions not included."""
        self._left = min(self._reserve, self._left + self._ratio)

    def take(self) -> bool:
        """Take one repetition out; False if none is left."""
        now = self._clock()
        if now - self._asked_at >= self._calm_seconds:
            self._left = self._reserve
        self._asked_at = now
        # Ten payments of 0.1 make 0.9999999999999999.
        if self._left < 1 - 1e-9:
            return False
        self._left -= 1
        return True


def wait_seconds(attempt: int, retry_after: float, *, jitter: float) -> float:
    """Return the seconds to wait after the n-th try (from 1), with full jitter (0 to 1).

    Never less than the service's Retry-After; the jitter on top spreads the retries of clients
    that got the same Retry-After.
    """
    return retry_after + jitter * min(
        LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1)
    )


def retry_after_seconds(value: str | None, *, now: datetime) -> float:
    """The seconds that a Retry-After field (RFC 9110, 10.2.3) asks for; 0 if it makes no sense.

    `now` is aware; a date in the past asks for nothing.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    # A date in "-0000" comes back naive; it is UTC all the same.
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
