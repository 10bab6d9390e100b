"""What a process tells of its database: what waits there, and how its connections are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import isnan
from typing import Any

import pytest

from orders.adapters.contracts.samples import a_new_order
from orders.adapters.mongo.connection import Database
from orders.application.ports import KeptEvents, Lag
from orders.application.publisher_lane import LEASE
from orders.entrypoints import clock
from orders.entrypoints.container import Adapters
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.metrics import REGISTRY
from orders.entrypoints.settings.table import Settings
from tests.support.database.faulty_proxy import ForgetfulProxy
from tests.support.shop import WEBHOOK_SECRET


def settings_for(mongo_uri: str, **more: Any) -> Settings:
    return Settings(
        mongo_uri=mongo_uri,
        payment_url="http://127.0.0.1:9",
        payment_webhook_secret=(WEBHOOK_SECRET,),
        issuer="issuer",
        audience="orders",
        jwks_url="http://127.0.0.1:9",
        **more,
    )


@pytest.fixture
async def adapters(database_uri: str, database: Database) -> AsyncIterator[Adapters]:
    settings = settings_for(database_uri, database=database.name, mongo_timeout_seconds=30)
    adapters = Adapters(settings)
    async with adapters.opened():
        yield adapters


def told(name: str) -> float:
    value = REGISTRY.get_sample_value(name)
    assert value is not None
    return value


def backlog() -> dict[str, float]:
    names = ("outbox_waiting_orders", "outbox_oldest_seconds", "outbox_parked_orders")
    return {name: told(f"orders_{name}") for name in (*names, "due_work_lag_seconds")}


async def test_what_waits_is_told(adapters: Adapters) -> None:
    await adapters.publish_backlog()
    assert set(backlog().values()) == {0}
    use_cases = adapters.use_cases()
    an_hour_ago = clock.now() - 120 * LEASE
    for _ in range(2):
        await use_cases.orders().add(a_new_order(now=an_hour_ago))
    (claimed,) = await use_cases.outbox().claim(now=clock.now(), lease=LEASE, limit=1)
    lags = {"kafka": Lag(confirmed=0, again_at=clock.now())}
    kept = KeptEvents(order_id=claimed.order_id, first=1, last=1, lags=lags)
    await use_cases.outbox().keep([kept])
    await use_cases.outbox().park("kafka", claimed, reason="too-large", now=clock.now())

    await adapters.publish_backlog()

    found = backlog()
    assert (found["outbox_waiting_orders"], found["outbox_parked_orders"]) == (1, 1)
    assert 3_600 <= found["outbox_oldest_seconds"] < 7_200


async def test_an_overdue_order_is_told(adapters: Adapters) -> None:
    long_ago = clock.now() - 10_000 * LEASE
    order = a_new_order(now=long_ago)
    await adapters.use_cases().orders().add(order)
    await adapters.publish_backlog()
    assert order.state.next_action_at is not None
    overdue = (clock.now() - order.state.next_action_at).total_seconds()
    assert overdue - 600 < told("orders_due_work_lag_seconds") <= overdue


async def test_what_is_not_known_is_no_number_until_it_is_known_again(
    proxy: ForgetfulProxy,
) -> None:
    adapters = Adapters(settings_for(proxy.uri, database="watched", mongo_timeout_seconds=2))
    async with adapters.opened():
        await proxy.cut()
        await adapters.publish_backlog()
        assert all(isnan(value) for value in backlog().values())
        await proxy.restore()
        while isnan(backlog()["due_work_lag_seconds"]):  # as long as the driver takes to look
            await adapters.publish_backlog()
        assert set(backlog().values()) == {0}


async def test_connections_are_told(database_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "SAMPLE_SECONDS", 0.001)
    settings = settings_for(database_uri, mongo_pool_size=1, mongo_timeout_seconds=30)
    adapters = Adapters(settings)
    async with adapters.opened(), metrics.sampled(adapters.states()):
        calls = {asyncio.create_task(adapters.publish_backlog()) for _ in range(4)}
        waiting, in_use, left = 0.0, 0.0, calls
        while left:
            waiting = max(waiting, told("orders_mongo_connections_waiting"))
            in_use = max(in_use, told("orders_mongo_connections_in_use"))
            _, left = await asyncio.wait(left, timeout=0.001)
        assert 0 < waiting <= 4
        assert in_use == told("orders_mongo_connections_open") == 1
