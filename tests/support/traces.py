"""What everyone was told of one order: a collector its spans, a broker its messages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import aio_pika
import pytest

from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    keep_all,
    rabbit_server,
    rabbitmq_is_installed,
)
from tests.support.processes.otlp_receiver import Received

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
        asyncio.run(keep_all(server.uri))
        yield server


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
