"""Every answer carries the header set, whoever made it; foreign pages read only if listed."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from litestar import Litestar, Response, get, patch, post
from litestar.params import FromPath, JSONBody
from litestar.testing import TestClient

from orders.entrypoints.http.middleware.response_headers import ResponseHeaders
from orders.entrypoints.http.middleware.strict_requests import StrictRequests
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS
from tests.support.served_api import Line, served

ALWAYS = {
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "content-security-policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "cache-control": "no-store, no-transform",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
SHOP = "https://shop.example"


@get("/things/{thing_id:uuid}")
async def read(thing_id: FromPath[UUID]) -> str:
    return "thing"


@patch("/things/{other_id:uuid}")
async def change(other_id: FromPath[UUID]) -> None: ...


@post("/things")
async def place(data: JSONBody[dict[str, int]]) -> dict[str, int]:
    return data


@get("/boom")
async def boom() -> None:
    raise RuntimeError


@get("/page")
async def page() -> Response[str]:
    return Response(
        "x", headers={"Content-Security-Policy": "default-src 'self'", "Vary": "Accept"}
    )


def create_app(*cors_origins: str) -> Litestar:
    return Litestar(
        [read, change, place, boom, page],
        plugins=[StrictRequests(body_timeout_seconds=0.5)],
        request_max_body_size=1000,
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[ResponseHeaders(cors_origins=cors_origins)],
        openapi_config=None,
        logging_config=None,
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def open_client() -> Iterator[TestClient[Litestar]]:
    with TestClient(create_app(SHOP, "https://desk.example")) as client:
        yield client


A_THING = f"/things/{UUID(int=1)}"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", A_THING, None, 200),
        ("POST", "/things", b"{}", 201),
        ("OPTIONS", A_THING, None, 204),
        ("POST", "/things", b"{", 400),
        ("POST", "/things", b'{"a":"b"}', 422),
        ("POST", "/things", b"x" * 1001, 413),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/boom", None, 405),
        ("GET", "/boom", None, 500),
    ],
)
def test_every_answer_has_the_header_set(
    client: TestClient[Litestar], method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {"content-type": "application/json", "origin": SHOP}
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert not {"server", "x-powered-by", "vary"} & set(answer.headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_handlers_own_policy_wins(client: TestClient[Litestar]) -> None:
    policies = client.get("/page").headers.get_list("content-security-policy")
    assert policies == ["default-src 'self'"]


def test_options_names_every_method_of_the_path(client: TestClient[Litestar]) -> None:
    assert client.options(A_THING).headers.get_list("allow") == ["GET, OPTIONS, PATCH"]


def test_a_listed_origin_may_read_every_answer(open_client: TestClient[Litestar]) -> None:
    for path in (A_THING, "/nowhere", "/page"):
        answer = open_client.get(path, headers={"origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "idempotency-replayed" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers.get_list("vary")


@pytest.mark.parametrize(
    "origin",
    [None, "null", "*", "https://shop.example.evil", "http://shop.example", SHOP + ":444", ""],
)
def test_no_other_origin_may(open_client: TestClient[Litestar], origin: str | None) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"access-control-request-method": "PATCH"}
        answer = open_client.request(
            method, A_THING, headers=headers if origin is None else {**headers, "origin": origin}
        )
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["vary"] == "Origin"


def test_a_preflight_names_methods_and_headers(open_client: TestClient[Litestar]) -> None:
    answer = open_client.options(
        A_THING, headers={"origin": SHOP, "access-control-request-method": "PATCH"}
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "GET, OPTIONS, PATCH"
    assert "idempotency-key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "600"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A real server of the application."""
    with served(create_app(SHOP)) as port:
        yield port


HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"

RAW: dict[str, tuple[bytes, int]] = {
    "read": (b"GET %s HTTP/1.1\r\n%s\r\n" % (A_THING.encode(), HOST), 200),
    "unknown": (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "not allowed": (b"TRACE /things HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "unknown method": (b"BREW /things HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "failing": (b"GET /boom HTTP/1.1\r\n" + HOST + b"\r\n", 500),
    "too large, none of it sent": (
        b"POST /things HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 1001\r\n\r\n",
        413,
    ),
    "too large in chunks": (
        b"POST /things HTTP/1.1\r\n"
        + HOST
        + JSON
        + b"Transfer-Encoding: chunked\r\n\r\n3E9\r\n"
        + b"x" * 1001
        + b"\r\n",
        413,
    ),
    "slow body": (
        b"POST /things HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 10\r\n\r\n{",
        408,
    ),
}


@pytest.mark.parametrize(("request_bytes", "status"), RAW.values(), ids=RAW)
def test_a_real_server_sends_the_header_set_too(
    port: int, request_bytes: bytes, status: int
) -> None:
    with Line(port) as line:
        line.say(request_bytes)
        answered, headers, body = line.hear()
    assert answered == status, body
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS
    assert not any(character.isdigit() for character in headers.get("server", ""))
    if status >= 400:
        assert headers["content-type"] == "application/problem+json"
