"""The parts of a development stack: their ports, their settings, how they start."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

from orders.entrypoints.sandbox.data_directory import AUDIENCE, ISSUER, TENANT, DataDirectory
from orders.entrypoints.sandbox.database import database_command, database_uri
from orders.entrypoints.server.child_processes import Children, ProcessFailed, free_ports, is_taken

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where each part listens."""

    api: int
    payments: int
    issuer: int
    metrics: int
    worker_metrics: int
    database: int

    @classmethod
    def following(cls, port: int) -> Ports:
        """Return the ports next to the API's; free ones for all if that is 0."""
        if port == 0:
            names = [each.name for each in fields(cls)]
            return cls(**dict(zip(names, free_ports(len(names)), strict=True)))
        return cls(
            api=port,
            payments=port + 1,
            issuer=port + 2,
            metrics=port + 3,
            worker_metrics=port + 4,
            database=27117 if port == 8000 else free_ports(1)[0],
        )


class Stack:
    """A payment service, a token issuer, an embedded database if none is set, the API, the worker.

    Settings of the service in `environ` replace those of the stack.
    """

    def __init__(
        self, *, host: str, port: int, data: DataDirectory, environ: Mapping[str, str]
    ) -> None:
        self._host = host
        self._ports = Ports.following(port)
        self._data = data
        self._embedded = not environ.get("ORDERS_MONGO_URI")
        self.environ = {
            **os.environ,
            **self._service_settings(),
            **{name: value for name, value in environ.items() if value},
            "ORDERS_HOST": host,
            "ORDERS_PORT": str(self._ports.api),
            "PYTHONUNBUFFERED": "1",
        }

    def require_ports(self) -> None:
        """Refuse a taken port before anything starts.

        Raises:
            ProcessFailed: If one is; it names the port and its use.
        """
        for each, port in zip(fields(Ports), astuple(self._ports), strict=True):
            host = self._host if each.name == "api" else _LOOPBACK
            needed = self._embedded or each.name != "database"
            if needed and is_taken(host, port):
                use = each.name.replace("_", " ")
                raise ProcessFailed(f"port {port} on {host} is in use ({use}): try another --port")

    async def start(self, children: Children) -> None:
        """Start every part, and return when all of them respond.

        Raises:
            ProcessFailed: If one fails, or does not answer in time.
        """
        if self._embedded:
            command = database_command(self._data.database, self._ports.database)
            await children.start("database", command)
        await children.start("sandbox", self._sandbox_command())
        await children.start("api", _orders("serve"))
        await children.start(
            "worker", _orders("worker"), ORDERS_METRICS_PORT=str(self._ports.worker_metrics)
        )
        # Runs while the others wait for the database; the stack is ready only after it.
        await children.run("migrate", _orders("migrate", "--wait", str(_START_SECONDS)))
        await _until(partial(accepts, self._ports.payments), "the payment service")
        await _until(partial(accepts, self._ports.issuer), "the token issuer")
        await _until(partial(is_ready, self._ports.api, self._reachable), "the API")

    def addresses(self) -> dict[str, str]:
        """Return the addresses of all parts, as the ready file lists them."""
        ports = self._ports
        return {
            "api": f"http://{_in_url(self._reachable)}:{ports.api}",
            "payments": self.environ["ORDERS_PAYMENT_URL"],
            "issuer": f"http://{_LOOPBACK}:{ports.issuer}",
            "jwks": self.environ["ORDERS_JWKS_URL"],
            "metrics": f"http://{_LOOPBACK}:{self.environ['ORDERS_METRICS_PORT']}/metrics",
            "worker_metrics": f"http://{_LOOPBACK}:{ports.worker_metrics}/metrics",
            "mongo": self.environ["ORDERS_MONGO_URI"],
            "logs": str(self._data.logs),
        }

    @property
    def _reachable(self) -> str:
        return _LOOPBACK if self._host in {"0.0.0.0", "::"} else self._host  # noqa: S104

    def _service_settings(self) -> dict[str, str]:
        ports = self._ports
        return {
            "ORDERS_MONGO_URI": database_uri(ports.database),
            "ORDERS_METRICS_PORT": str(ports.metrics),
            "ORDERS_PAYMENT_URL": f"http://{_LOOPBACK}:{ports.payments}",
            "ORDERS_PAYMENT_TOKEN": self._data.payment_token(),
            "ORDERS_PAYMENT_WEBHOOK_SECRET": self._data.webhook_secret(),
            "ORDERS_JWKS_URL": f"http://{_LOOPBACK}:{ports.issuer}/.well-known/jwks.json",
            "ORDERS_ISSUER": ISSUER,
            "ORDERS_AUDIENCE": AUDIENCE,
            "ORDERS_DEFAULT_TENANT": TENANT,
            "ORDERS_PRICE_LIST": str(Path(__file__).with_name("catalogue.json")),
            "ORDERS_DRAIN_SECONDS": "0",
            # The embedded database sorts everything that a list matches, on one slow core.
            "ORDERS_MONGO_TIMEOUT_SECONDS": "5",
            # One developer sends the load of a whole shop; a replay sends a day in a minute.
            "ORDERS_RATE_PER_SECOND": "100000",
            "ORDERS_RATE_BURST": "100000",
            "ORDERS_AUTH_FAILURES_PER_SECOND": "100000",
        }

    def _sandbox_command(self) -> list[str]:
        # fmt: off
        return _orders(
            "sandbox", "--data", str(self._data.path),
            "--payments-port", str(self._ports.payments),
            "--issuer-port", str(self._ports.issuer),
            "--issuer", self.environ["ORDERS_ISSUER"],
            "--audience", self.environ["ORDERS_AUDIENCE"],
            "--webhook-url",
            f"http://{_in_url(self._reachable)}:{self._ports.api}/v1/payment-events",
        )
        # fmt: on


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _orders(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orders", *arguments]


async def _until(responds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    pause = 0.05
    while not await asyncio.to_thread(responds):
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{what} did not answer within {_START_SECONDS} s")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def accepts(port: int) -> bool:
    """Whether a process listens on this port of this machine."""
    try:
        socket.create_connection((_LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def is_ready(port: int, host: str = _LOOPBACK) -> bool:
    """Whether the API is ready for requests."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
