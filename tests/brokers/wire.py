"""A program that leads to a port, but later: `python -m tests.brokers.wire PORT SECONDS`.

Unlike the proxy of the tests it keeps fractions of a millisecond, since event loops wait for whole
ones. It prints its own port, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


def main() -> None:
    """Serve until the one who started this is gone."""
    port, round_trip = int(sys.argv[1]), float(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=_accept, args=(server, port, round_trip), daemon=True).start()
        sys.stdin.read()
        os._exit(0)


def _accept(server: socket.socket, port: int, round_trip: float) -> None:
    while True:
        near, _ = server.accept()
        time.sleep(round_trip)
        far = socket.create_connection(("127.0.0.1", port))
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in ((near, far), (far, near)):
            threading.Thread(target=_pass_on, args=(*way, round_trip / 2), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with contextlib.suppress(OSError), source, target:
        while data := source.recv(65_536):
            time.sleep(seconds)
            target.sendall(data)


@contextmanager
def wire(port: int, round_trip_seconds: float) -> Iterator[int]:
    """A port that leads to another, in a process that ends with the block."""
    command = [sys.executable, "-m", __name__, str(port), str(round_trip_seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


if __name__ == "__main__":
    main()
