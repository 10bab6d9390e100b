"""`RateLimiter` on Redis: one count for all processes, and a local one while Redis is lost."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Self

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
_BATCH: Final = 500
_GRACE: Final = 10
_log = logging.getLogger(__name__)


class _Watch:
    """Ends a wait for Redis in time, but not one for our own event loop.

    When the loop itself wakes up late, the answer may lie there unread: it gets a few more turns.
    Otherwise a burst of requests, which a limit is for, would be what puts the limit out.
    """

    def __init__(self, timeout: asyncio.Timeout, seconds: float) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._grace = _GRACE
        self._begin()

    def _begin(self) -> None:
        self._due_at = self._loop.time() + self._seconds
        self._handle = self._loop.call_at(self._due_at, self._look)

    def _look(self) -> None:
        is_late = self._loop.time() - self._due_at > self._seconds / 10
        if is_late and self._grace:
            self._grace -= 1
            self._begin()
        else:
            self._timeout.reschedule(self._loop.time())

    def end(self) -> None:
        """The wait is over."""
        self._handle.cancel()


class _Wish(NamedTuple):
    """A take that waits for Redis; its answer is None if Redis is lost."""

    digest: str
    interval: int
    burst: int
    answer: asyncio.Future[Admission | None]

    def settle(self, answer: Admission | None) -> None:
        if not self.answer.done():  # whoever asked may have gone away
            self.answer.set_result(answer)


class RedisRateLimiter:
    """GCRA, atomic in Redis. Keys are stored as digests: Redis learns nobody's name.

    What is asked while Redis answers is sent together then, on one connection: a burst costs a
    few round trips. When Redis fails or is slower than 20 ms, `fallback` counts for
    `PAUSE_SECONDS`; then one request finds out whether it is back. Leaving the context closes
    the connection.
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
        # The one timeout is `_Watch`, which knows better than redis-py when our loop is late.
        self._redis = Redis.from_url(
            uri, retry=Retry(NoBackoff(), 0), socket_connect_timeout=None, socket_timeout=None
        )
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._wishes: list[_Wish] = []
        self._asking: asyncio.Task[None] | None = None
        self._ask_again_at = float("-inf")
        self._is_shared = True

    @property
    def is_degraded(self) -> bool:
        """Whether `fallback` counts, for this process alone, because Redis did not answer."""
        return not self._is_shared

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await self._redis.aclose()

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one of what `key` may do now, wherever else it is taken from."""
        now = self._clock()
        if now < self._ask_again_at:
            return await self._fallback.take(key, policy)
        if not self._is_shared:
            # The others go on without Redis while this request tries.
            self._ask_again_at = now + PAUSE_SECONDS
        return await self._wish(key, policy) or await self._fallback.take(key, policy)

    async def _wish(self, key: str, policy: RatePolicy) -> Admission | None:
        wish = _Wish(
            digest=hashlib.blake2b(key.encode(), digest_size=16).hexdigest(),
            interval=max(1, round(1_000_000 / policy.per_second)),
            burst=policy.burst,
            answer=asyncio.get_running_loop().create_future(),
        )
        self._wishes.append(wish)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await wish.answer

    async def _ask(self) -> None:
        """Ask for all that is wished for, until nothing is; once Redis is lost, for nothing."""
        asked: list[_Wish] = []
        try:
            while self._wishes:
                asked, self._wishes = self._wishes[:_BATCH], self._wishes[_BATCH:]
                rooms = await self._rooms(asked)
                self._find()
                for wish, room in zip(asked, rooms, strict=True):
                    wish.settle(_admission(room, wish.interval))
        except (RedisError, OSError) as trouble:  # a TimeoutError is an OSError
            self._lose(trouble)
        finally:
            self._asking = None
            for wish in (*asked, *self._wishes):
                wish.settle(None)
            self._wishes = []

    async def _rooms(self, wishes: list[_Wish]) -> list[int]:
        pipeline = self._redis.pipeline(transaction=False)
        for wish in wishes:
            pipeline.execute_command(
                "EVAL", _GCRA, 1, PREFIX + wish.digest, wish.interval, wish.burst
            )
        async with asyncio.timeout(None) as timeout:
            watch = _Watch(timeout, self._timeout_seconds)
            try:
                rooms: list[int] = await pipeline.execute()
            finally:
                watch.end()
        return rooms

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


def _admission(room: int, interval: int) -> Admission:
    """Read what the script tells: the microseconds until a whole burst would be owed."""
    if room < 0:
        return Admission(admitted=False, remaining=0, next_after_seconds=-room / 1e6)
    return Admission(
        admitted=True,
        remaining=room // interval,
        next_after_seconds=(interval - room % interval) / 1e6,
    )
