"""One shop for all that is watched: two replicas, a worker, customers, and a Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operating.shop import RunningShop, running_shop
from tests.support.processes.brokers import RABBITMQ_MISSING, rabbitmq_is_installed
from tests.support.processes.prometheus_process import installed


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    """A shop that runs well, with all that it may have beside it.

    Its customers never rest: it ends with the module, so that other tests get the processor.
    """
    installed("prometheus")
    if not rabbitmq_is_installed():
        pytest.skip(RABBITMQ_MISSING)
    with running_shop(tmp_path_factory.mktemp("shop"), with_services=True) as shop:
        shop.wait_until_quiet()
        yield shop
