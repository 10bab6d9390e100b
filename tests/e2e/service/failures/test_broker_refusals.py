"""Group B, with a broker: what it refuses for good holds up nobody else, and is not lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.support.processes.brokers import (
    LARGEST_MESSAGE,
    RABBITMQ_MISSING,
    RabbitServer,
    keep_all,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster
from tests.support.processes.fleet import events_at, histories
from tests.support.processes.service import MUG, Running, eventually, paid

LINES = 1_000
"""Of an order whose shipment, told, is larger than `SMALL`."""
SMALL = LARGEST_MESSAGE // 16
PARKED_WITHIN_SECONDS = 90
"""Five tries, of which each is made after twice the wait of the one before."""

pytestmark = pytest.mark.skipif(not rabbitmq_is_installed(), reason=RABBITMQ_MISSING)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with rabbit_server(tmp_path_factory.mktemp("rabbit"), SMALL) as broker:
        asyncio.run(keep_all(broker.uri))
        yield broker


@pytest.fixture(scope="module")
def service(broker: RabbitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    shape = Shape(apis=1, environ={**UNHURRIED, "ORDERS_RABBITMQ_URI": broker.uri})
    with cluster(tmp_path_factory.mktemp("service"), shape) as service:
        yield service


@pytest.fixture(scope="module")
def running(service: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with httpx.Client(base_url=service.apis[0], timeout=30) as client:
        yield Running(service.apis[0], service.data.path, service.addresses(), client)


def orders(service: Cluster, *arguments: str) -> str:
    """What the command of that name says."""
    return subprocess.run(
        [sys.executable, "-m", "orders", *arguments],
        env=service.environ,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def metric(service: Cluster, name: str) -> float:
    """What the worker says of itself."""
    lines = httpx.get(service.metrics_urls["worker-0"]).text.splitlines()
    return sum(float(each.split()[-1]) for each in lines if each.startswith(f"{name} "))


def sequences(running: Running, *ids: str) -> dict[str, list[int]]:
    """The numbers of all events of these orders."""
    admin = running.someone("admin")
    return {each: [event["sequence"] for event in admin.events(each)] for each in ids}


def test_cp_poison(broker: RabbitServer, service: Cluster, running: Running) -> None:
    admin, ada = running.someone("admin"), running.someone()
    heard: list[dict[str, Any]] = []

    def all_heard(wanted: Mapping[str, list[int]]) -> bool:
        heard.extend(events_at(broker))
        return histories(heard, list(wanted)) == wanted

    large = admin.placed(paid(capture=True, lines=[dict(MUG)] * LINES))
    items = [{"line_id": each["id"], "quantity": 1} for each in large["lines"]]
    shipped = admin.post(f"/v1/orders/{large['id']}/shipments", {"items": items})
    assert shipped.status_code == 201, shipped.text
    told = sequences(running, large["id"])[large["id"]]
    # While it is tried again and again, all others are heard of.
    others = [ada.placed(paid())["id"] for _ in range(5)]
    eventually(lambda: all_heard(sequences(running, *others)), 30)
    eventually(lambda: metric(service, "orders_parked_total") == 1, PARKED_WITHIN_SECONDS)
    assert histories(heard, [large["id"]])[large["id"]] == told[:-1]
    # Nothing is dropped in silence: it can be read, it is listed, and it can be sent after all.
    assert admin.events(large["id"])[-1]["type"] == "ShipmentCreated"
    (listed,) = orders(service, "outbox", "list").splitlines()
    assert large["id"] in listed
    assert f"event {told[-1]}" in listed
    broker.take_messages_of(LARGEST_MESSAGE)
    assert large["id"] in orders(service, "outbox", "resend", "--order", large["id"])
    eventually(lambda: all_heard({large["id"]: told}), 30)
    assert orders(service, "outbox", "list") == ""
