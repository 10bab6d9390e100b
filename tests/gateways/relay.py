"""What stands between a gateway and the service, and does what a network may.

It can lose an answer, and take `no-transform` out of answers, as a service without it would send
them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from socketserver import StreamRequestHandler, ThreadingTCPServer


class Relay(ThreadingTCPServer):
    """Passes each request on, on a connection of its own; connections to it stay open.

    `heard` has the request lines, as they came, and `heads` the heads.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service_port = port
        self.heard: list[str] = []
        self.answers_to_lose = 0
        self.allows_compression = False

    @property
    def url(self) -> str:
        """Where it is found."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(StreamRequestHandler):
    server: Relay

    def handle(self) -> None:
        while head := _head(self.rfile):
            line, fields = _fields(head)
            body = _body(self.rfile, fields, self.wfile)
            if not line.startswith("GET /readyz"):
                self.server.heard.append(line)
            answer = _asked(self.server.service_port, head, body)
            if self.server.answers_to_lose and not line.startswith("GET"):
                self.server.answers_to_lose -= 1
                return
            if self.server.allows_compression:
                answer = answer.replace(b"no-store, no-transform", b"no-store")
            try:
                self.wfile.write(answer)
            except OSError:
                return


def _head(stream: BufferedIOBase) -> bytes:
    lines = []
    try:
        while line := stream.readline():
            lines.append(line)
            if line == b"\r\n":
                return b"".join(lines)
    except OSError:
        pass
    return b""


def _fields(head: bytes) -> tuple[str, dict[str, str]]:
    line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return line, {name.lower(): value.strip() for name, _, value in pairs}


def _body(stream: BufferedIOBase, fields: dict[str, str], back: BufferedIOBase) -> bytes:
    """The body as it was framed."""
    if "100-continue" in fields.get("expect", "").lower():
        back.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        back.flush()
    if "chunked" not in fields.get("transfer-encoding", ""):
        return stream.read(int(fields.get("content-length", "0")))
    parts = []
    while True:
        size = stream.readline()
        part = stream.read(int(size, 16) + 2)
        parts += [size, part]
        if size.strip() == b"0":
            return b"".join(parts)


def _asked(port: int, head: bytes, body: bytes) -> bytes:
    """The service's answer, without what it says of its connection."""
    line, _, fields = head.partition(b"\r\n")
    kept = [
        field
        for field in fields.split(b"\r\n")
        if not field.lower().startswith((b"connection:", b"expect:"))
    ]
    sent = b"\r\n".join([line, b"Connection: close", *kept]) + body
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer.replace(b"connection: close\r\n", b"", 1)


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    """A relay to the service at `url`, until the block is left."""
    with Relay(int(url.rpartition(":")[2])) as running:
        threading.Thread(target=running.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield running
        finally:
            running.shutdown()
