"""Nobody takes more than their share, and too much at once is refused early."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.entrypoints import admission
from orders.entrypoints.http.middleware.client_address import ClientAddresses, network_of
from tests.support.api import assert_problem
from tests.support.observed_api import Caller, an_app
from tests.support.processes.redis_process import redis_process
from tests.support.rate_limiting import sharing
from tests.support.shop import Shop

SLOW = {"rate_per_second": 0.1, "rate_burst": 5, "auth_failures_per_second": 1.0}
"""Five requests; three refused tokens."""


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> InMemoryRateLimiter:
    return InMemoryRateLimiter(clock=clock)


async def test_one_request_too_many_is_told_when_to_come_again(
    shop: Shop, limiter: InMemoryRateLimiter
) -> None:
    ada = Caller(an_app(shop, limiter, **SLOW))
    answers = [await ada.get("/orders") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert_problem(answers[-1], 429, "rate-limited")
    assert answers[-1].headers["retry-after"] == "10"
    fields = [answer.headers["ratelimit"] for answer in answers]
    assert fields == [f'"principal";r={r};t=10' for r in (4, 3, 2, 1, 0, 0)]
    assert {a.headers["ratelimit-policy"] for a in answers} == {'"principal";q=5;w=50'}


async def test_every_answer_to_a_caller_says_what_is_left(
    shop: Shop, limiter: InMemoryRateLimiter
) -> None:
    ada = Caller(an_app(shop, limiter, **SLOW))
    for path, status in ((f"/orders/{uuid4()}", 404), ("/orders?limit=0", 400), ("/events", 403)):
        answer = await ada.get(path)
        assert answer.status_code == status
        assert re.fullmatch(r'"principal";r=[0-9];t=10', answer.headers["ratelimit"])


async def test_a_refused_request_has_no_effect_and_its_key_is_unused(
    shop: Shop, limiter: InMemoryRateLimiter, clock: Clock
) -> None:
    ada = Caller(an_app(shop, limiter, **SLOW))
    for _ in range(5):
        await ada.get("/orders")
    refused = await ada.place("the-key")
    assert refused.status_code == 429
    clock.now += int(refused.headers["retry-after"])
    placed = await ada.place("the-key")
    assert placed.status_code == 201
    assert "idempotency-replayed" not in placed.headers
    clock.now += 100
    listed = (await ada.get("/orders")).json()["items"]
    assert [order["id"] for order in listed] == [placed.json()["id"]]


async def test_a_noisy_caller_costs_no_other_one(shop: Shop, limiter: InMemoryRateLimiter) -> None:
    app = an_app(shop, limiter, **SLOW)
    ada, bob, eve = (Caller(app, who) for who in ("ada", "bob", "eve"))
    for _ in range(50):
        await ada.get("/orders")
    for other in (bob, eve):
        assert [(await other.get("/orders")).status_code for _ in range(5)] == [200] * 5


async def test_another_forwarded_address_is_the_same_caller(
    shop: Shop, limiter: InMemoryRateLimiter
) -> None:
    ada = Caller(an_app(shop, limiter, **SLOW))
    statuses = [
        (await ada.get("/orders", headers={"x-forwarded-for": f"198.51.100.{n}"})).status_code
        for n in range(7)
    ]
    assert statuses == [200] * 5 + [429] * 2


async def test_health_is_never_limited(shop: Shop, limiter: InMemoryRateLimiter) -> None:
    anyone = Caller(an_app(shop, limiter, max_in_flight=1, **SLOW))
    anyone.client.base_url = "http://orders.test"
    for path in ("/livez", "/readyz") * 20:
        answer = await anyone.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def test_0_turns_the_limits_off(shop: Shop, limiter: InMemoryRateLimiter) -> None:
    app = an_app(shop, limiter, rate_per_second=0.0, auth_failures_per_second=0.0)
    for who, status in (("ada", 200), ("forged", 401)):
        answers = [await Caller(app, who).get("/orders") for _ in range(60)]
        assert {answer.status_code for answer in answers} == {status}
        assert "ratelimit" not in answers[0].headers


async def test_the_default_is_20_a_second_and_40_at_once(
    shop: Shop, limiter: InMemoryRateLimiter, clock: Clock
) -> None:
    ada = Caller(an_app(shop, limiter))
    assert [(await ada.get("/orders")).status_code for _ in range(41)] == [200] * 40 + [429]
    clock.now += 1
    assert [(await ada.get("/orders")).status_code for _ in range(21)] == [200] * 20 + [429]


async def test_who_guesses_tokens_is_told_to_wait(
    shop: Shop, limiter: InMemoryRateLimiter, clock: Clock
) -> None:
    app = an_app(shop, limiter, **SLOW)
    answers = [await Caller(app, f"guess{n}").get("/orders") for n in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
    assert_problem(answers[-1], 429, "rate-limited")
    assert answers[-1].headers["retry-after"] == "1"
    clock.now += 1
    assert (await Caller(app, None).get("/orders")).status_code == 401


async def test_a_valid_token_is_not_blocked_by_others_failures(
    shop: Shop, limiter: InMemoryRateLimiter
) -> None:
    app = an_app(shop, limiter, **SLOW)
    for n in range(20):
        await Caller(app, f"guess{n}").get("/orders")
    assert (await Caller(app, "ada").get("/orders")).status_code == 200
    assert (await Caller(app, "guess", address="192.0.2.2").get("/orders")).status_code == 401


async def test_a_guesser_behind_a_proxy_is_known_by_the_address_that_it_adds(
    shop: Shop, limiter: InMemoryRateLimiter
) -> None:
    app = an_app(shop, limiter, trusted_proxies=("192.0.2.0/24",), **SLOW)
    guesser = Caller(app, "guess")

    async def status_from(forwarded: str) -> int:
        return (await guesser.get("/orders", headers={"x-forwarded-for": forwarded})).status_code

    assert [await status_from(f"203.0.113.{n}, 198.51.100.7") for n in range(4)] == [401] * 3 + [
        429
    ]
    assert await status_from("198.51.100.8") == 401


BELIEVED = {
    # What each of them adds when its client, 198.51.100.7, forges 203.0.113.9.
    "nginx and HAProxy overwrite, Caddy and Traefik by default": (
        ["198.51.100.7"],
        "198.51.100.7",
    ),
    "nginx and Envoy append to the client's line": (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
    "Envoy appends without a space": (["203.0.113.9,198.51.100.7"], "198.51.100.7"),
    "HAProxy appends a line": (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
    "two trusted proxies": (["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
    "a forged trusted proxy": (["10.0.0.3, 198.51.100.7"], "198.51.100.7"),
    "a client inside": (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    "a port": (["198.51.100.7:4711"], "198.51.100.7"),
    "IPv6": (["203.0.113.9, 2001:db8::7"], "2001:db8::7"),
    "IPv6 with a port": (["[2001:DB8:0::7]:4711"], "2001:db8::7"),
    "IPv4 in the form of IPv6": (["::ffff:198.51.100.7"], "198.51.100.7"),
    "nothing": ([], "10.0.0.1"),
    "empty": ([""], "10.0.0.1"),
    "an empty last hop": (["198.51.100.7,"], "10.0.0.1"),
    "garbage before the last hop": (["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
    "a name": (["localhost"], "10.0.0.1"),
    "a zone": (["fe80::7%eth0"], "10.0.0.1"),
    "an octal number": (["198.51.100.010"], "10.0.0.1"),
    "a word for a port": (["198.51.100.7:http"], "10.0.0.1"),
    "more than brackets": (["[2001:db8::7]x"], "10.0.0.1"),
    "blanks inside": (["198.51.100.7 8"], "10.0.0.1"),
    "a thousand proxies": ([", ".join(["198.51.100.7", *["10.0.0.2"] * 1_000])], "10.0.0.2"),
    "a hop of 60 KiB": (["1" * 60_000], "10.0.0.1"),
}


def client_seen(
    addresses: ClientAddresses, headers: list[tuple[str, str]], peer: str = "10.0.0.1"
) -> str:
    """The address that a request counts for."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return addresses.client_of({"client": (peer, 80), "headers": raw})  # type: ignore[arg-type]


