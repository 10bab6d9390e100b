"""Both rate limiters keep the port's promises; the shared one on a real Redis, and without it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from orders.adapters.contracts.rate_limiter import SLOW, RateLimiterContract
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.redis.rate_limiter import PAUSE_SECONDS, PREFIX, RedisRateLimiter
from orders.application.ports import RateLimiter, RatePolicy
from tests.support.processes.redis_process import RedisProcess, redis_process

PATIENT = 5.0
"""Seconds: on a busy machine 20 ms may pass without Redis being lost."""


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with redis_process(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """One that the test may kill."""
    with redis_process(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


class TestInMemoryRateLimiter(RateLimiterContract):
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        return InMemoryRateLimiter()


class TestRedisRateLimiter(RateLimiterContract):
    @pytest.fixture
    async def limiter(self, shared_redis: RedisProcess) -> AsyncIterator[RateLimiter]:
        fallback = InMemoryRateLimiter()
        async with RedisRateLimiter(
            shared_redis.uri, fallback=fallback, timeout_seconds=PATIENT
        ) as limiter:
            yield limiter
        assert not limiter.is_degraded
        assert len(fallback) == 0


class TestRedisRateLimiterWithoutRedis(RateLimiterContract):
    """The local count keeps every promise but that of being shared."""

    @pytest.fixture
    async def limiter(self) -> AsyncIterator[RateLimiter]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        uri = f"redis://127.0.0.1:{port}/0"
        async with RedisRateLimiter(uri, fallback=InMemoryRateLimiter()) as limiter:
            yield limiter
        assert limiter.is_degraded


async def test_the_rate_is_kept_over_time() -> None:
    clock = Clock()
    limiter = InMemoryRateLimiter(clock=clock)
    policy = RatePolicy(per_second=20, burst=40)
    admitted = 0
    for _ in range(10_000):  # 1,000 a second, for 10 s
        admitted += (await limiter.take("k", policy)).admitted
        clock.now += 0.001
    assert 239 <= admitted <= 240


async def test_a_rested_key_has_its_whole_burst_again() -> None:
    clock = Clock()
    limiter = InMemoryRateLimiter(clock=clock)
    policy = RatePolicy(per_second=20, burst=40)
    for _ in range(60):
        await limiter.take("k", policy)
    clock.now += 2
    assert (await limiter.take("k", policy)).remaining == 39


async def test_keys_that_owe_nothing_are_forgotten() -> None:
    clock = Clock()
    limiter = InMemoryRateLimiter(clock=clock)
    for n in range(5_000):
        await limiter.take(f"key {n}", RatePolicy(per_second=100, burst=10))
        clock.now += 0.001
    assert len(limiter) <= 11


async def test_memory_is_bounded_whoever_asks() -> None:
    limiter = InMemoryRateLimiter(max_keys=100)
    for n in range(1_000):
        await limiter.take(f"key {n}", SLOW)
    assert len(limiter) == 100
    for _ in range(20):
        await limiter.take("key 999", SLOW)
    assert not (await limiter.take("key 999", SLOW)).admitted


async def test_several_processes_share_one_count(shared_redis: RedisProcess) -> None:
    async with contextlib.AsyncExitStack() as stack:
        limiters = [
            await stack.enter_async_context(
                RedisRateLimiter(
                    shared_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT
                )
            )
            for _ in range(3)
        ]
        policy = RatePolicy(per_second=0.001, burst=50)
        taken = await asyncio.gather(
            *(limiter.take("shared by three", policy) for limiter in limiters for _ in range(50))
        )
    assert sum(each.admitted for each in taken) == 50


async def test_redis_learns_no_name_and_keeps_nothing_for_ever(shared_redis: RedisProcess) -> None:
    async with RedisRateLimiter(
        shared_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT
    ) as limiter:
        await limiter.take("ada@example.com", RatePolicy(per_second=1, burst=10))
        keys = await limiter._redis.keys("*")
        assert all(PREFIX in str(key) for key in keys)
        # A digest may spell "ada" by chance, but never this.
        assert not [key for key in keys if "example" in str(key)]
        assert keys
        # Those of other tests may have gone since: -2, where -1 is for ever.
        assert -1 not in [await limiter._redis.pttl(key) for key in keys]


async def test_a_request_costs_one_call_and_a_burst_not_many_more(
    shared_redis: RedisProcess,
) -> None:
    async with RedisRateLimiter(
        shared_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT
    ) as limiter:
        await limiter.take("first", SLOW)  # connects, and loads the script
        before = await calls_to(limiter)
        for _ in range(20):
            await limiter.take("in turn", SLOW)
        in_turn = await calls_to(limiter)
        taken = await asyncio.gather(*(limiter.take("at once", SLOW) for _ in range(1_200)))
        at_once = await calls_to(limiter)
    assert in_turn - before == 20
    assert sum(each.admitted for each in taken) == 10
    assert at_once - in_turn == 3, "1,200 at most 500 at a time"


async def calls_to(limiter: RedisRateLimiter) -> int:
    """How often scripts were called, under whatever name, and loaded."""
    told = await limiter._redis.info("commandstats")
    names = {name for name in told if name.startswith(("cmdstat_eval", "cmdstat_script"))}
    return sum(told[name]["calls"] for name in names)


async def test_a_redis_that_has_forgotten_the_script_goes_on_counting(
    shared_redis: RedisProcess,
) -> None:
    """As after a restart that nobody noticed, or another primary."""
    fallback = InMemoryRateLimiter()
    async with RedisRateLimiter(
        shared_redis.uri, fallback=fallback, timeout_seconds=PATIENT
    ) as limiter:
        assert (await limiter.take("forgotten", SLOW)).remaining == 9
        await limiter._redis.script_flush()
        assert (await limiter.take("forgotten", SLOW)).remaining == 8
        assert not limiter.is_degraded
    assert len(fallback) == 0


async def test_a_redis_that_stops_answering_is_waited_for_once(own_redis: RedisProcess) -> None:
    """Not once for each of the calls that wait behind the one without an answer."""
    fallback = InMemoryRateLimiter()
    async with RedisRateLimiter(
        own_redis.uri, fallback=fallback, timeout_seconds=PATIENT
    ) as limiter:
        await limiter.take("k", SLOW)
        own_redis.freeze()
        limiter._timeout_seconds = 0.02
        await asyncio.gather(*(limiter.take(f"k{n}", SLOW) for n in range(1_200)))
        own_redis.thaw()
        assert limiter._losses == 1
    assert len(fallback) == 1_200


async def test_who_goes_away_takes_nobody_along(own_redis: RedisProcess) -> None:
    async with RedisRateLimiter(
        own_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT
    ) as limiter:
        await limiter.take("k", SLOW)
        own_redis.freeze()
        leaving, staying = (asyncio.create_task(limiter.take("k", SLOW)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        own_redis.thaw()
        assert (await staying).remaining == 7, "both were asked for"


async def test_a_lost_redis_is_asked_again_after_a_while_and_found(
    own_redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    caplog.set_level(logging.WARNING)
    async with RedisRateLimiter(
        own_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT, clock=clock
    ) as limiter:
        degraded = [limiter.is_degraded]
        assert (await limiter.take("k", SLOW)).remaining == 9
        own_redis.kill()
        assert [(await limiter.take("k", SLOW)).remaining for _ in range(3)] == [9, 8, 7]
        degraded.append(limiter.is_degraded)
        own_redis.start()
        await limiter.take("k", SLOW)  # too early to be asked
        degraded.append(limiter.is_degraded)
        clock.now += PAUSE_SECONDS
        assert (await limiter.take("k", SLOW)).remaining == 9, "Redis came back empty"
        degraded.append(limiter.is_degraded)
    assert degraded == [False, True, True, False]
    assert [record.getMessage() for record in caplog.records] == [
        "rate limits are counted locally: ConnectionError",
        "rate limits are counted in Redis again",
    ]


async def test_a_redis_that_hangs_is_waited_for_once() -> None:
    connected = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await reader.read()  # until the other side gives up
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    uri = f"redis://127.0.0.1:{port}/0"
    loop = asyncio.get_running_loop()
    async with (
        server,
        RedisRateLimiter(uri, fallback=InMemoryRateLimiter(), timeout_seconds=0.1) as limiter,
    ):
        began = loop.time()
        taken = [await limiter.take("k", SLOW) for _ in range(100)]
        took = loop.time() - began
    assert sum(each.admitted for each in taken) == 10
    assert took < 0.6, "each of a hundred waited, or one longer than 0.1 s"
    assert connected == 1


async def test_a_busy_event_loop_is_no_lost_redis(shared_redis: RedisProcess) -> None:
    local = InMemoryRateLimiter()
    async with RedisRateLimiter(shared_redis.uri, fallback=local, timeout_seconds=0.2) as limiter:
        for n in range(7):
            taking = asyncio.create_task(limiter.take(f"busy {n}", SLOW))
            for _ in range(n):  # before it asks, while it does, and when the answer comes
                await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251 - this is the busy loop
            assert (await taking).remaining == 9
            assert not limiter.is_degraded


async def test_nobody_waits_with_the_request_that_asks_whether_redis_is_back(
    own_redis: RedisProcess,
) -> None:
    clock = Clock()
    async with RedisRateLimiter(
        own_redis.uri, fallback=InMemoryRateLimiter(), timeout_seconds=0.02, clock=clock
    ) as limiter:
        own_redis.freeze()
        await limiter.take("k", SLOW)
        limiter._timeout_seconds = PATIENT
        clock.now += PAUSE_SECONDS
        asking = asyncio.create_task(limiter.take("k", SLOW))
        await asyncio.sleep(0)
        await limiter.take("k", SLOW)
        assert not asking.done()
        own_redis.thaw()
        await asking
        assert not limiter.is_degraded


async def test_while_redis_is_lost_one_request_at_a_time_finds_out() -> None:
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    uri = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    clock = Clock()
    async with (
        server,
        RedisRateLimiter(
            uri, fallback=InMemoryRateLimiter(), timeout_seconds=PATIENT, clock=clock
        ) as limiter,
    ):
        await limiter.take("k", SLOW)
        assert asked == 1
        clock.now += PAUSE_SECONDS
        await asyncio.gather(*(limiter.take("k", SLOW) for _ in range(20)))
        assert asked == 2
