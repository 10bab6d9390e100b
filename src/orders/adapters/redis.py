"""`RateLimiter` on Redis: one count for all processes, and a local one while Redis is lost."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orders.application.ports import Admission, RateLimiter, RatePolicy

TIMEOUT_SECONDS: Final = 0.02
"""How long a request waits for Redis at most."""
PAUSE_SECONDS: Final = 5.0
"""How long Redis is left alone after it failed."""
PREFIX: Final = "orders:rate:"

# Times in whole microseconds, by the clock of Redis: those of our machines may differ.
_GCRA: Final = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local restored_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + interval
local room = now + burst * interval - restored_at
if room >= 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', restored_at),
    'PX', math.ceil((restored_at - now) / 1000))
end
return room
"""
_log = logging.getLogger(__name__)


class RedisRateLimiter:
    """GCRA in one atomic call. Keys are stored as digests: Redis learns nobody's name.

    When Redis fails or is slower than 20 ms, `fallback` counts for `PAUSE_SECONDS`; then one
    request finds out whether it is back. Leaving it as a context closes its connections.
    """

    def __init__(
        self,
        uri: str,
        *,
        fallback: RateLimiter,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the address of Redis; nothing is connected before the first call."""
        self._redis = Redis.from_url(
            uri, retry=Retry(NoBackoff(), 0), socket_connect_timeout=timeout_seconds
        )
        self._gcra = self._redis.register_script(_GCRA)
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._ask_again_at = float("-inf")
        self._is_shared = True

    @property
    def is_shared(self) -> bool:
        """Whether the last answer came from Redis, and so counts for all processes."""
        return self._is_shared

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._redis.aclose()

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one of what `key` may do now, wherever else it is taken from."""
        now = self._clock()
        if now < self._ask_again_at:
            return await self._fallback.take(key, policy)
        if not self._is_shared:
            # The others go on without Redis while this request tries.
            self._ask_again_at = now + PAUSE_SECONDS
        try:
            async with asyncio.timeout(self._timeout_seconds):
                admission = await self._ask(key, policy)
        except (RedisError, OSError) as trouble:  # a TimeoutError is an OSError
            self._lose(trouble)
            return await self._fallback.take(key, policy)
        self._find()
        return admission

    async def _ask(self, key: str, policy: RatePolicy) -> Admission:
        interval = max(1, round(1_000_000 / policy.per_second))
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        room = int(await self._gcra(keys=[PREFIX + digest], args=[interval, policy.burst]))
        if room < 0:
            return Admission(admitted=False, remaining=0, next_after_seconds=-room / 1e6)
        return Admission(
            admitted=True,
            remaining=room // interval,
            next_after_seconds=(interval - room % interval) / 1e6,
        )

    def _lose(self, trouble: Exception) -> None:
        self._ask_again_at = self._clock() + PAUSE_SECONDS
        if self._is_shared:
            _log.warning("rate limits are counted locally: %s", type(trouble).__name__)
        self._is_shared = False

    def _find(self) -> None:
        self._ask_again_at = float("-inf")
        if not self._is_shared:
            _log.warning("rate limits are counted in Redis again")
        self._is_shared = True
