"""The databases that `make databases` tries, each started on this machine for the time of a try."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from pymongo import MongoClient

from orders.entrypoints.sandbox.database import embedded_database
from tests.support.database.failing_database import (
    failing_database_command,
    guarded_database,
    stand_alone_database_command,
)

_HERE: Final = Path(__file__).parent
_CACHE: Final = Path.home() / ".cache" / "orders-test-databases"
_ON_THE_WAY: Final = (
    *("engines", "test_driver.py", "test_event_log.py", "test_majority.py"),
    *("test_mongo_monitoring.py", "test_order_repository.py", "test_published_numbers.py"),
)
GIVEN: Final = "ORDERS_TEST_MONGO_URI"


class Engine(NamedTuple):
    """A database that can be started: `start` gets an empty folder, and yields the address."""

    name: str
    version: str
    start: Callable[[Path], AbstractContextManager[str]]
    only: tuple[str, ...] = ()
    """The contract tests to run, and nothing else: for a way to reach an engine that is tried."""


def engines() -> list[Engine]:
    """All that this machine has."""
    embedded = version("secantusdb")
    found = [
        Engine("SecantusDB, replica set", embedded, _secantus(failing_database_command)),
        Engine("SecantusDB, stand-alone", embedded, _secantus(stand_alone_database_command)),
        Engine("SecantusDB, with a password and options", embedded, _with_password, _ON_THE_WAY),
    ]
    if why_no_java() is None:
        found.append(Engine("mongo-java-server", _java_version(), _java_server))
    if given := os.environ.get(GIVEN):
        with MongoClient[Mapping[str, Any]](given) as client:
            said = str(client.server_info()["version"])
        found.append(Engine(f"yours ({GIVEN})", said, lambda _: nullcontext(given)))
    return found


def why_no_java() -> str | None:
    """Why mongo-java-server cannot be started here; None if it can."""
    missing = [name for name in ("javac", "mvn") if shutil.which(name) is None]
    return (
        f"not installed: {', '.join(missing)} (a JDK of 17 or later, and Maven)"
        if missing
        else None
    )


@contextmanager
def _with_password(folder: Path) -> Iterator[str]:
    with guarded_database(folder / "data") as uri:
        yield f"{uri}&retryReads=true&maxIdleTimeMS=60000"


def _secantus(
    command: Callable[[Path, int], Sequence[str]],
) -> Callable[[Path], AbstractContextManager[str]]:
    return lambda folder: embedded_database(folder / "data", command=command)


def _java_version() -> str:
    found = re.search(r"<version>(\d+\.\d+\.\d+)</version>", (_HERE / "pom.xml").read_text())
    assert found is not None
    return found[1]


@contextmanager
def _java_server(folder: Path) -> Iterator[str]:
    libraries = _java_libraries()
    source = _HERE / "MongoJavaServer.java"

    def command(_: Path, port: int) -> list[str]:
        return ["java", "-cp", f"{libraries}/*", str(source), str(port)]

    with embedded_database(folder / "data", command=command) as uri:
        yield uri


def _java_libraries() -> Path:
    """The server's jars, from Maven's repository the first time."""
    libraries = _CACHE / f"mongo-java-server-{_java_version()}"
    if not libraries.is_dir():
        # fmt: off
        subprocess.run(
            [
                "mvn", "--batch-mode", "--quiet", "-f", str(_HERE / "pom.xml"),
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
                f"-DoutputDirectory={libraries}.part",
            ],
            check=True,
        )
        # fmt: on
        Path(f"{libraries}.part").rename(libraries)
    return libraries
