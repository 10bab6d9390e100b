"""The settings choose the adapters; one loop opens them in order, and closes them in reverse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orders.adapters.brokers.kafka import KafkaPublisher
from orders.adapters.brokers.rabbitmq import RabbitPublisher
from orders.adapters.catalogue import HttpPriceList, JsonPriceList
from orders.adapters.in_memory import InMemoryPayments, StaticPriceList
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.jwt.jwks import JwksRing
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.redis.rate_limiter import RedisRateLimiter
from orders.entrypoints.container import Container, opened
from orders.entrypoints.observability.instrumented_payments import InstrumentedPaymentGateway
from tests.support.shop import some_settings

RABBIT: dict[str, Any] = {"rabbitmq_uri": "amqp://127.0.0.1"}
KAFKA: dict[str, Any] = {"kafka_bootstrap": ("127.0.0.1:9092",)}
BOTH: dict[str, Any] = {"rabbitmq": RabbitPublisher, "kafka": KafkaPublisher}
IMPORTS = """
import sys
import orders.entrypoints.container, orders.entrypoints.http.app, orders.entrypoints.worker
import orders.entrypoints.server.application, orders.entrypoints.cli.outbox
import asyncio, threading
assert threading.active_count() == 1, threading.enumerate()
assert not {"aio_pika", "aiokafka", "redis", "graphql"} & sys.modules.keys()
"""


def a_container(**settings: Any) -> Container:
    return Container(settings=some_settings(**settings))


@pytest.mark.parametrize(
    ("settings", "provider", "kind"),
    [
        ({}, "limiter", InMemoryRateLimiter),
        ({"redis_uri": "redis://127.0.0.1"}, "limiter", RedisRateLimiter),
        ({}, "catalogue", StaticPriceList),
        ({"price_list": "http://127.0.0.1/prices"}, "catalogue", HttpPriceList),
        ({"price_list": "https://127.0.0.1/prices"}, "catalogue", HttpPriceList),
        ({}, "keys", JwksRing),
        ({"jwt_hs256_secret": "s" * 32}, "keys", SharedSecret),
    ],
)
def test_the_settings_choose_an_adapter(
    settings: dict[str, Any], provider: str, kind: type[Any]
) -> None:
    found = getattr(a_container(**settings), provider)()
    assert type(found) is kind


def test_a_file_is_a_catalogue(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"EUR": {"PEN": 100}}))
    assert type(a_container(price_list=str(prices)).catalogue()) is JsonPriceList


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {}),
        (RABBIT, {"rabbitmq": RabbitPublisher}),
        (KAFKA, {"kafka": KafkaPublisher}),
        (RABBIT | KAFKA, BOTH),
    ],
)
async def test_events_go_to_the_brokers_that_are_configured(
    settings: dict[str, Any], kinds: dict[str, Any]
) -> None:
    container = a_container(**settings)
    assert {name: type(each) for name, each in container.publishers().items()} == kinds
    names = [queue.name for queue in container.relay_events().queues]
    assert names == sorted(kinds)


async def test_every_part_that_connects_is_opened_and_no_other() -> None:
    container = a_container(
        price_list="http://127.0.0.1/prices", redis_uri="redis://127.0.0.1", **RABBIT, **KAFKA
    )
    assert container.connections() == [
        container.database().client,
        container.payment_service(),
        container.http_catalogue(),
        container.jwks(),
        container.redis_limiter(),
        container.rabbitmq(),
        container.kafka(),
    ]
    assert [
        each
        for each in a_container(jwt_hs256_secret="s" * 32).connections()
        if each is not container.nothing()
    ][2:] == []


def recorded(name: str, events: list[str], *, fails: bool = False) -> Any:
    @asynccontextmanager
    async def connection() -> AsyncIterator[None]:
        if fails:
            raise ConnectionError(name)
        events.append(f"open {name}")
        try:
            yield
        finally:
            events.append(f"close {name}")

    return connection()


async def test_connections_close_in_reverse() -> None:
    events: list[str] = []
    container = a_container()
    container.connections.override([recorded(name, events) for name in "abc"])
    async with opened(container):
        assert events == ["open a", "open b", "open c"]
    assert events[3:] == ["close c", "close b", "close a"]


async def test_what_is_open_is_closed_if_another_cannot_be_opened() -> None:
    events: list[str] = []
    connections: list[AbstractAsyncContextManager[None]] = [
        recorded("a", events),
        recorded("b", events, fails=True),
    ]
    container = a_container()
    container.connections.override(connections)
    with pytest.raises(ConnectionError, match="b"):
        async with opened(container):
            pytest.fail("it is not open")
    assert events == ["open a", "close a"]


def test_an_overridden_port_reaches_every_use_case_and_no_other_container() -> None:
    first, second = a_container(), a_container()
    payments = InMemoryPayments()
    first.payments.override(payments)
    assert first.execute_operations()._payments is payments
    assert second.execute_operations()._payments is second.payments()
    assert isinstance(second.payments(), InstrumentedPaymentGateway)


def test_importing_makes_nothing_and_needs_no_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("declare", "declares"), [("missing", True), ("never", False)])
def test_the_settings_say_whether_brokers_get_declarations(declare: str, declares: bool) -> None:
    container = a_container(**RABBIT, **KAFKA, broker_declare=declare, kafka_partitions=7)
    assert vars(container.rabbitmq())["_declares"] is declares
    kafka = vars(container.kafka())
    assert (kafka["_declares"], kafka["_partitions"]) == (declares, 7)
