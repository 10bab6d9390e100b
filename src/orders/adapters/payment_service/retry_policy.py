"""Whether a call may be retried, and after which wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 2.0


class RetryBudget:
    """Bounds the retries by the number of calls.

    Each call adds `ratio` of a retry, up to `reserve`. By default n calls cause at most n/10 + 10
    retries, so retries never double the load on a service that fails. The budget is full again
    after `calm_seconds` in which no call wanted a retry. Otherwise a process with few calls would
    not retry for hours.
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
        self._wanted_at = clock()

    def pay_in(self) -> None:
        """Count one call. Its retries do not count."""
        self._left = min(self._reserve, self._left + self._ratio)

    def take(self) -> bool:
        """Take one retry out of the budget; False if none is left."""
        now = self._clock()
        if now - self._wanted_at >= self._calm_seconds:
            self._left = self._reserve
        self._wanted_at = now
        # Ten times 0.1 adds up to 0.9999999999999999.
        if self._left < 1 - 1e-9:
            return False
        self._left -= 1
        return True


def wait_seconds(attempt: int, retry_after: float, *, jitter: float) -> float:
    """The wait after try number `attempt` (from 1), with full jitter (0 to 1).

    It is never below `retry_after`. The jitter on top spreads the clients that got the same
    Retry-After.
    """
    return retry_after + jitter * min(
        LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1)
    )


def retry_after_seconds(value: str | None, *, now: datetime) -> float:
    """The seconds that a Retry-After field (RFC 9110, 10.2.3) asks for; 0 if it is not valid.

    `now` is aware. A date in the past gives 0.
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
    # `parsedate_to_datetime` returns a naive date for the zone "-0000", which is UTC.
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
