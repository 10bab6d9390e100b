"""What all tests share: a real database, and a reproducible Hypothesis."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from orders.entrypoints.sandbox.database import embedded_database
from tests.support.database.failing_database import failing_database_command

_GIVEN = os.environ.get("ORDERS_TEST_MONGO_URI")

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_report_header() -> str:
    return f"database: {'ORDERS_TEST_MONGO_URI' if _GIVEN else 'embedded (SecantusDB)'}"


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running database, the same for all tests: each takes a database name of its own."""
    if _GIVEN:
        yield _GIVEN
        return
    if importlib.util.find_spec("secantus") is None:
        pytest.skip("no database: neither ORDERS_TEST_MONGO_URI nor SecantusDB is there")
    data = tmp_path_factory.mktemp("mongo") / "data"
    with embedded_database(data, command=failing_database_command) as uri:
        yield uri
