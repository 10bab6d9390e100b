"""The time and the random numbers that the service uses."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """The time: aware, UTC, in whole milliseconds, which every store can keep."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def randomness() -> int:
    """64 unguessable bits."""
    return secrets.randbits(64)
