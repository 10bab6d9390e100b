"""The service as a later version may answer: every object has a member more than is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.served_api import served

ADDED: Final = {"added_later": {"since": "a later version", "amounts": [9_007_199_254_740_991]}}
_OF_THE_CONNECTION: Final = {
    "connection", "content-length", "host", "http2-settings", "keep-alive", "transfer-encoding",
    "upgrade",
}  # fmt: skip


@contextmanager
def newer_service(url: str) -> Iterator[str]:
    """The address of a proxy before the service at `url`, up until the block is left."""

    async def forward(request: Request) -> Response:
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            answer = await client.request(
                request.method,
                f"{request.url.path}?{request.url.query}".removesuffix("?"),
                headers=_end_to_end(request.headers.items()),
                content=await request.body(),
            )
        return Response(_newer(answer), answer.status_code, _end_to_end(answer.headers.items()))

    methods = ["GET", "POST", "PATCH"]
    with served(Starlette(routes=[Route("/{path:path}", forward, methods=methods)])) as port:
        yield f"http://127.0.0.1:{port}"


def _end_to_end(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _OF_THE_CONNECTION}


def _newer(answer: httpx.Response) -> bytes:
    if not answer.content:
        return b""
    return json.dumps(_with_more(answer.json())).encode()


def _with_more(value: Any) -> Any:
    """An answer with a member more in each object, but not in maps that callers fill."""
    if isinstance(value, list):
        return [_with_more(each) for each in value]
    if not isinstance(value, dict):
        return value
    more = {name: each if name == "metadata" else _with_more(each) for name, each in value.items()}
    return more | ADDED
