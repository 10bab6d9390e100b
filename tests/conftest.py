"""What all tests share: a database, a reproducible Hypothesis, and how they run side by side."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from orders.entrypoints.sandbox.database import embedded_database
from tests.support.failing_database import failing_database_command

TESTS = Path(__file__).parent
_GIVEN = os.environ.get("ORDERS_TEST_MONGO_URI")

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


WORKERS_PER_CORE = 2
"""Half of the time a test waits: for a process to start, a lease to end, a deadline to pass."""
SLOWEST_FIRST = ("chaos", "e2e", "clients", "operating", "contract", "http")
"""Folders, so that no worker begins a file of minutes when all others are done."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes share the tests for `-n auto`: none but this one if some are picked."""
    picked = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    return 0 if picked else WORKERS_PER_CORE * (os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slowest folders first where workers share the files."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place_of)


def _place_of(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    return SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)


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
