"""The port that counts what callers do; `ports` has them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """How often something may be done: `burst` times at once, `per_second` on average."""

    per_second: float
    burst: int


class Admission(NamedTuple):
    """Whether a request may go on, how many more may right now, and when one more than that."""

    admitted: bool
    remaining: int
    next_after_seconds: float


class RateLimiter(Protocol):
    """Counts what callers do, by GCRA: never more than a burst and the rate since allow."""

    @property
    def is_degraded(self) -> bool:
        """Whether it counts less exactly than it is meant to, as what it counts with is lost."""
        ...

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one of what `key` may do now; taking what is not there costs nothing.

        Atomic: however many take at once, no more are admitted than the policy says. Keys do not
        touch each other. Never raises: it rather counts less exactly than not at all.
        """
        ...
