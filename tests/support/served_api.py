"""An application on a real socket, over our own connections."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import uvicorn

from orders.entrypoints.admission import AdmissionQueue
from orders.entrypoints.http.middleware.overload import OverloadProtection
from orders.entrypoints.server.serve import server_config


class _Server(uvicorn.Server):
    """Says when it serves. Signals are its process's matter."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def served(
    app: Any,
    overload: OverloadProtection | None = None,
    *,
    is_draining: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """The port that it is served at, until the block is left."""
    free = overload or OverloadProtection(app, AdmissionQueue(1_000, 1_000), request_seconds=10)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        server = _Server(server_config(app, free, is_draining, end_within_seconds=5))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            assert server.is_up.wait(10)
            yield port
        finally:
            server.should_exit = True
            thread.join()


class Line:
    """A connection on which a test says what bytes it likes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._heard = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._heard.close()
        self.socket.close()

    def say(self, sent: bytes) -> None:
        self.socket.sendall(sent)

    def hear(self, *, has_body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body. An answer to HEAD has none."""
        line = self._heard.readline()
        assert line, "the connection was closed without an answer"
        headers: dict[str, str] = {}
        while field := self._heard.readline().strip():
            name, _, value = field.decode().partition(":")
            assert name.lower() not in headers, name
            headers[name.lower()] = value.strip()
        status = int(line.split()[1])
        length = int(headers["content-length"]) if has_body and status != 304 else 0
        return status, headers, self._heard.read(length)

    def read(self) -> bytes:
        """All that comes until the other end closes."""
        try:
            return self._heard.read()
        except ConnectionResetError:
            return b""

    def is_closed(self) -> bool:
        """Wait until the other end closes; what comes instead is an error."""
        rest = self.read()
        assert not rest, rest
        return True
