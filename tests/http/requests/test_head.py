"""HEAD is answered wherever GET is: the same head, and nothing behind it (RFC 9110, 9.3.2)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from litestar.routes import HTTPRoute

from orders.entrypoints.observability.metrics_server import metrics_of_this_process
from tests.support.api import Api, Front, assert_problem
from tests.support.observed_api import an_app
from tests.support.served_api import Line, served
from tests.support.shop import Shop

CHANGING = {"date", "ratelimit"}
"""Headers that differ between two responses to the same request."""


def test_every_route_that_reads_takes_both(front: Front) -> None:
    routes = [route for route in front.app.routes if isinstance(route, HTTPRoute)]
    reading = [route for route in routes if "GET" in route.route_handler_map]

    assert len(reading) > 15
    assert [route for route in routes if "HEAD" in route.route_handler_map] == reading


async def test_allow_names_it(api: Api) -> None:
    order = await api.placed()

    refused = await api.call("DELETE", f"/orders/{order['id']}")
    offered = await api.call("OPTIONS", f"/orders/{order['id']}")

    assert_problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == offered.headers["allow"] == "GET, HEAD, OPTIONS, PATCH"


async def test_it_is_refused_as_get_is(api: Api) -> None:
    order = await api.placed(who="ada")

    for who, path, status in (
        (None, f"/orders/{order['id']}", 401),
        ("bob", f"/orders/{order['id']}", 404),
        ("ada", "/orders?colour=red", 400),
    ):
        assert (await api.call("HEAD", path, who=who)).status_code == status


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = an_app(Shop())
    with served(app, app.state.overload) as port:
        yield port


Heard = tuple[int, dict[str, str], bytes]


def ask(line: Line, method: str, path: str, fields: str = "", body: str = "") -> Heard:
    """Send one request. An answer to HEAD is read without a body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer root\r\n{fields}\r\n"
    line.say((head + body).encode())
    return line.hear(has_body=method != "HEAD")


@pytest.fixture(scope="module")
def order(port: int) -> str:
    body = json.dumps({"currency": "EUR", "lines": [{"sku": "PEN", "name": "Pen", "quantity": 1}]})
    fields = {"Content-Type": "application/json", "Content-Length": len(body), "Idempotency-Key": 1}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with Line(port) as line:
        status, _, answer = ask(line, "POST", "/v1/orders", lines, body)
    assert status == 201, answer
    return str(json.loads(answer)["id"])


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/livez", ""),
        ("/readyz", ""),
        ("/schema/openapi.json", ""),
        ("/schema/openapi-3.0.json", ""),
        ("/schema/docs", ""),
        ("/v1/orders", ""),
        ("/v1/orders/ID", ""),
        ("/v1/orders/ID", "If-None-Match: *\r\n"),
        ("/v1/orders/ID/actions", ""),
        ("/v1/orders/ID/events", ""),
        ("/v1/events", ""),
        ("/v1/nothing", ""),
        ("/v1/orders?colour=red", ""),
    ],
)
def test_it_has_the_head_of_get_and_no_body(port: int, order: str, path: str, fields: str) -> None:
    path = path.replace("ID", order)
    with Line(port) as line:
        status, headers, body = ask(line, "GET", path, fields)
        answers = [ask(line, "HEAD", path, fields) for _ in range(2)]
        # What was sent behind a head would be read as the start of this answer.
        assert ask(line, "GET", "/livez")[0] == 200

    for head_status, head_headers, _ in answers:
        assert head_status == status
        assert without_changing(head_headers) == without_changing(headers)
    if status != 304:
        assert int(headers["content-length"]) == len(body) > 0


def without_changing(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in CHANGING}


def test_metrics_have_it_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with metrics_of_this_process("127.0.0.1", port):
        for path in ("/metrics", "/favicon.ico"):
            answers = {method: asked_alone(port, method, path) for method in ("GET", "HEAD")}
            assert answers["HEAD"][1] == b""
            assert len(answers["GET"][1]) == int(answers["GET"][0]["content-length"])
            assert {*answers["HEAD"][0]} == {*answers["GET"][0]}
        for method in ("OPTIONS", "POST"):
            assert asked_alone(port, method, "/metrics")[0]["allow"] == "GET, HEAD, OPTIONS"


def asked_alone(port: int, method: str, path: str) -> tuple[dict[str, str], bytes]:
    with Line(port) as line:
        line.say(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = line.read().partition(b"\r\n\r\n")
    fields = [field.partition(": ") for field in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, _, value in fields}, body
