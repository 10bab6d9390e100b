"""Both rate limiters keep the port's promises; the shared one on a real Redis, and without it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from orders.adapters.contracts.rate_limiter import SLOW, RateLimiterContract
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.redis.rate_limiter import PREFIX, RedisRateLimiter
from orders.application.decline_limit import DeclineLimit
from orders.application.errors import TooManyCustomerDeclines
from orders.application.ports import RateLimiter, RatePolicy
from orders.domain.order.order import Order
from tests.support.orders import CUSTOMER, NOW, a_placed_order, decline
from tests.support.processes.redis_process import RedisProcess, redis_process
from tests.support.rate_limiting import limiting, sharing, until


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
        async with sharing(shared_redis.uri, fallback=fallback) as limiter:
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
        async with limiting(uri) as limiter:
            yield limiter
        assert limiter.is_degraded


async def test_declines_of_a_customer_count_whichever_process_they_come_to(
    shared_redis: RedisProcess,
) -> None:
    fallbacks = InMemoryRateLimiter(), InMemoryRateLimiter()
    async with (
        sharing(shared_redis.uri, fallback=fallbacks[0]) as one,
        sharing(shared_redis.uri, fallback=fallbacks[1]) as other,
    ):
        limits = DeclineLimit(one, 20), DeclineLimit(other, 20)
        order, again = a_declined_order(), a_placed_order()
        again.start_payment("tok_ok", by=CUSTOMER, now=NOW)
        for number in range(20):
            for limit in limits:
                await limit.admit(again)
            await limits[number % 2].count(order.state, order.new_events)
        for limit in limits:
            with pytest.raises(TooManyCustomerDeclines) as refused:
                await limit.admit(again)
            assert 170 <= refused.value.retry_after_seconds <= 180


def a_declined_order() -> Order:
    order = a_placed_order()
    decline(order)
    return order


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
        limiters = [await stack.enter_async_context(sharing(shared_redis.uri)) for _ in range(3)]
        policy = RatePolicy(per_second=0.001, burst=50)
        taken = await asyncio.gather(
            *(limiter.take("shared by three", policy) for limiter in limiters for _ in range(50))
        )
    assert sum(each.admitted for each in taken) == 50


async def test_redis_learns_no_name_and_keeps_nothing_for_ever(shared_redis: RedisProcess) -> None:
    async with sharing(shared_redis.uri) as limiter:
        await limiter.take("ada@example.com", RatePolicy(per_second=1, burst=10))
        keys = [each.decode() for each in shared_redis.command("KEYS", "*")]
        assert all(each.startswith(PREFIX) for each in keys)
        # A digest may spell "ada" by chance, but never this.
        assert not [each for each in keys if "example" in each]
        assert keys
        # Those of other tests may have gone since: -2, where -1 is for ever.
        assert b":-1" not in [shared_redis.command("PTTL", each)[0] for each in keys]


async def test_a_request_costs_one_call_and_a_burst_not_many_more(
    shared_redis: RedisProcess,
) -> None:
    async with sharing(shared_redis.uri) as limiter:
        before = calls_to(shared_redis)
        for _ in range(20):
            await limiter.take("in turn", SLOW)
        in_turn = calls_to(shared_redis)
        taken = await asyncio.gather(*(limiter.take("at once", SLOW) for _ in range(1_200)))
        at_once = calls_to(shared_redis)
    assert in_turn - before == 20
    assert sum(each.admitted for each in taken) == 10
    assert at_once - in_turn == 3, "1,200 at most 500 at a time"


def calls_to(redis: RedisProcess) -> int:
    """How often scripts were called, under whatever name, and loaded."""
    lines = [each.decode() for each in redis.command("INFO", "commandstats")]
    counted = [each for each in lines if each.startswith(("cmdstat_eval", "cmdstat_script"))]
    return sum(int(each.partition("calls=")[2].partition(",")[0]) for each in counted)


async def test_a_redis_that_has_forgotten_the_script_goes_on_counting(
    shared_redis: RedisProcess,
) -> None:
    """As after a restart that nobody noticed."""
    fallback = InMemoryRateLimiter()
    async with sharing(shared_redis.uri, fallback=fallback) as limiter:
        assert (await limiter.take("forgotten", SLOW)).remaining == 9
        shared_redis.command("SCRIPT", "FLUSH")
        assert (await limiter.take("forgotten", SLOW)).remaining == 8
        assert not limiter.is_degraded
    assert len(fallback) == 0


async def test_a_redis_that_stops_answering_is_waited_for_once(own_redis: RedisProcess) -> None:
    """Not once for each of the calls that wait behind those without an answer."""
    fallback = InMemoryRateLimiter()
    async with sharing(own_redis.uri, timeout_seconds=3, fallback=fallback) as limiter:
        own_redis.freeze()
        began = time.monotonic()
        await asyncio.gather(*(limiter.take(f"k{n}", SLOW) for n in range(4_000)))
        took = time.monotonic() - began
        own_redis.thaw()
    assert len(fallback) == 4_000
    assert 3 <= took < 6, "eight calls, of which four at once"


async def test_who_goes_away_takes_nobody_along(own_redis: RedisProcess) -> None:
    async with sharing(own_redis.uri) as limiter:
        await limiter.take("k", SLOW)
        own_redis.freeze()
        leaving, staying = (asyncio.create_task(limiter.take("k", SLOW)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        own_redis.thaw()
        assert (await staying).remaining == 7, "both were asked for"


async def test_a_lost_redis_is_found_again(
    own_redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with limiting(own_redis.uri) as limiter:
        assert limiter.is_degraded, "nobody waits for the first connection"
        await until(lambda: not limiter.is_degraded)
        assert (await limiter.take("k", SLOW)).remaining == 9
        own_redis.kill()
        assert [(await limiter.take("k", SLOW)).remaining for _ in range(3)] == [9, 8, 7]
        assert limiter.is_degraded
        await until(lambda: len(caplog.messages) == 2)
        own_redis.start()
        await until(lambda: not limiter.is_degraded)
        assert (await limiter.take("k", SLOW)).remaining == 9, "Redis came back empty"
    assert caplog.messages == [
        "rate limits are counted locally: Redis: it closed the connection",
        "rate limits are counted locally: Redis: it refuses connections",
        "rate limits are counted in Redis again",
    ]


async def test_a_redis_that_is_lost_while_nobody_asks_costs_no_request(
    own_redis: RedisProcess,
) -> None:
    async with limiting(own_redis.uri, timeout_seconds=0.5) as limiter:
        await until(lambda: not limiter.is_degraded)
        own_redis.freeze()
        await until(lambda: limiter.is_degraded)
        own_redis.thaw()
        await until(lambda: not limiter.is_degraded)


async def test_no_request_waits_for_a_connection() -> None:
    connected = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await reader.read()  # until the other side gives up
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    uri = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with (
        server,
        RedisRateLimiter(uri, fallback=InMemoryRateLimiter(), connect_seconds=60) as limiter,
    ):
        assert not limiter.is_degraded, "nobody has asked it anything"
        limiter.connect()
        await until(lambda: connected)
        async with asyncio.timeout(30):
            taken = [await limiter.take("k", SLOW) for _ in range(100)]
        assert connected == 1, "it still tries"
    assert sum(each.admitted for each in taken) == 10


async def test_a_server_that_speaks_no_redis_is_tried_again() -> None:
    talks: list[asyncio.Task[None] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while await reader.read(4_096):
                writer.write(b"*abc\r\n")
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    uri = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with server, limiting(uri, pause_seconds=0.05) as limiter:
        await until(lambda: len(talks) > 3)
        assert (await limiter.take("k", SLOW)).admitted
        assert limiter.is_degraded
    await asyncio.gather(*filter(None, talks))


async def test_a_busy_event_loop_is_no_lost_redis(shared_redis: RedisProcess) -> None:
    async with sharing(shared_redis.uri, timeout_seconds=0.2) as limiter:
        for n in range(7):
            taking = asyncio.create_task(limiter.take(f"busy {n}", SLOW))
            for _ in range(n):  # before it asks, while it does, and when the answer comes
                await asyncio.sleep(0)
            time.sleep(0.3)  # noqa: ASYNC251 - this is the busy loop
            assert (await taking).remaining == 9
            assert not limiter.is_degraded


async def test_while_redis_is_lost_it_is_tried_now_and_then() -> None:
    """However many requests come meanwhile."""
    tried = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    uri = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with server, limiting(uri, pause_seconds=1) as limiter:
        await until(lambda: tried)
        for _ in range(1_000):
            await limiter.take("k", SLOW)
        assert tried == 1
        await until(lambda: tried == 2)
