"""`RateLimiter` on Redis: all processes share one count. Without Redis, each counts locally."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from orders.adapters.redis.primary import (
    CONNECT_SECONDS,
    CONNECTIONS,
    RedisServers,
    RedisUnavailable,
    close,
    why_not,
)
from orders.application.ports import Admission, RateLimiter, RatePolicy

TIMEOUT_SECONDS: Final = 0.04
"""The longest wait of a batch for Redis."""
PAUSE_SECONDS: Final = 1.0
"""The wait before the next attempt to connect, and between two checks of an idle connection."""
PREFIX: Final = "orders:rate:{shared}:"
"""A Redis Cluster stores keys with the same word in braces together: one call may have them all."""

# The generic cell rate algorithm (GCRA) for a batch. Each key has an interval and a burst; a
# negative interval only looks.
# Times are whole microseconds of the clock of Redis, because the clocks of our machines may differ.
_GCRA: Final = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local rooms = {}
for i, key in ipairs(KEYS) do
  local signed, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local interval = math.abs(signed)
  local restored_at = math.max(now, tonumber(redis.call('GET', key) or now)) + interval
  rooms[i] = now + burst * interval - restored_at
  if signed > 0 and rooms[i] >= 0 then
    redis.call('SET', key, string.format('%.0f', restored_at),
      'PX', math.ceil((restored_at - now) / 1000))
  end
end
return rooms
"""
_PROBE: Final = PREFIX + "probe"
_PROBE_ARGS: Final = [1, 1_000_000]
"""An interval of 1 µs: whoever else probes, the script writes."""
_PROBES: Final = 3
_BATCH: Final = 500
# A TimeoutError is an OSError. redis-py raises ValueError for a response that it cannot read.
_LOST: Final = (RedisError, OSError, ValueError)
_LATE_LOOPS: Final = 10
_log = logging.getLogger(__name__)


