"""`RateLimiter` in the memory of one process. Other processes count separately."""

from __future__ import annotations

import time
from collections.abc import Callable

from orders.application.ports import Admission, RatePolicy

MAX_KEYS = 100_000
"""The most keys in memory. Beyond that, the least recently used start again with a full burst."""


class InMemoryRateLimiter:
    """GCRA: stores for each key the time at which its full burst will be available again."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS
    ) -> None:
        """Start with a full burst for every key. `clock` counts seconds and never goes back."""
        self._clock = clock
        self._max_keys = max_keys
        self._restored_at: dict[str, float] = {}

    @property
    def is_degraded(self) -> bool:
        """Always False: this limiter counts one process only, as intended."""
        return False

    def __len__(self) -> int:
        """How many keys are in memory."""
        return len(self._restored_at)

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one request from what `key` may send now."""
        now = self._clock()
        interval = 1 / policy.per_second
        restored_at = max(now, self._restored_at.pop(key, now)) + interval
        admission = _admission(now, restored_at, policy)
        if not admission.admitted:
            self._restored_at[key] = restored_at - interval
            return admission
        self._restored_at[key] = restored_at
        self._forget(now)
        return admission

    async def peek(self, key: str, policy: RatePolicy) -> Admission:
        """What `take` would return now, without taking."""
        now = self._clock()
        restored_at = max(now, self._restored_at.get(key, now)) + 1 / policy.per_second
        return _admission(now, restored_at, policy)

    def _forget(self, now: float) -> None:
        """Delete up to two old keys: those whose full burst is available, or above `max_keys`."""
        for _ in range(2):
            oldest = next(iter(self._restored_at))
            if self._restored_at[oldest] > now and len(self._restored_at) <= self._max_keys:
                break
            del self._restored_at[oldest]


def _admission(now: float, restored_at: float, policy: RatePolicy) -> Admission:
    """Whether a request is admitted after which the full burst is available at `restored_at`."""
    interval = 1 / policy.per_second
    # Seconds until the burst is used up. Rounding must not cost a request, so 1 ns is added.
    room = now + policy.burst * interval - restored_at + 1e-9
    if room < 0:
        return Admission(admitted=False, remaining=0, next_after_seconds=-room)
    return Admission(
        admitted=True,
        remaining=int(room / interval),
        next_after_seconds=interval - room % interval,
    )
