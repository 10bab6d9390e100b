"""The gateway: what it takes away, what it bounds, what it repeats, and how a colour goes live."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import httpx
import pytest

from orders.entrypoints.http.app import description
from orders.entrypoints.http.middleware.response_headers import ALWAYS
from tests.blue_green import CONNECTIONS, there_and_back
from tests.support.processes.gateway import Gateway, gateway, newest_nginx
from tests.support.processes.service import eventually


class Upstream:
    """A service that notes every request it gets, and answers it, or dies instead."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.dies = False
        self.hung_up = asyncio.Event()
        self.connections: set[asyncio.Task[None]] = set()
        self.status = b"200 OK"
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after another on a connection."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self.connections.add(task)
        try:
            await self._answer(reader, writer)
        finally:
            self.hung_up.set()
            writer.close()
            # Until then the connection is open, and would outlive the loop of its test.
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.connections.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            line, *fields = head.split("\r\n")
            headers = dict(field.lower().split(": ", 1) for field in fields)
            await reader.readexactly(int(headers.get("content-length", "0")))
            self.heard.append((line, headers))
            if self.dies:
                break
            self.hung_up.clear()
            writer.write(
                b"HTTP/1.1 " + self.status + b"\r\nX-Content-Type-Options: nosniff\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode().strip()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    found = Upstream()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found
    await asyncio.gather(*found.connections)  # the gateway is gone, and so they end


@pytest.fixture
def gate(tmp_path: Path, upstream: Upstream) -> Iterator[Gateway]:
    """A gateway with the same service as both colours; it takes 5 requests at once."""
    with gateway(tmp_path, blue=upstream.address, green=upstream.address) as running:
        yield running


@pytest.fixture
async def client(gate: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gate.url, verify=gate.trust) as running:
        yield running


def assert_own_refusal(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert len(problem["trace_id"]) == 32
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name.decode()) == [value.decode()], name
    assert not re.search("[0-9]", answer.headers["server"])


async def test_what_says_who_somebody_is_does_not_get_through(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    lies = {
        "X-User-Id": "admin",
        "X-Tenant": "other",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.test",
        "X-Real-IP": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "X-Original-URL": "/metrics",
        "X-HTTP-Method-Override": "DELETE",
        "Cookie": "session=1",
        "X-Whatever-Is-Invented-Next": "admin",
    }
    await client.get("/v1/orders", headers={**lies, "Authorization": "Bearer t"})

    (line, heard) = upstream.heard[0]
    assert line == "GET /v1/orders HTTP/1.1"
    assert heard["authorization"] == "bearer t"
    assert heard["x-forwarded-for"] == "127.0.0.1"
    kept = {"x-forwarded-for", "authorization"}
    assert not {name.lower() for name in lies} - kept & heard.keys()
    assert not any("10.0.0.1" in value or "evil" in value for value in heard.values())


async def test_every_published_header_gets_through(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    published = {
        parameter["name"].lower()
        for path in description()["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    }
    assert "idempotency-key" in published

    await client.post("/v1/orders", headers=dict.fromkeys(published, "x"), content=b"{}")

    (_, heard) = upstream.heard[0]
    assert published - heard.keys() == set()
    assert heard["content-length"] == "2"


SINGLE = {
    "idempotency-key": ("a", "b"),
    "content-type": ("application/json", "text/plain"),
    "webhook-signature": ("v1,a", "v1,b"),
}
"""Fields of which there may be one only. An If-Match may have two lines, a list."""


async def test_two_lines_of_one_field_get_through_as_two(
    tmp_path: Path, upstream: Upstream
) -> None:
    """The service refuses them. Older nginx takes the first, and drops the other."""
    address, newest = upstream.address, newest_nginx()
    twice = [(name, value) for name, values in SINGLE.items() for value in values]
    with gateway(tmp_path, blue=address, green=address, program=newest) as gate:
        async with httpx.AsyncClient(base_url=gate.url, verify=gate.trust) as client:
            await client.post("/v1/orders", headers=twice)

    (_, heard) = upstream.heard[0]
    assert {name: heard[name] for name in SINGLE} == {
        name: ", ".join(values) for name, values in SINGLE.items()
    }


@pytest.mark.parametrize("field", ["Host", "Authorization", "If-Match", "Content-Length"])
async def test_some_fields_come_once_or_not_at_all(
    gate: Gateway, upstream: Upstream, field: str
) -> None:
    lines = f"{field}: 1\r\n" * 2 + "Host: x\r\n" * (field != "Host")
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.port, ssl=gate.trust)
    writer.write(f"POST /v1/orders HTTP/1.1\r\n{lines}\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    writer.transport.abort()  # else TLS would wait for the other side's goodbye
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert upstream.heard == []


async def test_an_idle_connection_is_given_up_before_the_service_does(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """It closes after 10 s, and a POST that is sent into that is lost."""
    await client.get("/v1/orders")
    async with asyncio.timeout(9):
        await upstream.hung_up.wait()


async def test_a_trace_begins_here_unless_the_caller_has_begun_it(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await client.get("/v1/orders", headers={"traceparent": theirs})
    for broken in ("", "nonsense", theirs.replace("4bf9", "xyz!")):
        await client.get("/v1/orders", headers={"traceparent": broken} if broken else {})

    first, *others = [headers["traceparent"] for _, headers in upstream.heard]
    assert first == theirs
    assert all(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", each) for each in others)
    assert len(set(others)) == 3


async def test_a_request_has_a_name_that_both_sides_see(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    named = await client.get("/v1/orders", headers={"X-Request-Id": "shop-17"})
    nameless = await client.get("/v1/orders", headers={"X-Request-Id": "two words\ttab"})

    assert named.headers["x-request-id"] == upstream.heard[0][1]["x-request-id"] == "shop-17"
    assert re.fullmatch("[0-9a-f]{32}", nameless.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/", "/metrics", "/v1", "/v1/../metrics", "/own/400", "/.git"])
async def test_only_what_is_published_can_be_reached(
    client: httpx.AsyncClient, upstream: Upstream, path: str
) -> None:
    answer = await client.get(httpx.URL(str(client.base_url)).copy_with(raw_path=path.encode()))
    assert_own_refusal(answer, 404, "not-found")
    assert upstream.heard == []


async def test_too_much_is_refused_before_it_gets_through(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    body = await client.post("/v1/orders", content=b" " * (1024 * 1024 + 1))
    assert_own_refusal(body, 413, "body-too-large")
    assert_own_refusal(await client.get("/v1/" + "x" * 20_000), 414, "address-too-long")
    header = await client.get("/v1/orders", headers={"X": "y" * 70_000})
    assert_own_refusal(header, 431, "header-too-large")
    assert_own_refusal(await client.request("TRACE", "/v1/orders"), 405, "method-not-allowed")
    assert upstream.heard == []


async def test_an_address_that_asks_too_often_waits(tmp_path: Path, upstream: Upstream) -> None:
    limits = {"GATEWAY_RATE": "1", "GATEWAY_BURST": "4"}
    with gateway(tmp_path, blue=upstream.address, green=upstream.address, **limits) as gate:
        async with httpx.AsyncClient(base_url=gate.url, verify=gate.trust) as client:
            answers = [await client.get("/v1/orders") for _ in range(12)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 6
    assert_own_refusal(refused[0], 429, "rate-limited")
    assert refused[0].headers["retry-after"] == "1"


async def test_plain_http_is_not_spoken(gate: Gateway) -> None:
    async with httpx.AsyncClient() as plain:
        answer = await plain.get(gate.url.replace("https", "http") + "/v1/orders")
    assert_own_refusal(answer, 400, "bad-request")


async def test_a_command_whose_answer_is_lost_is_not_sent_again(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """Not even on a kept connection, whose end says least about what became of it."""
    await client.get("/v1/orders")
    upstream.dies = True
    answer = await client.post("/v1/orders", json={"currency": "EUR"})

    assert_own_refusal(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    sent = [line for line, _ in upstream.heard]
    assert sent == ["GET /v1/orders HTTP/1.1", "POST /v1/orders HTTP/1.1"]


async def test_refusals_of_the_service_pass_as_they_are(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.status = b"503 Service Unavailable"
    answer = await client.get("/v1/orders")
    assert (answer.status_code, answer.json()) == (503, {})
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_a_colour_that_is_not_ready_does_not_go_live(
    gate: Gateway, client: httpx.AsyncClient, upstream: Upstream
) -> None:
    upstream.status = b"503 Service Unavailable"
    refused = await asyncio.to_thread(gate.switch, "green")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "green is not ready" in refused.stderr
    assert (await asyncio.to_thread(gate.switch, "purple")).returncode == 2
    assert (await client.get("/livez")).json()["live"] == "blue"

    name = (await client.get("/v1/orders")).headers["x-request-id"]
    # nginx writes its line after the answer.
    (line,) = await asyncio.to_thread(eventually, lambda: gate.logged(name))
    assert line["upstream"] == upstream.address


async def test_a_switch_that_the_gateway_does_not_see_is_undone(
    gate: Gateway, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    gate.environ["GATEWAY_SWITCH"] = str(tmp_path / "elsewhere")

    refused = await asyncio.to_thread(gate.switch, "green")

    assert refused.returncode == 1
    assert "blue stays live" in refused.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (await client.get("/livez")).json()["live"] == "blue"


def test_switching_there_and_back_under_load_breaks_nothing(tmp_path: Path) -> None:
    outcome = there_and_back(tmp_path, requests=1_200, switches=4)

    assert outcome.failed == 0, (outcome.statuses, outcome.dropped)
    assert outcome.sent == 1_200
    assert min(outcome.by_upstream.values()) > 100
    assert outcome.connections <= CONNECTIONS, "kept connections were lost"
