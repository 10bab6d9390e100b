"""What a shop's own programs ask for is what the payment service is told, whatever they are.

Six stock clients with their default settings, straight to the service and through gateways. A body
that is lost on the way would be a whole capture, a whole refund, and a customer's cancellation.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.clients.programs import CLIENTS, Client, client
from tests.gateways.processes import gateway
from tests.support.processes.cluster import UNHURRIED, Shape, cluster
from tests.support.processes.service import Running, key

LINES = [{"sku": "MUG-RED", "name": "Red mug", "quantity": 2}]
"""2500 in GBP, by the sandbox's catalogue."""
FRAMINGS = ("length", "chunked")
GATEWAYS = ("nginx", "caddy")
"""As they come: nothing is said to them but where to listen and where to pass on to."""
OFFERS_HTTP2 = {"jdk", "curl"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("clients")
    with (
        cluster(folder, Shape(apis=1, environ=UNHURRIED)) as started,
        httpx.Client(base_url=started.apis[0], timeout=60) as own,
    ):
        yield Running(started.apis[0], folder, started.addresses(), own)


@pytest.fixture(scope="module", params=["direct", *GATEWAYS])
def url(
    request: pytest.FixtureRequest, running: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the service is found."""
    if request.param == "direct":
        yield running.url
    else:
        with gateway(request.param, tmp_path_factory.mktemp("gateway"), running.url) as address:
            yield address


@dataclass(frozen=True, slots=True)
class Shop:
    """Orders, as one client sends them in one way."""

    client: Client
    running: Running
    url: str
    framing: str

    def post(self, path: str, body: dict[str, Any], *, expect: int) -> dict[str, Any]:
        """What a request that must succeed is answered with."""
        status, answer = self.client.post(
            f"{self.url}/v1/orders{path}", body, key=key(), framing=self.framing
        )
        assert status == expect, f"{status} {answer}"
        order: dict[str, Any] = json.loads(answer)
        return order

    def placed(self, *, capture: bool) -> str:
        """A new order for 2500 that is paid for, or whose payment is authorised."""
        payment = {"method": "tok_ok", "capture": capture}
        order = self.post("", {"currency": "GBP", "lines": LINES, "payment": payment}, expect=201)
        assert order["payment_status"] == ("paid" if capture else "authorized")
        return str(order["id"])

    def moved(self, order: str) -> list[tuple[str, int]]:
        """What the payment service did for an order; each of its keys came to it once."""
        assert set(self.running.charge_calls(order).values()) == {1}
        (payment,) = self.running.charges(order)
        return [(each["kind"], each["amount"]) for each in payment["movements"]]


@pytest.fixture(params=FRAMINGS)
def framing(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_is_asked_for_is_what_is_done(
    kind: str, running: Running, url: str, framing: str
) -> None:
    token = running.someone("admin").token
    assert token
    with client(kind, token) as program:
        shop = Shop(program, running, url, framing)

        captured = shop.placed(capture=False)
        shop.post(f"/{captured}/payments/1/capture", {"amount": 500}, expect=200)
        assert shop.moved(captured) == [("authorization", 2500), ("capture", 500)]
        shop.post(f"/{captured}/payments/1/capture", {"amount": 300}, expect=200)
        assert shop.moved(captured)[2:] == [("capture", 300)]

        refunded = shop.placed(capture=True)
        shop.post(f"/{refunded}/credits", {"amount": 700, "reason": "late"}, expect=201)
        shop.post(f"/{refunded}/refunds", {"amount": 200, "reason": "late"}, expect=201)
        assert shop.moved(refunded) == [
            ("authorization", 2500), ("capture", 2500), ("refund", 200)
        ]  # fmt: skip
        order = running.bearing(token).order(refunded)
        assert [(each["amount"], each["reason"]) for each in order["refunds"]] == [(200, "late")]

        cancelled = shop.placed(capture=False)
        order = shop.post(f"/{cancelled}/cancel", {"reason": "inventory"}, expect=200)
        assert (order["status"], order["cancel_reason"]) == ("cancelled", "inventory")
        assert shop.moved(cancelled) == [("authorization", 2500), ("void", 2500)]


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_clients_are_as_they_are_said_to_be(kind: str) -> None:
    """Or the other test would show less than it seems to."""
    with _recording() as (url, heard), client(kind, "a-token") as program:
        for framing in FRAMINGS:
            assert program.post(url, {"amount": 500}, key="k", framing=framing) == (200, "{}")
    with_length, chunked = heard
    assert with_length["content-length"] == "15"
    assert chunked["transfer-encoding"] == "chunked"
    offered = [each["upgrade"] for each in heard]
    assert offered == ["h2c" if kind in OFFERS_HTTP2 else None] * 2


@contextmanager
def _recording() -> Iterator[tuple[str, list[Message]]]:
    """A server that keeps the head of every request, and answers all alike."""
    heard: list[Message] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            heard.append(self.headers)
            if self.headers["transfer-encoding"]:
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            else:
                self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_request(self, *said: object, **more: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.02]).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", heard
        finally:
            server.shutdown()
