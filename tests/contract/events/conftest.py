"""A RabbitMQ for the tests of events, one for each module."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.processes.brokers import (
    RABBITMQ_MISSING,
    RabbitServer,
    rabbit_server,
    rabbitmq_is_installed,
)


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    if not rabbitmq_is_installed():
        pytest.skip(RABBITMQ_MISSING)
    with rabbit_server(tmp_path_factory.mktemp("rabbit")) as server:
        yield server


@pytest.fixture
def exchange() -> str:
    return f"orders-{uuid4().hex}"
