"""What a process tells of its database: what waits there, and how its connections are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import isnan

import pytest

from orders.adapters.contracts.samples import a_new_order
from orders.adapters.mongo.connection import Database
from orders.application.ports import KeptEvents, Lag
from orders.application.publisher_queue import RELAY_LEASE
from orders.entrypoints import clock
from orders.entrypoints.container import Container, opened
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.metrics import REGISTRY
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.shop import some_settings


@pytest.fixture
async def container(database_uri: str, database: Database) -> AsyncIterator[Container]:
    settings = some_settings(
        mongo_uri=database_uri, database=database.name, mongo_timeout_seconds=30
    )
    container = Container(settings=settings)
    async with opened(container):
        yield container


def told(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


def backlog() -> dict[str, float]:
    names = ("outbox_waiting_orders", "outbox_oldest_seconds", "outbox_parked_orders")
    return {name: told(f"orders_{name}") for name in (*names, "due_work_lag_seconds")}


async def test_what_waits_is_told(container: Container) -> None:
    await container.backlog_gauges().publish()
    assert set(backlog().values()) == {0}
    an_hour_ago = clock.now() - 120 * RELAY_LEASE
    for _ in range(2):
        await container.orders().add(a_new_order(now=an_hour_ago))
    (claimed,) = await container.outbox().claim(now=clock.now(), lease=RELAY_LEASE, limit=1)
    lags = {"kafka": Lag(confirmed=0, again_at=clock.now())}
    kept = KeptEvents(order_id=claimed.order_id, first=1, last=1, lags=lags)
    await container.outbox().keep([kept])
    await container.outbox().park("kafka", claimed, reason="too-large", now=clock.now())

    await container.backlog_gauges().publish()

    found = backlog()
    assert (found["outbox_waiting_orders"], found["outbox_parked_orders"]) == (1, 1)
    assert 3_600 <= found["outbox_oldest_seconds"] < 7_200


async def test_an_overdue_order_is_told(container: Container) -> None:
    long_ago = clock.now() - 10_000 * RELAY_LEASE
    order = a_new_order(now=long_ago)
    await container.orders().add(order)
    await container.backlog_gauges().publish()
    assert order.state.next_action_at is not None
    overdue = (clock.now() - order.state.next_action_at).total_seconds()
    assert overdue - 600 < told("orders_due_work_lag_seconds") <= overdue


async def test_what_is_not_known_is_no_number_until_it_is_known_again(
    proxy: ForgetfulProxy,
) -> None:
    settings = some_settings(mongo_uri=proxy.uri, database="watched", mongo_timeout_seconds=2)
    container = Container(settings=settings)
    async with opened(container):
        await proxy.cut()
        await container.backlog_gauges().publish()
        assert all(isnan(value) for value in backlog().values())
        await proxy.restore()
        while isnan(backlog()["due_work_lag_seconds"]):  # as long as the driver takes to look
            await container.backlog_gauges().publish()
        assert set(backlog().values()) == {0}


async def test_connections_are_told(database_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SAMPLE_SECONDS", 0.001)
    settings = some_settings(mongo_uri=database_uri, mongo_pool_size=1, mongo_timeout_seconds=30)
    container = Container(settings=settings)
    async with opened(container), metrics.sampled(container.gauges()):
        calls = {asyncio.create_task(container.backlog_gauges().publish()) for _ in range(4)}
        waiting, in_use, left = 0.0, 0.0, calls
        while left:
            waiting = max(waiting, told("orders_mongo_connections_waiting"))
            in_use = max(in_use, told("orders_mongo_connections_in_use"))
            _, left = await asyncio.wait(left, timeout=0.001)
        assert 0 < waiting <= 4
        assert in_use == told("orders_mongo_connections_open") == 1
