"""`RateLimiter` in the memory of one process: exact there, unknown to every other one."""

from __future__ import annotations

import time
from collections.abc import Callable

from orders.application.ports import Admission, RatePolicy

MAX_KEYS = 100_000
"""Keys remembered at most. Beyond that the oldest are forgotten, and start anew."""


class InMemoryRateLimiter:
    """GCRA: each key has the one time at which all that it took will have been given back."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS
    ) -> None:
        """Start with nothing taken. `clock` counts seconds and never goes back."""
        self._clock = clock
        self._max_keys = max_keys
        self._restored_at: dict[str, float] = {}

    @property
    def is_degraded(self) -> bool:
        """False: one process is all that it was to count."""
        return False

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._restored_at)

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one of what `key` may do now."""
        now = self._clock()
        interval = 1 / policy.per_second
        restored_at = max(now, self._restored_at.pop(key, now)) + interval
        # What is left until the key owes a whole burst; rounding must not cost a request.
        room = now + policy.burst * interval - restored_at + 1e-9
        if room < 0:
            self._restored_at[key] = restored_at - interval
            return Admission(admitted=False, remaining=0, next_after_seconds=-room)
        self._restored_at[key] = restored_at
        self._forget(now)
        return Admission(
            admitted=True,
            remaining=int(room / interval),
            next_after_seconds=interval - room % interval,
        )

    def _forget(self, now: float) -> None:
        """Look at the two keys that were used least recently: what owes nothing is not kept."""
        for _ in range(2):
            oldest = next(iter(self._restored_at))
            if self._restored_at[oldest] > now and len(self._restored_at) <= self._max_keys:
                break
            del self._restored_at[oldest]
