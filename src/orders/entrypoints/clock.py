"""The time and the chance that the service lives by."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """The time, aware, UTC, in whole milliseconds: what every store can keep."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def randomness() -> int:
    """64 bits that nobody can guess."""
    return secrets.randbits(64)
