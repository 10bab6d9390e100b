"""What a client asks through a gateway, and what it is answered."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from tests.gateways.relay import Relay
from tests.support.processes.service import Running

CLIENT: Final = "127.0.0.2"
"""The address that a client comes from: gateways, at 127.0.0.1, are trusted."""
FORGED: Final = "203.0.113.66"
CODINGS: Final = ("identity", "gzip", "br, zstd", "deflate")
_LINES: Final = [{"sku": "MUG-RED", "name": f"Red mug {n}", "quantity": 1} for n in range(12)]
_ORDER: Final = {"currency": "GBP", "lines": _LINES}


@dataclass(frozen=True, slots=True)
class Shop:
    """A caller behind a gateway at `url`; `running` is the service itself."""

    url: str
    running: Running
    client: httpx.Client
    token: str

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Send a command with a new key, or with the one that is given."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        return self.client.post(f"/v1/orders{path}", json=body, headers=key | headers)

    def placed(self, **headers: str) -> httpx.Response:
        """The answer to an order of 12 lines, which must be taken."""
        answer = self.post("", _ORDER, **headers)
        assert answer.status_code == 201, answer.text
        return answer

    def raw(self, head: str, body: bytes = b"", *, token: str | None = None) -> bytes:
        """Send a request in these bytes; return all that comes back."""
        text = f"{head}Authorization: Bearer {token or self.token}\r\n"
        text += f"Content-Length: {len(body)}\r\n" * bool(body)
        text += "Connection: close\r\n" * ("Connection:" not in head)
        with self.connected() as connection:
            said = b""
            try:
                connection.sendall(f"{text}\r\n".encode("latin-1") + body)
                while part := connection.recv(65_536):
                    said += part
            except ConnectionError:
                pass  # What came until then is the answer.
            return said

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A bare connection to the gateway."""
        port = int(self.url.rpartition(":")[2])
        with socket.create_connection(
            ("127.0.0.1", port), timeout=30, source_address=(CLIENT, 0)
        ) as connection:
            yield connection


@contextmanager
def shop(url: str, running: Running) -> Iterator[Shop]:
    """Someone who may do everything, behind a gateway."""
    token = running.someone("admin").token
    assert token
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    with httpx.Client(
        base_url=url,
        timeout=30,
        headers=headers,
        transport=httpx.HTTPTransport(local_address=CLIENT),
    ) as client:
        yield Shop(url, running, client, token)


@dataclass(frozen=True, slots=True)
class Journey:
    """What became of an order: the tag that was read, how the body came, and the statuses."""

    tag: str | None
    coding: str | None
    unchanged: int
    changed: int
    stale: int
    by_version: int

    @property
    def is_right(self) -> bool:
        """Whether conditions held as without a gateway."""
        statuses = (self.unchanged, self.changed, self.stale, self.by_version)
        return statuses == (304, 200, 412, 200)


def journey(shop: Shop, coding: str) -> Journey:
    """Place, read, read again if it changed, edit, edit what has changed, edit by its version.

    A client that was told no tag quotes the version.
    """
    path = f"/v1/orders/{shop.placed().json()['id']}"
    read = shop.client.get(path, headers={"Accept-Encoding": coding})
    tag = read.headers.get("etag")
    known = tag or _quoted(read)
    again = shop.client.get(path, headers={"Accept-Encoding": coding, "If-None-Match": known})
    changed = _edited(shop, path, known)
    stale = _edited(shop, path, known)
    by_version = _edited(shop, path, _quoted(changed))
    return Journey(
        tag,
        read.headers.get("content-encoding"),
        again.status_code,
        changed.status_code,
        stale.status_code,
        by_version.status_code,
    )


def _quoted(answer: httpx.Response) -> str:
    return f'"{answer.json().get("version")}"'


def _edited(shop: Shop, path: str, tag: str) -> httpx.Response:
    note = {"note": secrets.token_hex(8)}
    return shop.client.patch(path, json=note, headers={"If-Match": tag})


FORGERIES: Final[Mapping[str, list[tuple[str, str]]]] = {
    "nothing": [],
    "X-Forwarded-For": [("X-Forwarded-For", FORGED)],
    "a list": [("X-Forwarded-For", f"192.0.2.1, {FORGED}, 127.0.0.1")],
    "two lines": [("X-Forwarded-For", FORGED), ("X-Forwarded-For", "127.0.0.1")],
    "garbage": [("X-Forwarded-For", f"{FORGED}, ,x y,\x80")],
    "other headers": [("Forwarded", f"for={FORGED}"), ("X-Real-IP", FORGED)],
}


def clients_logged(shop: Shop) -> dict[str, str]:
    """The address that the audit log has for a refused token, by what its sender forged."""
    found = {}
    for name, headers in FORGERIES.items():
        lines = "".join(f"{field}: {value}\r\n" for field, value in headers)
        head = f"GET /v1/orders HTTP/1.1\r\nHost: orders\r\n{lines}"
        found[name] = _logged(shop.running, shop.raw(head, token="refused"))
    return found


