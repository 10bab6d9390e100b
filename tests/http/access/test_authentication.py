"""Who gets past the door: exactly one valid bearer token, in the header, on every private path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar, Request, get, post
from litestar.params import FromPath
from litestar.testing import TestClient

from orders.application.access import Caller
from orders.application.errors import InvalidToken, KeysUnavailable
from orders.entrypoints.http.middleware.authentication import Authentication
from orders.entrypoints.http.problems import EXCEPTION_HANDLERS

ANNA = Caller(subject="anna", tenant="shop", roles=frozenset({"customer"}), scopes=None)


class OneToken:
    """A verifier that knows one token, and can be without keys."""

    def __init__(self) -> None:
        self.has_keys = True

    async def verify(self, token: str) -> Caller:
        if not self.has_keys:
            raise KeysUnavailable
        if token != "good.to.ken":
            raise InvalidToken("its signature is wrong")
        return ANNA


@get("/orders")
async def orders(request: Request[Any, Any, Any]) -> str:
    assert request.scope["auth"] == "Bearer"
    subject: str = request.user.subject
    return subject


@get("/orders/{order_id:uuid}")
async def order(order_id: FromPath[UUID]) -> str:
    return "an order"


@post("/payment-events")
async def webhook() -> str:
    return "stored"


@get("/livez/{probe:str}")
async def live(probe: FromPath[str]) -> str:
    return "live"


verifier = OneToken()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        [orders, order, webhook, live],
        middleware=[
            Authentication(
                verifier, public_paths={"/payment-events", "/livez/{probe:str}"}, max_token_bytes=40
            )
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_valid_token_names_the_caller(client: TestClient[Litestar], scheme: str) -> None:
    answer = client.get("/orders", headers={"authorization": f"{scheme} good.to.ken"})
    assert (answer.status_code, answer.text) == (200, "anna")


REFUSED: dict[str, list[tuple[str, str]]] = {
    "another token": [("authorization", "Bearer bad.to.ken")],
    "no token": [("authorization", "Bearer")],
    "an empty token": [("authorization", "Bearer ")],
    "another scheme": [("authorization", "Basic good.to.ken")],
    "no scheme": [("authorization", "good.to.ken")],
    "two tokens": [("authorization", "Bearer good.to.ken good.to.ken")],
    "a parameter": [("authorization", "Bearer good.to.ken, x=1")],
    "too long": [("authorization", "Bearer " + "x" * 41)],
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(
    client: TestClient[Litestar], headers: list[tuple[str, str]]
) -> None:
    answer = client.get("/orders", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert "to.ken" not in answer.text


async def test_two_headers_are_refused_though_both_are_valid(
    client: TestClient[Litestar],
) -> None:
    # The test client would join the two into one.
    header = (b"authorization", b"Bearer good.to.ken")
    for headers, status in (([header], 200), ([header, header], 401)):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope: Any = {"type": "http", "method": "GET", "path": "/orders", "query_string": b""}
        await client.app({**scope, "headers": headers}, receive, send)
        assert sent[0]["status"] == status


def test_a_token_counts_in_the_header_only(client: TestClient[Litestar]) -> None:
    client.cookies.set("access_token", "good.to.ken")
    answer = client.get("/orders?access_token=good.to.ken")
    client.cookies.clear()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/orders/", "//orders", "/%6Frders", f"/orders/{UUID(int=1)}"])
def test_no_spelling_of_a_private_path_is_public(client: TestClient[Litestar], path: str) -> None:
    assert client.get(f"http://testserver.local{path}").status_code == 401


def test_public_paths_need_no_token(client: TestClient[Litestar]) -> None:
    assert client.post("/payment-events").text == "stored"
    assert client.get("/livez/x").text == "live"
    assert client.options("/orders").status_code == 204
    assert client.get("/nowhere").status_code == 404


def test_without_keys_nobody_is_judged(client: TestClient[Litestar]) -> None:
    verifier.has_keys = False
    try:
        answer = client.get("/orders", headers={"authorization": "Bearer good.to.ken"})
    finally:
        verifier.has_keys = True
    assert (answer.status_code, answer.json()["code"]) == (503, "keys-unavailable")
    assert int(answer.headers["retry-after"]) > 0
