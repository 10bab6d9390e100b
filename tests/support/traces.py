"""What everyone was told of one order: a collector its spans, a broker its messages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from orders.adapters.brokers.rabbitmq import EXCHANGE
from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.otlp_receiver import Received

QUEUE = "traced"


CANARY = f"canary{secrets.token_hex(4)}"
ADDRESS = {
    "name": f"{CANARY} Lovelace",
    "line1": f"{CANARY} Street 1",
    "city": CANARY.title(),
    "postal_code": "N1 7AA",
    "country": "GB",
}
"""Personal data that must not be told."""


@contextmanager
def traced_rabbit(folder: Path) -> Iterator[RabbitServer]:
    """A broker that keeps all that it gets, or the test is skipped with the reason."""
    if not rabbitmq_is_installed():
        pytest.skip(RABBITMQ_MISSING)
    with rabbit_server(folder) as server:
        asyncio.run(bind(server.uri))
        yield server


async def bind(uri: str) -> None:
    """Keep all that the exchange gets."""
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        arguments: dict[str, Any] = {"alternate-exchange": f"{EXCHANGE}.unrouted"}
        exchange = await channel.declare_exchange(
            EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, arguments=arguments
        )
        queue = await channel.declare_queue(QUEUE, durable=True)
        await queue.bind(exchange, "#")


async def messages(uri: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    """What came; it is taken out."""
    found = []
    async with await aio_pika.connect(uri) as connection:
        queue = await (await connection.channel()).declare_queue(QUEUE, passive=True)
        while message := await queue.get(no_ack=True, fail=False):
            found.append(message)
    return found


def named(spans: list[Received], name: str) -> Received:
    (found,) = (each for each in spans if each.name == name)
    return found


@dataclass(frozen=True)
class Told:
    """What everyone was told of one order that was placed and paid in one request."""

    trace_id: str
    gateway: str
    order_id: str
    spans: list[Received]
    messages: list[aio_pika.abc.AbstractIncomingMessage]

    @cached_property
    def by_id(self) -> dict[str, Received]:
        """The spans by their ids."""
        return {each.span_id: each for each in self.spans}

    def below(self, parent: Received) -> set[str]:
        """The names of what a span was made of."""
        return {each.name for each in self.spans if each.parent == parent.span_id}
