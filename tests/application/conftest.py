"""A new shop for each test."""

from __future__ import annotations

import pytest

from tests.support.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()
