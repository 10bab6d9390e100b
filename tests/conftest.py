"""What all tests share: a database, a reproducible Hypothesis, and how they run side by side."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from orders.entrypoints.sandbox.database import embedded_database
from tests.support.database.failing_database import failing_database_command

TESTS = Path(__file__).parent
_GIVEN = os.environ.get("ORDERS_TEST_MONGO_URI")

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


SLOWEST_FIRST = (
    "e2e/service/failures/test_outages.py",
    "e2e/service/failures/test_crashes.py",
    "chaos/",
    "e2e/service/failures/",
    "e2e/service/test_payment_call_limits.py",
    "e2e/",
    "operating/",
    "clients/",
    "fuzzing/",
    "simulation/",
    "contract/",
    "http/",
    "",
)
"""Files and folders, so that no worker begins what takes minutes when all others are done."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes share the tests for `-n auto`: none but this one if some are picked."""
    picked = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    # One more than there are cores: a test waits half of its time, for processes and time limits.
    return 0 if picked else 1 + (os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slowest files first where workers share them."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place_of)


def _place_of(item: pytest.Item) -> int:
    file = item.path.relative_to(TESTS).as_posix()
    return next(place for place, each in enumerate(SLOWEST_FIRST) if file.startswith(each))


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