def _logged(running: Running, said: bytes) -> str:
    trace = re.search(rb'"trace_id":"([0-9a-f]{32})"', said)
    if trace is None:
        return f"refused: {status_of(said)}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in running.logged().splitlines():
            if trace[1].decode() in line and '"client"' in line:
                return str(json.loads(line)["client"])
        time.sleep(0.05)  # another process writes it, after its answer
    raise AssertionError(f"no audit record of {trace[1]!r}")


def status_of(said: bytes) -> int:
    """The status of the last response, or 0 without one."""
    found = re.findall(rb"^HTTP/1\.[01] (\d{3})", said, re.MULTILINE)
    return int(found[-1]) if found else 0


AMBIGUOUS: Final[Mapping[str, str]] = {
    "two Host": "Host: a\r\nHost: b\r\nIdempotency-Key: k1\r\n",
    "Host: a,b": "Host: a,b\r\nIdempotency-Key: k2\r\n",
    "two Idempotency-Key": "Host: a\r\nIdempotency-Key: k3\r\nIdempotency-Key: k4\r\n",
    "Idempotency-Key: a, b": "Host: a\r\nIdempotency-Key: k5, k6\r\n",
    "two Content-Type": "Host: a\r\nIdempotency-Key: k7\r\nContent-Type: text/plain\r\n",
}


def ambiguous(shop: Shop) -> dict[str, int]:
    """The statuses of orders that are sent with fields of which there may be one only."""
    body = json.dumps(_ORDER).encode()
    head = "POST /v1/orders HTTP/1.1\r\nContent-Type: application/json\r\n"
    return {name: status_of(shop.raw(head + said, body)) for name, said in AMBIGUOUS.items()}


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of a command whose answer was lost before the gateway.

    A `status` of 0 is no answer.
    """

    arrived: int
    status: int
    retried: int
    was_replayed: bool
    times_done: int


def lost_answer(shop: Shop, relay: Relay) -> Lost:
    """Cancel an order without a body, lose the answer, and send the command again as a client."""
    order = shop.placed().json()["id"]
    for _ in range(6):  # every connection of the gateway is one that was used
        shop.client.get(f"/v1/orders/{order}")
    key = secrets.token_hex(8)
    relay.heard.clear()
    relay.answers_to_lose = 1
    try:
        first = shop.client.post(f"/v1/orders/{order}/cancel", headers={"Idempotency-Key": key})
        status = first.status_code
    except httpx.RemoteProtocolError:  # it closes the client's connection as its own was
        status = 0
    arrived = len(relay.heard)
    relay.answers_to_lose = 0
    again = shop.client.post(f"/v1/orders/{order}/cancel", headers={"Idempotency-Key": key})
    events = shop.client.get(f"/v1/orders/{order}/events").json()["items"]
    return Lost(
        arrived,
        status,
        again.status_code,
        again.headers.get("idempotency-replayed") == "true",
        sum(each["type"] == "OrderCancelled" for each in events),
    )


def upload_seconds(shop: Shop) -> tuple[float, int]:
    """How long an order takes whose sender waits up to 5 s for `100 Continue`, and its status."""
    body = json.dumps(_ORDER).encode()
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: orders\r\nAuthorization: Bearer {shop.token}\r\n"
        f"Idempotency-Key: {secrets.token_hex(8)}\r\nContent-Type: application/json\r\n"
        f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    began = time.monotonic()
    with shop.connected() as connection:
        connection.sendall(head.encode())
        connection.settimeout(5)
        try:
            said = connection.recv(65_536)
        except TimeoutError:
            said = b""
        connection.settimeout(30)
        connection.sendall(body)
        said += b"".join(iter(lambda: connection.recv(65_536), b""))
    return time.monotonic() - began, status_of(said)


def offered(shop: Shop) -> int:
    """The status of an order that offers HTTP/2, as each JDK client does."""
    head = (
        "POST /v1/orders HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {secrets.token_hex(8)}\r\nUpgrade: h2c\r\n"
        "Connection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
    )
    return status_of(shop.raw(head, json.dumps(_ORDER).encode()))


def sizes(shop: Shop) -> dict[str, int]:
    """The statuses of a body of 1 MiB that is no order, of one byte more, and of long headers."""
    limit = 1_048_576
    head = "POST /v1/orders HTTP/1.1\r\nHost: orders\r\nContent-Type: application/json\r\n"
    long = "GET /v1/orders HTTP/1.1\r\nHost: orders\r\nX-Long: "
    return {
        "1 MiB": status_of(shop.raw(head, b'"' + b"x" * (limit - 2) + b'"')),
        "1 MiB + 1": status_of(shop.raw(head, b'"' + b"x" * (limit - 1) + b'"')),
        "12 KiB of headers": status_of(shop.raw(f"{long}{'x' * 12_000}\r\n")),
    }
