"""One shop for all that is watched: two replicas, a worker, customers, and a Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.operating.shop import RunningShop, running_shop
from tests.prometheus_process import installed


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    """A shop that runs well."""
    installed("prometheus")
    with running_shop(tmp_path_factory.mktemp("shop"), with_services=False) as shop:
        shop.wait_until_quiet()
        yield shop
