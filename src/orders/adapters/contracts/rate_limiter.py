"""What every `RateLimiter` promises. Subclass it and say how to make yours:

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
"""Gives nothing back while a test runs."""
QUICK: Final = RatePolicy(per_second=1, burst=3)
"""Gives one back while a test waits, and none while it takes four, on a busy machine too."""


class RateLimiterContract:
    """The suite. Each test has a separate key, so that others may use the limiter, too."""

    @pytest.fixture
    def limiter(self) -> RateLimiter:
        """The limiter under test."""
        raise NotImplementedError

    @pytest.fixture
    def key(self) -> str:
        """A key that nobody has used."""
        return f"tenant/subject/{uuid4()}"

    async def test_admits_a_burst_and_no_more(self, limiter: RateLimiter, key: str) -> None:
        taken = [await limiter.take(key, SLOW) for _ in range(12)]
        assert [each.admitted for each in taken] == [True] * 10 + [False] * 2
        assert [each.remaining for each in taken] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]

    async def test_admits_no_more_when_many_take_at_once(
        self, limiter: RateLimiter, key: str
    ) -> None:
        taken = await asyncio.gather(*(limiter.take(key, SLOW) for _ in range(100)))
        assert sum(each.admitted for each in taken) == 10

    async def test_says_when_the_next_one_is_admitted(self, limiter: RateLimiter, key: str) -> None:
        taken = [await limiter.take(key, QUICK) for _ in range(4)]
        assert not taken[-1].admitted
        assert 0 < taken[-1].next_after_seconds <= 1
        await asyncio.sleep(taken[-1].next_after_seconds + 0.001)
        assert (await limiter.take(key, QUICK)).admitted

    async def test_being_refused_costs_nothing(self, limiter: RateLimiter, key: str) -> None:
        for _ in range(10):
            await limiter.take(key, SLOW)
        waits = [(await limiter.take(key, SLOW)).next_after_seconds for _ in range(20)]
        assert 990 < min(waits) <= max(waits) <= 1_000

    async def test_keys_do_not_touch_each_other(self, limiter: RateLimiter, key: str) -> None:
        for _ in range(11):
            await limiter.take(key, SLOW)
        assert (await limiter.take(key + "x", SLOW)).remaining == 9

    async def test_takes_any_key(self, limiter: RateLimiter, key: str) -> None:
        for odd in ("", " \r\n", "ключ", "k" * 10_000):
            assert (await limiter.take(key + odd, SLOW)).admitted

    async def test_a_high_rate_is_a_rate(self, limiter: RateLimiter, key: str) -> None:
        policy = RatePolicy(per_second=100_000, burst=100_000)
        assert (await limiter.take(key, policy)).remaining == 99_999
