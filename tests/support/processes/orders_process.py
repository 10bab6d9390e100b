"""`orders` as processes whose standard error a test reads, or does not."""

from __future__ import annotations

import fcntl
import http.client
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

COMPLETE: Final = {
    "ORDERS_MONGO_URI": "mongodb://127.0.0.1:1",
    "ORDERS_PAYMENT_URL": "http://127.0.0.1:1",
    "ORDERS_PAYMENT_WEBHOOK_SECRET": "whsec_" + "A" * 44,
    "ORDERS_ISSUER": "issuer",
    "ORDERS_AUDIENCE": "orders",
    "ORDERS_JWKS_URL": "http://127.0.0.1:1/jwks",
    "ORDERS_METRICS_PORT": "0",
    "ORDERS_DRAIN_SECONDS": "0",
}
"""Settings of a service whose neighbours are all away."""


def environment(changed: Mapping[str, str]) -> Mapping[str, str]:
    """That of this process, with the settings of `COMPLETE` and these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    return {**ours, **COMPLETE, **changed}


def command(*arguments: str) -> list[str]:
    """How `orders` is called."""
    return [sys.executable, "-m", "orders", *arguments]


class Unread:
    """A pipe for a standard error that nobody reads, until the test does."""

    def __init__(self, *, full: bool) -> None:
        self.reader, self.writer = os.pipe()
        self.filled = b""
        if full:
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4_096)
            self.filled = b"-" * 4_095 + b"\n"
            os.write(self.writer, self.filled)

    def is_full(self) -> bool:
        """Whether no line finds a place."""
        return not select.select([], [self.writer], [], 0)[1]

    def lines(self, until: bytes = b"") -> list[bytes]:
        """What came, up to a line that holds this, or to the end of all who write."""
        came = b""
        if not until:
            self.leave()
        while not (until and until in came and came.endswith(b"\n")):
            if not (part := os.read(self.reader, 65_536)):
                break
            came += part
        return came.removeprefix(self.filled).splitlines(keepends=True)

    def leave(self) -> None:
        """Keep no end to write to."""
        with suppress(OSError):
            os.close(self.writer)


@contextmanager
def running(
    *arguments: str, settings: Mapping[str, str], full: bool = False
) -> Iterator[tuple[subprocess.Popen[bytes], Unread]]:
    """`orders` with a standard error that nobody reads; killed when the block is left."""
    unread = Unread(full=full)
    process = subprocess.Popen(
        command(*arguments),
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=unread.writer,
        start_new_session=True,
    )
    with process:
        try:
            yield process, unread
        finally:
            process.kill()
            unread.leave()
            os.close(unread.reader)


def get(port: int, path: str, *, at: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    """Status and body of a request to this machine, made until somebody listens there."""
    give_up_at = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection(at, port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except ConnectionRefusedError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def counted(metrics: str, name: str) -> float:
    """A number of a text of metrics."""
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name))
