"""The shared rate limiter, and how a test waits for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.redis.rate_limiter import RedisRateLimiter

PATIENT = 5.0
"""Seconds: on a busy machine 40 ms may pass without Redis being lost."""


@asynccontextmanager
async def limiting(
    uri: str,
    *,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = PATIENT,
    pause_seconds: float = 0.1,
    fallback: InMemoryRateLimiter | None = None,
) -> AsyncIterator[RedisRateLimiter]:
    """A limiter that has begun to connect."""
    async with RedisRateLimiter(
        uri,
        tls=tls,
        fallback=InMemoryRateLimiter() if fallback is None else fallback,
        timeout_seconds=timeout_seconds,
        pause_seconds=pause_seconds,
    ) as limiter:
        limiter.connect()
        yield limiter


@asynccontextmanager
async def sharing(
    uri: str,
    *,
    timeout_seconds: float = PATIENT,
    pause_seconds: float = 60,
    fallback: InMemoryRateLimiter | None = None,
) -> AsyncIterator[RedisRateLimiter]:
    """A limiter that is connected, and asks Redis for nothing but what the test does."""
    async with limiting(
        uri, timeout_seconds=timeout_seconds, pause_seconds=pause_seconds, fallback=fallback
    ) as limiter:
        await until(lambda: not limiter.is_degraded)
        yield limiter


async def until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait for what happens elsewhere and gives no event."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)