@pytest.mark.parametrize(("lines", "client"), BELIEVED.values(), ids=BELIEVED)
def test_the_address_is_what_the_nearest_trusted_proxy_wrote(lines: list[str], client: str) -> None:
    headers = [("X-Forwarded-For", line) for line in lines]
    assert client_seen(ClientAddresses(["10.0.0.0/8"]), headers) == client
    for networks in ((), ("172.16.0.0/12",)):
        assert client_seen(ClientAddresses(networks), headers) == "10.0.0.1"


@pytest.mark.parametrize(
    ("header", "lines", "client"),
    [
        ("Forwarded", ["for=198.51.100.7;proto=https"], "198.51.100.7"),
        ("Forwarded", ['For="[2001:db8::1]:80", for=10.0.0.2'], "2001:db8::1"),
        ("Forwarded", ["for=203.0.113.9", "proto=https;for=198.51.100.7"], "198.51.100.7"),
        ("Forwarded", ['for="', "for=198.51.100.7"], "198.51.100.7"),
        ("Forwarded", ["for=203.0.113.9, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        ("Forwarded", ["for=203.0.113.9, for=unknown"], "10.0.0.1"),
        ("Forwarded", ["for=203.0.113.9, proto=https"], "10.0.0.1"),
        ("Forwarded", ['host="x;for=192.0.2.66";for=198.51.100.7'], "198.51.100.7"),
        ("Forwarded", ['for=198.51.100.7;host="x, for=192.0.2.66"'], "198.51.100.7"),
        ("Forwarded", ['for=203.0.113.9, for="bad'], "10.0.0.1"),
        ("X-Real-IP", ["198.51.100.7"], "198.51.100.7"),
        ("X-Real-IP", ["203.0.113.9", "198.51.100.7"], "10.0.0.1"),
        ("X-Real-IP", ["203.0.113.9, 198.51.100.7"], "10.0.0.1"),
    ],
)
def test_only_the_header_that_the_proxies_write_is_read(
    header: str, lines: list[str], client: str
) -> None:
    written = [(header, line) for line in lines]
    forged = [
        (name, value)
        for name, value in {
            "X-Forwarded-For": "192.0.2.66",
            "Forwarded": "for=192.0.2.66",
            "X-Real-IP": "192.0.2.66",
            "True-Client-IP": "192.0.2.66",
        }.items()
        if name != header
    ]
    addresses = ClientAddresses(["10.0.0.0/8"], header)
    assert client_seen(addresses, written) == client
    assert client_seen(addresses, [*forged, *written]) == client
    assert client_seen(addresses, forged) == "10.0.0.1"


def test_a_peer_has_one_address_whatever_the_service_listens_on() -> None:
    mapped, forged = "::ffff:198.51.100.7", [("X-Forwarded-For", "203.0.113.9")]
    assert client_seen(ClientAddresses(), forged, peer=mapped) == "198.51.100.7"
    assert client_seen(ClientAddresses(["198.51.100.7"]), forged, peer=mapped) == "203.0.113.9"
    assert client_seen(ClientAddresses(["10.0.0.0/8"]), forged, peer="testclient") == "testclient"


def test_one_client_holds_a_whole_ipv6_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2:1") == "2001:db8::/64"
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("unknown") == "unknown"


class Gate:
    """Holds requests up in the store until it is opened."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._inside = 0
        self._changed = asyncio.Condition()

    async def __call__(self, _: str) -> None:
        async with self._changed:
            self._inside += 1
            self._changed.notify_all()
        await self._open.wait()

    async def holds(self, count: int) -> None:
        """Return once it holds that many."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self._inside == count)

    def open(self) -> None:
        """Let all go on."""
        self._open.set()


@contextlib.asynccontextmanager
async def held_up(shop: Shop, caller: Caller, count: int) -> AsyncIterator[None]:
    """So many requests that are in flight meanwhile, and all end well."""
    gate = Gate()
    shop.orders.before = gate
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(caller.place(f"held-{n}")) for n in range(count)]
        await gate.holds(count)
        shop.orders.before = None
        try:
            yield
        finally:
            gate.open()
    assert {task.result().status_code for task in waiting} == {201}


async def test_too_much_at_once_is_refused_early(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MAX_QUEUE_SECONDS", 60)
    ada = Caller(an_app(shop, max_in_flight=10))
    async with held_up(shop, ada, 10):
        async with asyncio.timeout(30):  # before a waiting request is refused
            refused = await ada.place("one-too-many")
        assert_problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await Caller(ada.client._transport.app, "nobody").get("/orders")).status_code == 503  # type: ignore[attr-defined]
        health = await ada.client.get("http://orders.test/livez")
        assert health.status_code == 200
    assert (await ada.place("one-too-many")).status_code == 201


async def test_lists_are_refused_before_orders_are(shop: Shop) -> None:
    ada = Caller(an_app(shop, max_in_flight=10))
    async with held_up(shop, ada, 5):
        assert (await ada.get("/orders")).status_code == 200
    async with held_up(shop, ada, 6):
        assert_problem(await ada.get("/orders"), 503, "overloaded")
        placed = await ada.place("while-lists-are-refused")
        assert placed.status_code == 201
        cancelled = await ada.post(f"/orders/{placed.json()['id']}/cancel", {"reason": "customer"})
        assert cancelled.status_code == 200


async def test_three_replicas_on_one_redis_admit_what_one_does(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(redis_process(tmp_path))
        limiters = [
            # This is about sharing: on a busy machine Redis itself may be late.
            await stack.enter_async_context(sharing(redis.uri, timeout_seconds=5))
            for _ in range(3)
        ]
        # All have a turn at once: on a busy machine some would wait too long for one.
        settings = {"rate_per_second": 0.01, "rate_burst": 40, "mongo_pool_size": 40}
        callers = [Caller(an_app(Shop(), limiter, **settings)) for limiter in limiters]
        answers = await asyncio.gather(
            *(caller.get("/orders") for caller in callers for _ in range(40))
        )
        assert not any(limiter.is_degraded for limiter in limiters)
    assert sum(answer.status_code == 200 for answer in answers) == 40
    assert sum(answer.status_code == 429 for answer in answers) == 80