class _Batch:
    """The requests of one call to Redis."""

    def __init__(self) -> None:
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

    A task of its own connects, so no request waits for that: until there is a connection,
    `fallback` counts. At most `CONNECTIONS` calls are on their way at once. Requests that arrive
    meanwhile share the next call, so a burst of requests costs a few calls. If a call fails or
    takes longer than `timeout_seconds`, `fallback` counts until Redis is connected again, which is
    tried at once, then every `pause_seconds`. Leaving the context closes the connections.
    """

    def __init__(
        self,
        uri: str,
        *,
        fallback: RateLimiter,
        tls: ssl.SSLContext | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """Take the servers, as `RedisServers` does. The first `take` begins to connect."""
        self._servers = RedisServers(uri, tls=tls, connect_seconds=connect_seconds)
        self._fallback = fallback
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._next: _Batch | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._script: AsyncScript | None = None
        self._lost = asyncio.Event()
        self._is_used = False
        """Whether Redis has responded since the last check of the connection."""
        self._reasons: set[str] = set()
        """Why Redis is not used, as the log says it: each reason once, not for each attempt."""

    @property
    def is_degraded(self) -> bool:
        """Whether `fallback` counts, for this process alone, because Redis is not connected."""
        return self._connecting is not None and self._script is None

    async def __aenter__(self) -> Self:
        """Return at once. A process that limits nobody, as a worker, never connects."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting

    def connect(self) -> None:
        """Begin to connect, unless that has begun. The first `take` does it, too."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._stay_connected())

    async def take(self, key: str, policy: RatePolicy) -> Admission:
        """Take one request from what `key` may send now, in whichever process it arrives."""
        admission = await self._asked(key, policy, sign=1)
        return admission or await self._fallback.take(key, policy)

    async def peek(self, key: str, policy: RatePolicy) -> Admission:
        """What `take` would return now, without taking."""
        admission = await self._asked(key, policy, sign=-1)
        return admission or await self._fallback.peek(key, policy)

    async def _asked(self, key: str, policy: RatePolicy, *, sign: int) -> Admission | None:
        """What Redis says; None if it is lost. The sign is that of the script's interval."""
        self.connect()
        interval = max(1, round(1_000_000 / policy.per_second))
        room = await self._room(key, sign * interval, policy.burst) if self._script else None
        return None if room is None else _admission(room, interval)

    async def _room(self, key: str, interval: int, burst: int) -> int | None:
        """The microseconds that the script returns for a key; None if Redis is lost."""
        batch = self._next
        if batch is None or len(batch.keys) >= _BATCH:
            batch = self._next = _Batch()
            batch.rooms = asyncio.create_task(self._rooms(batch))
            self._calls.add(batch.rooms)
            batch.rooms.add_done_callback(self._calls.discard)
        digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        index = batch.add(PREFIX + digest, interval, burst)
        # A cancelled request must not cancel the others of its batch.
        rooms = await asyncio.shield(batch.rooms)
        return None if rooms is None else rooms[index]

    async def _rooms(self, batch: _Batch) -> list[int] | None:
        async with self._slots:
            if self._next is batch:
                self._next = None
            return await self._call(batch.keys, batch.args)

    async def _call(self, keys: list[str], args: list[int]) -> list[int] | None:
        """Call the script. Returns None if Redis is lost, and remembers that it is."""
        script = self._script
        if script is None:
            return None
        try:
            rooms = await self._in_time(script(keys=keys, args=args))
        except _LOST as error:
            if script is self._script:  # a call of an earlier connection says nothing of this one
                self._switch_to_fallback(why_not(error))
            return None
        self._is_used = True
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

    async def _stay_connected(self) -> None:
        """Connect, also again when Redis is lost: at once if it was there for a while."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                client = await self._servers.connect(_try_script)
            except RedisUnavailable as unavailable:
                self._switch_to_fallback(str(unavailable))
            else:
                try:
                    await self._use(client.register_script(_GCRA))
                finally:
                    self._script = None
                    await close(client)
            if loop.time() - began < self._pause_seconds:
                await asyncio.sleep(self._pause_seconds)

    async def _use(self, script: AsyncScript) -> None:
        """Use a connection until it is lost, if Redis answers fast enough for requests."""
        if reason := await self._why_too_slow(script):
            self._switch_to_fallback(reason)
            return
        self._lost.clear()
        self._script = script
        self._switch_to_redis()
        while not self._lost.is_set():
            self._is_used = False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._pause_seconds)
            if not self._is_used:
                await self._call([_PROBE], _PROBE_ARGS)

    async def _why_too_slow(self, script: AsyncScript) -> str | None:
        """Return why no call of a few was answered in time: one that was late proves nothing."""
        reason = None
        for _ in range(_PROBES):
            try:
                await self._in_time(script(keys=[_PROBE], args=_PROBE_ARGS))
            except _LOST as error:
                reason = why_not(error)
            else:
                return None
        return reason

    def _switch_to_fallback(self, reason: str) -> None:
        self._script = None
        self._lost.set()
        if reason not in self._reasons:
            self._reasons.add(reason)
            _log.warning("rate limits are counted locally: Redis: %s", reason)

    def _switch_to_redis(self) -> None:
        if self._reasons:
            self._reasons.clear()
            _log.warning("rate limits are counted in Redis again")


async def _try_script(client: Redis) -> None:
    """Write, as requests do. A server that takes no writes raises its reason."""
    await client.register_script(_GCRA)(keys=[_PROBE], args=_PROBE_ARGS)


def _admission(room: int, interval: int) -> Admission:
    """Read the script's result: the microseconds that are left until the burst is used up."""
    if room < 0:
        return Admission(admitted=False, remaining=0, next_after_seconds=-room / 1e6)
    return Admission(
        admitted=True,
        remaining=room // interval,
        next_after_seconds=(interval - room % interval) / 1e6,
    )
