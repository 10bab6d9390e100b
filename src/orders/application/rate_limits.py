"""The port that limits rates; `ports` has them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """A rate limit: `burst` requests at once, `per_second` on average."""

    per_second: float
    burst: int


class Admission(NamedTuple):
    """Whether a request is admitted, how many more are now, and in how many seconds one more is."""

    admitted: bool
    remaining: int
    next_after_seconds: float


class RateLimiter(Protocol):
    """Counts requests by GCRA: never admits more than a burst and the rate since then allow."""

    @property
    def is_degraded(self) -> bool:
        """Whether it counts less exactly than configured, because a service it needs is lost."""
        ...

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Count one request of `key`. A request that is not admitted counts for nothing.

        Atomic: of any number of concurrent calls, no more are admitted than the policy allows. Keys
        do not affect each other. Never raises: it rather counts less exactly.
        """
        ...

    async def peek(self, key: str, policy: RatePolicy) -> Admission:
        """What `take` would return for `key` now, without counting. Never raises."""
        ...
