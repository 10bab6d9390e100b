"""What the tests of traces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.processes.brokers import RabbitServer
from tests.support.processes.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.support.traces import traced_rabbit


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    with traced_rabbit(tmp_path_factory.mktemp("rabbit")) as server:
        yield server
