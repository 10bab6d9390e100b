"""The shared rate limiter finds the Redis that takes writes: by TLS, sentinels, a cluster, afar."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from orders.adapters.contracts.rate_limiter import SLOW
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.redis.primary import CONNECTIONS
from orders.adapters.redis.rate_limiter import PREFIX, RedisRateLimiter
from orders.application.ports import RatePolicy
from tests.support.certificates import Certificates, make_certificates
from tests.support.network.distance import at_a_distance
from tests.support.processes.redis_process import (
    RedisProcess,
    guarded_redis,
    redis_cluster,
    redis_process,
)
from tests.support.rate_limiting import limiting, until

FAILOVER_SECONDS = 30.0
"""`make brokers` measures that it takes less than 5 s; a busy machine may take longer."""


def is_shared(limiter: RedisRateLimiter) -> Callable[[], bool]:
    return lambda: not limiter.is_degraded


# -- TLS and credentials ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


PASSWORD = "p@ss/w:rd %é"
# The least that docs/operate.md says the user needs.
USER = (
    f"orders on >{PASSWORD.replace(' ', '')} ~orders:rate:* +evalsha +script|load +time +get +set"
)


@pytest.fixture(scope="module")
def guarded_by_tls(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisProcess]:
    options = ["--user", *USER.split(), "--user", "default", "off"]
    with redis_process(tmp_path_factory.mktemp("tls"), *options, tls=certificates) as redis:
        yield redis


def as_user(redis: RedisProcess, password: str = PASSWORD.replace(" ", "")) -> str:
    return redis.uri.replace("://", f"://orders:{quote(password, safe='')}@")


async def test_tls_with_an_own_authority_a_client_certificate_and_a_user_of_few_rights(
    guarded_by_tls: RedisProcess, certificates: Certificates
) -> None:
    async with limiting(as_user(guarded_by_tls), tls=certificates.context()) as limiter:
        await until(is_shared(limiter))
        assert (await limiter.take("tls", SLOW)).remaining == 9
        assert not limiter.is_degraded


async def test_files_that_the_uri_names_count_instead(
    guarded_by_tls: RedisProcess, certificates: Certificates
) -> None:
    files = (
        f"?ssl_ca_certs={certificates.authority}&ssl_certfile={certificates.certificate}"
        f"&ssl_keyfile={certificates.key}"
    )
    async with limiting(as_user(guarded_by_tls) + files, tls=ssl.create_default_context()) as own:
        await until(is_shared(own))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("password", "it refuses the user name or the password"),
        ("authority", "its certificate is refused: self-signed certificate in certificate chain"),
        ("certificate", "TLS failed: tlsv13 alert certificate required"),
        ("host", "its certificate is refused: Hostname mismatch"),
        ("plain", "it closed the connection"),
        ("name", "DNS does not know its name, or does not answer"),
        ("port", "it refuses connections"),
    ],
)
async def test_what_is_wrong_is_said_plainly_and_without_the_secret(
    wrong: str,
    reason: str,
    guarded_by_tls: RedisProcess,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
) -> None:
    right = as_user(guarded_by_tls)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed_port = server.getsockname()[1]
    uri = {
        "password": as_user(guarded_by_tls, "hunter2"),
        "host": right.replace("127.0.0.1", "127.1"),  # the same address, under another name
        "plain": right.replace("rediss", "redis"),
        "name": right.replace("127.0.0.1", "nowhere.invalid"),
        "port": right.replace(str(guarded_by_tls.port), str(closed_port)),
    }.get(wrong, right)
    tls = {
        "authority": ssl.create_default_context(),
        "certificate": certificates.context(shown=False),
    }.get(wrong, certificates.context())
    async with limiting(uri, tls=tls) as limiter:
        await until(lambda: reason in caplog.text)
        assert (await limiter.take("k", SLOW)).remaining == 9
    assert f"rate limits are counted locally: Redis: {reason}" in caplog.messages
    # Who is refused for want of a certificate may see the connection closed before the reason.
    assert len(caplog.messages) == 1 or wrong == "certificate"
    assert not [secret for secret in ("hunter2", "p@ss", "p%40ss") if secret in caplog.text]


async def test_a_user_without_the_rights_is_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["--user", "default", "on", "nopass", "~other:*", "+@all"]
    with redis_process(tmp_path, *options) as redis:
        async with limiting(redis.uri):
            await until(lambda: caplog.messages)
    assert caplog.messages[0].endswith("the user may not run the script, or not on these keys")


# -- A primary that changes -------------------------------------------------------------------


async def test_sentinels_that_elect_another_primary_are_followed(tmp_path: Path) -> None:
    with guarded_redis(tmp_path) as guarded:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in guarded.sentinels)
        uri = (
            f"redis+sentinel://:{quote(guarded.password, safe='')}@{hosts}/rates/0"
            f"?sentinel_password={quote(guarded.sentinel_password, safe='')}"
        )
        async with limiting(uri) as limiter:
            await until(is_shared(limiter))
            assert (await limiter.take("k", SLOW)).remaining == 9
            await until(lambda: has_a_key(guarded.replica))
            guarded.sentinels[0].kill()  # also without one of them
            guarded.primary.kill()
            assert (await limiter.take("k", SLOW)).remaining == 9, "counted locally"
            assert limiter.is_degraded

            await until(lambda: role_of(guarded.replica) == b"master")
            await until(is_shared(limiter), seconds=FAILOVER_SECONDS)
            assert (await limiter.take("k", SLOW)).remaining == 8, "the replica knew of one"


async def test_a_wrong_password_of_the_sentinels_and_an_unknown_primary_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with guarded_redis(tmp_path) as guarded:
        right = quote(guarded.sentinel_password, safe="")
        for primary, password, reason in (
            ("rates", "hunter2", "sentinels: it refuses the user name or the password"),
            ("rats", right, "the sentinels know no such primary"),
        ):
            caplog.clear()
            hosts = ",".join(f"127.0.0.1:{each.port}" for each in guarded.sentinels)
            uri = f"redis+sentinel://{hosts}/{primary}?sentinel_password={password}"
            async with limiting(uri):
                await until(lambda: caplog.messages)
            assert caplog.messages[0] == f"rate limits are counted locally: Redis: {reason}"
            assert "hunter2" not in caplog.text


async def test_of_several_addresses_the_one_that_takes_writes_is_used(tmp_path: Path) -> None:
    """A kept connection to a primary that became a replica would answer READONLY for ever."""
    with redis_process(tmp_path / "a") as first, redis_process(tmp_path / "b") as second:
        demote(second, first)
        uri = f"redis://127.0.0.1:{second.port},127.0.0.1:{first.port}/0"
        async with limiting(uri) as limiter:
            await until(is_shared(limiter))
            second.command("REPLICAOF", "NO", "ONE")
            demote(first, second)
            await limiter.take("k", SLOW)
            await until(is_shared(limiter), seconds=FAILOVER_SECONDS)
            assert (await limiter.take("k", SLOW)).remaining == 9
            assert role_of(first) == b"slave"


async def test_a_name_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    """Whether the old primary has become a replica, or is gone without a word."""
    with redis_process(tmp_path / "a") as old, redis_process(tmp_path / "b") as new:
        async with (
            at_a_distance(old.port, round_trip_seconds=0) as name,
            limiting(f"redis://127.0.0.1:{name.own_port}/0", timeout_seconds=1) as limiter,
        ):
            for there, here, leaves in ((old, new, demote), (new, old, freeze)):
                await until(is_shared(limiter))
                leaves(there, here)
                name.port = here.port
                await limiter.take("k", SLOW)
                await until(is_shared(limiter), seconds=FAILOVER_SECONDS)
                here.command("FLUSHALL")
                assert (await limiter.take("k", SLOW)).remaining == 9
                assert has_a_key(here)
                here.command("REPLICAOF", "NO", "ONE")
            new.thaw()


async def test_a_cluster_is_one_count_and_its_moved_keys_are_followed(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as nodes:
        async with AsyncExitStack() as stack:
            # Each knows of another node, of which two do not have the keys.
            uris = [f"redis://127.0.0.1:{each.port}" for each in nodes]
            limiters = [await stack.enter_async_context(limiting(each)) for each in uris]
            for each in limiters:
                await until(is_shared(each))
            policy = RatePolicy(per_second=0.001, burst=50)
            keys = [f"key {n}" for n in range(20)]
            taken = await asyncio.gather(
                *(each.take(key, policy) for each in limiters for key in keys for _ in range(30))
            )
            assert sum(each.admitted for each in taken) == 20 * 50
            assert not any(each.is_degraded for each in limiters)

            move_the_keys(nodes)
            for each in limiters:
                await each.take("key 1", policy)
                await until(is_shared(each), seconds=FAILOVER_SECONDS)
                assert not (await each.take("key 1", policy)).admitted, "the keys have moved along"


# -- Far away ---------------------------------------------------------------------------------


async def test_connecting_may_take_longer_than_a_call_and_no_call_waits_for_another(
    guarded_by_tls: RedisProcess, certificates: Certificates
) -> None:
    """With TLS and a password, connecting takes at least five round trips."""
    round_trip = 0.15  # seconds: `make brokers` measures 3 ms; here a busy machine makes no odds
    async with at_a_distance(guarded_by_tls.port, round_trip_seconds=round_trip) as distance:
        uri = as_user(guarded_by_tls).replace(str(guarded_by_tls.port), str(distance.own_port))
        async with RedisRateLimiter(
            uri,
            tls=certificates.context(),
            fallback=InMemoryRateLimiter(),
            timeout_seconds=4 * round_trip,
            connect_seconds=30,
            pause_seconds=30,
        ) as limiter:
            limiter.connect()
            await until(is_shared(limiter))
            connections, distance.most_waiting = distance.connected, 0
            for n in range(3):
                await asyncio.gather(*(later(limiter.take("far", SLOW), hops) for hops in range(9)))
                assert not limiter.is_degraded, n
            assert distance.connected == connections, "no request waits for a connection"
            assert distance.most_waiting == CONNECTIONS


async def test_a_redis_that_is_too_far_is_not_used_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_process(tmp_path) as redis:
        async with (
            at_a_distance(redis.port, round_trip_seconds=0.1) as distance,
            limiting(f"redis://127.0.0.1:{distance.own_port}/0", timeout_seconds=0.02) as limiter,
        ):
            await until(lambda: caplog.messages)
            assert limiter.is_degraded
    assert caplog.messages == ["rate limits are counted locally: Redis: it does not answer in time"]


async def later(call: Awaitable[object], hops: int) -> None:
    """Wait for a call that begins a little later: each has a turn of the event loop for itself."""
    for _ in range(2 * hops):
        await asyncio.sleep(0)
    await call


def demote(server: RedisProcess, primary: RedisProcess) -> None:
    server.command("REPLICAOF", "127.0.0.1", str(primary.port))


def freeze(server: RedisProcess, primary: RedisProcess) -> None:
    primary.command("REPLICAOF", "NO", "ONE")
    server.freeze()


def role_of(server: RedisProcess) -> bytes:
    """`master` or `slave`; nothing if a sentinel ends the connection meanwhile."""
    return b"".join(server.command("ROLE")[:1])


def has_a_key(server: RedisProcess) -> bool:
    return server.command("DBSIZE") != [b":0"]


def move_the_keys(nodes: Sequence[RedisProcess]) -> None:
    """Move the slot of all keys to another node, as `redis-cli --cluster reshard` does."""
    slot = nodes[0].command("CLUSTER", "KEYSLOT", PREFIX)[0][1:].decode()
    (source,) = [
        each for each in nodes if each.command("CLUSTER", "COUNTKEYSINSLOT", slot) != [b":0"]
    ]
    target = next(each for each in nodes if each is not source)
    old, new = (each.command("CLUSTER", "MYID")[0].decode() for each in (source, target))
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", old)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", new)
    keys = [each.decode() for each in source.command("CLUSTER", "GETKEYSINSLOT", slot, "1000")]
    address = ["127.0.0.1", str(target.port)]
    assert source.command("MIGRATE", *address, "", "0", "5000", "KEYS", *keys) == [b"+OK"]
    for each in (target, source):
        assert each.command("CLUSTER", "SETSLOT", slot, "NODE", new) == [b"+OK"]
