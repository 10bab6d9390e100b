"""Services to be fuzzed, each a child process of ours, and tokens that they take."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt

from orders.application.access import scopes_for
from orders.entrypoints.sandbox.stack import is_ready
from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.cluster import Process
from tests.support.shop import WEBHOOK_SECRET

_SECRET = "for a service that forgets all when it ends"
_CATALOGUE = Path(__file__).parents[2] / "src/orders/entrypoints/sandbox/catalogue.json"
_BARE = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
_LIFE_SECONDS = 86_000


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service answers."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, subject: str, *roles: str) -> str:
        """A token that it takes."""
        now = int(time.time())
        claims = {
            "iss": "issuer",
            "aud": "orders",
            "sub": subject,
            "roles": list(roles),
            "scope": " ".join(scopes_for(roles)),
            "iat": now,
            "exp": now + _LIFE_SECONDS,
        }
        return jwt.encode(claims, _SECRET, "HS256", headers={"typ": "at+jwt"})


@contextmanager
def in_memory_service(folder: Path) -> Iterator[Service]:
    """The service with everything in memory, for as long as the block lasts."""
    (port,) = free_ports(1)
    settings = {
        "ORDERS_PORT": str(port),
        "ORDERS_METRICS_PORT": "0",
        "ORDERS_MONGO_URI": "mongodb://127.0.0.1",
        "ORDERS_PAYMENT_URL": "http://127.0.0.1",
        "ORDERS_PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ORDERS_JWT_ALGORITHMS": "HS256",
        "ORDERS_JWT_HS256_SECRET": _SECRET,
        "ORDERS_ISSUER": "issuer",
        "ORDERS_AUDIENCE": "orders",
        "ORDERS_PRICE_LIST": str(_CATALOGUE),
        "ORDERS_DRAIN_SECONDS": "0",
        "ORDERS_RATE_PER_SECOND": "100000",
        "ORDERS_RATE_BURST": "100000",
        "ORDERS_AUTH_FAILURES_PER_SECOND": "100000",
        "ORDERS_LOG_LEVEL": "warning",
    }
    process = Process(
        "fuzzed",
        [sys.executable, "-m", "tests.fuzzing.in_memory_service"],
        environ=_BARE | settings,
        log=folder / "fuzzed.log",
        answers=lambda: is_ready(port),
    )
    process.start()
    try:
        process.wait_until_up()
        yield Service(port)
    finally:
        process.kill()
