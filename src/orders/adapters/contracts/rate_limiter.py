"""What every `RateLimiter` promises. Subclass this suite and provide your adapter:

class TestMyRateLimiter(RateLimiterContract):
    @pytest.fixture
    async def limiter(self) -> RateLimiter: ...
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from orders.application.ports import RatePolicy

if TYPE_CHECKING:
    from orders.application.ports import RateLimiter

SLOW: Final = RatePolicy(per_second=0.001, burst=10)
"""Restores no request while a test runs: one takes 1,000 s."""
QUICK: Final = RatePolicy(per_second=1, burst=3)
"""Restores one request per second: less than a test waits, more than it needs to take four."""


class RateLimiterContract:
    """The suite. Each test has its own key, so others may use the limiter at the same time."""

    @pytest.fixture
    def limiter(self) -> RateLimiter:
        """The limiter under test."""
        raise NotImplementedError

    @pytest.fixture
    def key(self) -> str:
        """A key that was never used before."""
        return f"tenant/subject/{uuid4()}"

    async def test_admits_a_burst_and_no_more(self, limiter: RateLimiter, key: str) -> None:
        taken = [await limiter.take(key, SLOW) for _ in range(12)]
        assert [each.admitted for each in taken] == [True] * 10 + [False] * 2
        assert [each.remaining for each in taken] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]

    async def test_concurrent_requests_do_not_exceed_the_burst(
        self, limiter: RateLimiter, key: str
    ) -> None:
        taken = await asyncio.gather(*(limiter.take(key, SLOW) for _ in range(100)))
        assert sum(each.admitted for each in taken) == 10

    async def test_returns_when_the_next_request_is_admitted(
        self, limiter: RateLimiter, key: str
    ) -> None:
        taken = [await limiter.take(key, QUICK) for _ in range(4)]
        assert not taken[-1].admitted
        assert 0 < taken[-1].next_after_seconds <= 1
        await asyncio.sleep(taken[-1].next_after_seconds + 0.001)
        assert (await limiter.take(key, QUICK)).admitted

    async def test_a_refused_request_costs_nothing(self, limiter: RateLimiter, key: str) -> None:
        for _ in range(10):
            await limiter.take(key, SLOW)
        waits = [(await limiter.take(key, SLOW)).next_after_seconds for _ in range(20)]
        assert 990 < min(waits) <= max(waits) <= 1_000

    async def test_looking_counts_for_nothing_and_says_what_taking_would(
        self, limiter: RateLimiter, key: str
    ) -> None:
        for taken in range(12):
            seen = [await limiter.peek(key, SLOW) for _ in range(3)]
            admission = await limiter.take(key, SLOW)
            left = max(0, 9 - taken)
            assert [each.remaining for each in (*seen, admission)] == [left] * 4
            assert {each.admitted for each in seen} == {admission.admitted}
        assert 990 < (await limiter.peek(key, SLOW)).next_after_seconds <= 1_000

    async def test_keys_are_independent(self, limiter: RateLimiter, key: str) -> None:
        for _ in range(11):
            await limiter.take(key, SLOW)
        assert (await limiter.take(key + "x", SLOW)).remaining == 9

    async def test_accepts_any_key(self, limiter: RateLimiter, key: str) -> None:
        for odd in ("", " \r\n", "ключ", "k" * 10_000):
            assert (await limiter.take(key + odd, SLOW)).admitted

    async def test_accepts_a_high_rate(self, limiter: RateLimiter, key: str) -> None:
        policy = RatePolicy(per_second=100_000, burst=100_000)
        assert (await limiter.take(key, policy)).remaining == 99_999
