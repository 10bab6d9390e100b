"""One stack for all cases: `orders dev`, or the one that ORDERS_CASES_URL and _DATA name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.processes.cluster import UNHURRIED
from tests.support.processes.replicas import Stage, staged
from tests.support.processes.service import PATIENCE_SECONDS, Caller, Running

_ENVIRON = {
    **{name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")},
    **UNHURRIED,
}


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service under test. ORDERS_CASES_DATA is the data directory of its sandbox."""
    url, data = os.environ.get("ORDERS_CASES_URL"), os.environ.get("ORDERS_CASES_DATA")
    if url and data:
        with _client(url) as client:
            yield Running(url, Path(data), _addresses(Path(data)), client)
        return
    folder = tmp_path_factory.mktemp("cases")
    with _dev(folder), _client(_addresses(folder)["api"]) as client:
        yield Running(str(client.base_url), folder, _addresses(folder), client)


@pytest.fixture
def ada(running: Running) -> Caller:
    """A customer that nobody has seen before."""
    return running.someone()


@pytest.fixture
def bob(running: Running) -> Caller:
    """Another one."""
    return running.someone()


@pytest.fixture(scope="session")
def admin(running: Running) -> Caller:
    """Whoever may do all."""
    return running.someone("admin")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three replicas with a payment service of the test's."""
    with staged(tmp_path_factory.mktemp("stage")) as running:
        yield running


@contextmanager
def _dev(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "orders", "dev", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(command, env=_ENVIRON, stdout=subprocess.PIPE, text=True) as dev:
        assert dev.stdout is not None
        try:
            up = any(each.startswith("Ctrl-C") for each in dev.stdout)
            assert up, "the stack did not start"
            yield
        finally:
            dev.terminate()
            dev.stdout.read()


def _addresses(data: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((data / "ready.json").read_text())
    return found


def _client(url: str) -> httpx.Client:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    return httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, limits=limits)
