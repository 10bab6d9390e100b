"""The two that are compared: the service as it runs in production, and the floor under it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orders.adapters.mongo.migration import migrate
from orders.entrypoints.sandbox.data_directory import DataDirectory
from orders.entrypoints.sandbox.stack import Stack
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from orders.entrypoints.server.child_processes import ProcessFailed, free_ports
from tests.bench.results.accounting import family_of
from tests.bench.rigs.children import running
from tests.bench.rigs.databases import Database, running_database

SERVICE: Final = "service"
FLOOR: Final = "floor"
CONTENDERS: Final = (SERVICE, FLOOR)
_PATIENCE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Contender:
    """A running program under test."""

    name: str
    port: int
    pid: int
    seconds_to_ready: float

    def family(self) -> list[int]:
        """Its processes."""
        return family_of(self.pid)


class Place:
    """Where a run happens: a folder, a payment service, a token issuer, and the settings."""

    def __init__(self, folder: Path, mongo_uri: str) -> None:
        self.data = DataDirectory(folder)
        self.data.prepare()
        self._stack = Stack(
            host="127.0.0.1", port=0, data=self.data, environ={"ORDERS_MONGO_URI": mongo_uri}
        )

    def token(self, subject: str, role: str) -> str:
        """An access token, signed as the issuer signs."""
        return sandbox_token(self.data, subject=subject, roles=[role], ttl_seconds=24 * 3600)

    def environ(self, name: str, mongo_uri: str) -> dict[str, str]:
        """The settings of a contender, with a database and ports of its own."""
        port, metrics = free_ports(2)
        return self._stack.environ | {
            "ORDERS_DATABASE": f"bench_{name}",
            "ORDERS_MONGO_URI": mongo_uri,
            "ORDERS_PORT": str(port),
            "ORDERS_METRICS_PORT": str(metrics),
        }

    @contextmanager
    def payments_and_issuer(self) -> Iterator[None]:
        """The sandbox, until the block is left."""
        environ = self._stack.environ
        payments = environ["ORDERS_PAYMENT_URL"].rpartition(":")[2]
        issuer = environ["ORDERS_JWKS_URL"].partition("/.well")[0]
        arguments = [
            *("sandbox", "--data", str(self.data.path), "--payments-port", payments),
            *("--issuer-port", issuer.rpartition(":")[2], "--webhook-url", "http://127.0.0.1:9/"),
            *("--issuer", environ["ORDERS_ISSUER"], "--audience", environ["ORDERS_AUDIENCE"]),
        ]
        command = [sys.executable, "-m", "orders", *arguments]
        with running(command, self._log("sandbox"), environ):
            _wait_for(f"{issuer}/.well-known/jwks.json")
            yield

    @contextmanager
    def contender(
        self, name: str, mongo_uri: str, *, cores: Collection[int] = (), **settings: str
    ) -> Iterator[Contender]:
        """The floor, or the service by any other name, over a database with every index."""
        environ = self.environ(name, mongo_uri) | settings
        asyncio.run(migrate(mongo_uri, database=environ["ORDERS_DATABASE"]))
        port = environ["ORDERS_PORT"]
        if name != FLOOR:
            command = [sys.executable, "-m", "orders", "serve"]
        else:
            command = [sys.executable, "-m", "tests.bench.rigs.floor", port, mongo_uri]
            command += [environ["ORDERS_DATABASE"], environ["ORDERS_PAYMENT_URL"]]
            command += [environ["ORDERS_PAYMENT_TOKEN"]]
        began = time.perf_counter()
        with running(command, self._log(name), environ, cores=cores) as process:
            _wait_for(f"http://127.0.0.1:{port}/readyz")
            yield Contender(name, int(port), process.pid, time.perf_counter() - began)

    def _log(self, name: str) -> Path:
        return self.data.logs / f"{name}.log"


@contextmanager
def scene(folder: Path) -> Iterator[tuple[Place, Database]]:
    """All that a contender needs beside itself, on the database given or one of ours."""
    folder.mkdir()
    with running_database(folder / "database", os.environ.get("ORDERS_MONGO_URI")) as database:
        place = Place(folder / "data", database.uri)
        with place.payments_and_issuer():
            yield place, database


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.01)
    raise ProcessFailed(f"{url} does not answer")
