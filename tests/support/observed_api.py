"""The API with its limits and logs, as a test wants them: an application of its own each time."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from litestar import Litestar

from orders.application.ports import RateLimiter
from orders.entrypoints.http.app import create_app
from orders.entrypoints.observability import json_logging as logs
from orders.entrypoints.server.application import extra_routes
from tests.support.api import a_body
from tests.support.shop import Shop, some_settings

JsonLine = dict[str, Any]

_SWITCHES = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")


def an_app(
    shop: Shop,
    limiter: RateLimiter | None = None,
    *,
    tokens: Any = None,
    is_draining: Any = lambda: False,
    **settings: Any,
) -> Litestar:
    """The application over a shop in memory. Without a limiter, rates are free."""
    # A limiter that counts nothing yet is empty, and so false.
    free = {"rate_per_second": 0, "auth_failures_per_second": 0} if limiter is None else {}
    shop.container.settings.override(some_settings(**free | settings))
    if limiter is not None:
        shop.container.limiter.override(limiter)
    if tokens is not None:
        shop.container.tokens.override(tokens)
    return create_app(shop.container, is_draining=is_draining, extra_routes=extra_routes)


class Recorded(logging.Handler):
    """What the audit trail was told."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append({**vars(record), "event": record.getMessage()})


class Caller:
    """Sends requests as one person from one address; without `who`, without a token."""

    def __init__(
        self, app: Litestar, who: str | None = "ada", *, address: str = "192.0.2.1"
    ) -> None:
        transport = httpx.ASGITransport(app=app, client=(address, 1234))  # type: ignore[arg-type]
        headers = {} if who is None else {"authorization": f"Bearer {who}"}
        self.client = httpx.AsyncClient(
            transport=transport, base_url="http://orders.test/v1", headers=headers
        )

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Read something."""
        return await self.client.get(path, **options)

    async def post(self, path: str, body: Any = None, *, key: str = "k", **options: Any) -> Any:
        """Send a command."""
        headers = {"idempotency-key": key, **options.pop("headers", {})}
        return await self.client.post(path, json=body, headers=headers, **options)

    async def place(self, key: str = "k", **changes: Any) -> httpx.Response:
        """Place an order."""
        answer: httpx.Response = await self.post("/orders", a_body(**changes), key=key)
        return answer


class Lines:
    """What was logged, as a reader of the stream sees it."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """The stream as it is."""
        return self.stream.getvalue()

    def of(self, logger: str) -> list[JsonLine]:
        """The lines of one logger; every line of the stream must be JSON."""
        lines = [json.loads(line) for line in self.text.splitlines()]
        return [line for line in lines if line["logger"] == logger]


@contextmanager
def logged(level: str = "info") -> Iterator[Lines]:
    """Everything that is logged meanwhile, by the configuration of the service."""
    root, ours, trail = (logging.getLogger(name) for name in (None, "orders", "audit"))
    before = root.handlers[:], [each.level for each in (root, ours, trail)]
    switches = {name: getattr(logging, name) for name in _SWITCHES}
    lines = Lines()
    logs.configure(level, lines.stream)
    try:
        yield lines
    finally:
        root.handlers[:] = before[0]
        for logger, kept in zip((root, ours, trail), before[1], strict=True):
            logger.setLevel(kept)
        for name, switch in switches.items():
            setattr(logging, name, switch)
        logging.captureWarnings(capture=False)
