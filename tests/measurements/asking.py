"""One request to an application in this process, as a server would hand it over."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from litestar import Litestar

Headers = list[tuple[bytes, bytes]]


async def ask(app: Litestar, method: str, path: str, headers: Headers, body: bytes = b"") -> None:
    """Send a request and check that it succeeds."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "headers": [(b"host", b"orders.test"), *headers],
        "client": ("127.0.0.1", 1), "server": ("orders.test", 80), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] in {200, 201}, message

    await app(scope, receive, send)  # type: ignore[arg-type]


async def cpu_of(
    app: Litestar, method: str, path: str, each: Iterable[Headers], body: bytes = b""
) -> float:
    """Microseconds of CPU of one request, over as many as there are headers."""
    asked = [*each]
    began = time.process_time_ns()
    for headers in asked:
        await ask(app, method, path, headers, body)
    return (time.process_time_ns() - began) / len(asked) / 1_000
