"""`RateLimiter` on Redis: all processes share one count. Without Redis, each counts locally."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from orders.application.ports import Admission, RateLimiter, RatePolicy

TIMEOUT_SECONDS: Final = 0.02
"""The longest wait of a batch for Redis."""
PAUSE_SECONDS: Final = 5.0
"""After a failure, the pause before the next call to Redis."""
PREFIX: Final = "orders:rate:"

# The generic cell rate algorithm (GCRA) for a batch. Each key has an interval and a burst.
# Times are whole microseconds of the clock of Redis, because the clocks of our machines may differ.
_GCRA: Final = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local rooms = {}
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local restored_at = math.max(now, tonumber(redis.call('GET', key) or now)) + interval
  rooms[i] = now + burst * interval - restored_at
  if rooms[i] >= 0 then
    redis.call('SET', key, string.format('%.0f', restored_at),
      'PX', math.ceil((restored_at - now) / 1000))
  end
end
return rooms
"""
_BATCH: Final = 500
_LATE_LOOPS: Final = 10
_log = logging.getLogger(__name__)


class _Batch:
    """The requests of one call to Redis. `losses` counts the failures of Redis before it."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.keys: list[str] = []
        self.args: list[int] = []
        self.rooms: asyncio.Task[list[int] | None]

    def add(self, key: str, interval: int, burst: int) -> int:
        """Add a request. Returns the index of its result."""
        self.keys.append(key)
        self.args += (interval, burst)
        return len(self.keys) - 1


class RedisRateLimiter:
    """GCRA, atomic in Redis. Keys are stored as digests, so no name of a caller is in Redis.

    There is one call to Redis at a time. Requests that arrive meanwhile share the next call, so a
    burst of requests costs a few calls. If Redis fails or takes longer than `timeout_seconds`,
    `fallback` counts for `PAUSE_SECONDS`. Then one request tries Redis again, and the others use
    `fallback` until Redis responds. Leaving the context closes the connection.
    """

    def __init__(
        self,
        uri: str,
        *,
        fallback: RateLimiter,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the address of Redis. The first call connects."""
        # The timeouts of redis-py would also end a wait if our own event loop was late.
        self._redis = Redis.from_url(
            uri, retry=Retry(NoBackoff(), 0), socket_connect_timeout=None, socket_timeout=None
        )
        self._script = self._redis.register_script(_GCRA)
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._one_call = asyncio.Lock()
        self._next: _Batch | None = None
        self._losses = 0
        self._retry_at = float("-inf")
        self._is_shared = True

    @property
    def is_degraded(self) -> bool:
        """Whether `fallback` counts, for this process alone, because Redis did not respond."""
        return not self._is_shared

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._one_call:  # after all batches
            await self._redis.aclose()

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one request from what `key` may send now, in whichever process it arrives."""
        now = self._clock()
        if now < self._retry_at:
            return await self._fallback.take(key, policy)
        if not self._is_shared:
            # While this request tries Redis, the others use the fallback.
            self._retry_at = now + PAUSE_SECONDS
        interval = max(1, round(1_000_000 / policy.per_second))
        room = await self._room(key, interval, policy.burst)
        if room is None:
            return await self._fallback.take(key, policy)
        return _admission(room, interval)

    async def _room(self, key: str, interval: int, burst: int) -> int | None:
        """The microseconds that the script returns for a key; None if Redis is lost."""
        batch = self._next
        if batch is None or len(batch.keys) >= _BATCH:
            batch = self._next = _Batch(self._losses)
            batch.rooms = asyncio.create_task(self._rooms(batch))
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        index = batch.add(PREFIX + digest, interval, burst)
        # A cancelled request must not cancel the others of its batch.
        rooms = await asyncio.shield(batch.rooms)
        return None if rooms is None else rooms[index]

    async def _rooms(self, batch: _Batch) -> list[int] | None:
        async with self._one_call:
            if self._next is batch:
                self._next = None
            if batch.losses != self._losses:
                return None
            try:
                rooms = await self._in_time(self._script(keys=batch.keys, args=batch.args))
            except (RedisError, OSError) as error:  # a TimeoutError is an OSError
                self._switch_to_fallback(error)
                return None
            self._switch_to_redis()
            return rooms

    async def _in_time(self, call: Coroutine[Any, Any, list[int]]) -> list[int]:
        """Wait for a response, but not longer than `timeout_seconds`.

        If our own event loop wakes up late, the response may be there, unread: then wait again.
        A burst of requests delays the loop, and must not switch the shared limit off.
        """
        loop = asyncio.get_running_loop()
        responding = asyncio.ensure_future(call)
        try:
            for _ in range(_LATE_LOOPS):
                ends_at = loop.time() + self._timeout_seconds
                await asyncio.wait([responding], timeout=self._timeout_seconds)
                is_late = loop.time() - ends_at > self._timeout_seconds / 10
                if responding.done() or not is_late:
                    break
            if not responding.done():
                raise TimeoutError
            return responding.result()
        finally:
            responding.cancel()

    def _switch_to_fallback(self, error: Exception) -> None:
        self._losses += 1
        self._retry_at = self._clock() + PAUSE_SECONDS
        if self._is_shared:
            _log.warning("rate limits are counted locally: %s", type(error).__name__)
        self._is_shared = False

    def _switch_to_redis(self) -> None:
        self._retry_at = float("-inf")
        if not self._is_shared:
            _log.warning("rate limits are counted in Redis again")
        self._is_shared = True


def _admission(room: int, interval: int) -> Admission:
    """Read the script's result: the microseconds that are left until the burst is used up."""
    if room < 0:
        return Admission(admitted=False, remaining=0, next_after_seconds=-room / 1e6)
    return Admission(
        admitted=True,
        remaining=room // interval,
        next_after_seconds=(interval - room % interval) / 1e6,
    )
