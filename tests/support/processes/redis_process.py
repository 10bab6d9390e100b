"""A Redis of our own: a child process on a free port that keeps nothing."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from orders.entrypoints.server.child_processes import free_ports

_PATIENCE_SECONDS = 60


class RedisProcess:
    """It can be killed, and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, and return when it answers."""
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server is not installed: apt-get install redis-server")
        # fmt: off
        self._process = subprocess.Popen(
            [binary, "--bind", "127.0.0.1", "--port", str(self._port), "--save", "",
             "--appendonly", "no", "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )
        # fmt: on
        deadline = monotonic() + _PATIENCE_SECONDS
        while monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1) as wire:
                wire.sendall(b"PING\r\n")
                if wire.recv(7) == b"+PONG\r\n":
                    return
            sleep(0.01)  # a port gives no event to wait for
        raise TimeoutError("redis-server does not answer")

    def freeze(self) -> None:
        """Stop answering, with all connections left open, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once. Killing it twice does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def redis_process(folder: Path) -> Iterator[RedisProcess]:
    """A running Redis, or the test is skipped with the reason."""
    redis = RedisProcess(folder)
    try:
        redis.start()
        yield redis
    finally:
        redis.kill()
