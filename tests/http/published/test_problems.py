"""Every answer that is not a success is one problem, and says nothing it should not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import pytest
from litestar import Litestar, Request, get, patch, post
from litestar.exceptions import InternalServerException, NotFoundException
from litestar.middleware import ASGIMiddleware
from litestar.params import FromPath, FromQuery, HeaderParameter
from litestar.testing import TestClient
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.entrypoints.http.problems import (
    EXCEPTION_HANDLERS,
    InvalidMember,
    RequestRefused,
    problem,
    set_trace_id,
)

SECRET = "mongodb://root:hunter2@10.0.0.7"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Kind(StrEnum):
    NEW = "new"


class OutOfStock(Exception):
    pass


@get("/boom")
async def boom() -> None:
    raise RuntimeError(SECRET)


@get("/refused-by-framework")
async def refused_by_framework() -> None:
    raise InternalServerException(SECRET)


@get("/traced-boom")
async def traced_boom(request: Request[Any, Any, Any]) -> None:
    set_trace_id(request.scope, TRACE_ID)
    raise RuntimeError(SECRET)


@get("/things/{thing_id:uuid}")
async def read(thing_id: FromPath[UUID]) -> str:
    raise NotFoundException(SECRET)


@patch("/things/{other_id:uuid}")
async def change(other_id: FromPath[UUID]) -> None: ...


@post("/things")
async def place(
    key: Annotated[str, HeaderParameter(name="Idempotency-Key", max_length=5)],
    kind: FromQuery[Kind] = Kind.NEW,
) -> None:
    raise OutOfStock


@get("/edge")
async def edge() -> None:
    raise RequestRefused(
        HTTPStatus.PRECONDITION_REQUIRED,
        "precondition-required",
        "Send If-Match.",
        errors=[InvalidMember("is required", parameter="If-Match")],
        headers={"x-told": "yes"},
    )


def on_out_of_stock(request: Request[Any, Any, Any], error: OutOfStock) -> Any:
    return problem(
        request,
        status=409,
        code="out-of-stock",
        detail="Nothing left.",
        blocked_by=("on-hold", "out-of-stock"),
    )


class Broken(ASGIMiddleware):
    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if (b"x-break", b"1") in scope["headers"]:
            raise ValueError(SECRET)
        await next_app(scope, receive, send)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Litestar]]:
    app = Litestar(
        [boom, traced_boom, refused_by_framework, read, change, place, edge],
        exception_handlers={**EXCEPTION_HANDLERS, OutOfStock: on_out_of_stock},
        middleware=[Broken()],
        openapi_config=None,
        logging_config=None,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/things/not-a-uuid", 404, "not-found"),
        ("GET", f"/things/{UUID(int=1)}", 404, "not-found"),
        ("DELETE", "/boom", 405, "method-not-allowed"),
        ("BREW", "/boom", 405, "method-not-allowed"),
        ("GET", "/boom", 500, "internal-error"),
        ("GET", "/refused-by-framework", 500, "internal-error"),
        ("GET", "/edge", 428, "precondition-required"),
        ("POST", "/things", 400, "invalid-request"),
    ],
)
def test_every_refusal_is_one_problem(
    client: TestClient[Litestar], method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["type"], body["code"]) == (f"/problems/{code}", code)
    assert body["title"] == code.replace("-", " ").capitalize()
    assert len(bytes.fromhex(body["trace_id"])) == 16
    assert SECRET not in answer.text
    assert "status_code" not in body


def test_a_host_that_is_none_is_a_problem(client: TestClient[Litestar]) -> None:
    answer = client.get("/edge", headers={"host": "a b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_not_allowed_names_every_method_of_the_path(client: TestClient[Litestar]) -> None:
    answer = client.delete(f"/things/{UUID(int=1)}")
    assert answer.headers["allow"] == "GET, OPTIONS, PATCH"


def test_an_unexpected_error_is_logged_once_under_the_trace_id_it_answers(
    client: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answer = client.get("/traced-boom")
    assert answer.json()["trace_id"] == TRACE_ID
    [record] = caplog.records
    assert record.__dict__["trace_id"] == TRACE_ID
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == SECRET


def test_an_error_in_a_middleware_is_a_problem_too(client: TestClient[Litestar]) -> None:
    answer = client.get("/edge", headers={"x-break": "1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert SECRET not in answer.text


def test_a_refusal_keeps_its_headers_and_what_to_correct(client: TestClient[Litestar]) -> None:
    answer = client.get("/edge")
    assert answer.headers["x-told"] == "yes"
    assert answer.json()["errors"] == [{"detail": "is required", "parameter": "If-Match"}]


def test_a_mapped_refusal_names_its_guards(client: TestClient[Litestar]) -> None:
    answer = client.post("/things", headers={"idempotency-key": "k"})
    assert answer.status_code == 409
    assert answer.json()["blocked_by"] == ["on-hold", "out-of-stock"]


def test_names_the_missing_header_and_nothing_of_the_query(client: TestClient[Litestar]) -> None:
    answer = client.post("/things?kind=hunter2")
    assert answer.json()["errors"] == [
        {
            "detail": "the header parameter Idempotency-Key is required",
            "parameter": "Idempotency-Key",
        }
    ]
    assert "hunter2" not in answer.text


def test_does_not_repeat_a_wrong_value(client: TestClient[Litestar]) -> None:
    answer = client.post("/things?kind=hunter2", headers={"idempotency-key": "k"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"detail": "kind: not one of the allowed values", "parameter": "kind"}
    ]
    assert "hunter2" not in answer.text


def test_names_a_wrong_parameter_as_the_caller_knows_it(client: TestClient[Litestar]) -> None:
    answer = client.post("/things", headers={"idempotency-key": "too-long"})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["parameter"] == "Idempotency-Key"
    assert "too-long" not in answer.text
