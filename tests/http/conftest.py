"""The API in process: one application, a new shop behind it for each test."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.api import Api, Front
from tests.support.observed_api import Recorded
from tests.support.shop import Shop


@pytest.fixture(scope="session")
def front() -> Front:
    return Front()


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def api(front: Front, shop: Shop) -> AsyncIterator[Api]:
    front.container.override(shop.container)
    api = Api(front, shop)
    yield api
    await api.client.aclose()
    front.container.reset_last_overriding()


@pytest.fixture
def trail() -> Iterator[Recorded]:
    handler, logger = Recorded(), logging.getLogger("audit")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)
