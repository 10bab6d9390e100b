"""What guarding a request costs, in CPU: python -m tests.measurements.guarding

The same handlers over the same shop in memory, in this process, by turns: as the service runs
(tokens that were verified before, rate limits, turns, the deadline, headers, strict decoding, the
audit record, the line in the log, metrics, a trace that is decided against), and with none of it.
Medians of pairs over many turns, in microseconds a request. All of it may take 200.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from unittest import mock

import jwt
import msgspec
from litestar import Litestar, Router
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry.sdk.trace import SpanProcessor

from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.jwt.verifier import JwtVerifier
from orders.application.access import Caller
from orders.entrypoints.http.app import USE_CASES, provided
from orders.entrypoints.http.pagination import Pagination
from orders.entrypoints.http.preconditions import CommandRequestReader
from orders.entrypoints.http.routes.orders import order_handlers
from orders.entrypoints.observability import json_logging as logs
from orders.entrypoints.observability import spans as telemetry
from orders.entrypoints.observability.span_exporter import provider_of
from tests.measurements.asking import Headers, cpu_of
from tests.support.api import a_body, a_line
from tests.support.observed_api import an_app
from tests.support.shop import Shop

TURNS = 200
REQUESTS = 20
LINES = 12
"""Of a real order in the middle."""
_SECRET = "for tokens that nobody else takes, ever"
_CALLER = Caller(
    subject="ada",
    tenant="shop",
    roles=frozenset({"customer"}),
    scopes=frozenset({"orders:read", "orders:write"}),
)


class _AsAda(ASGIMiddleware):
    """Everybody is ada."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Say so."""
        scope["user"] = _CALLER
        await next_app(scope, receive, send)


def main() -> None:
    """Measure and tell."""
    provider = provider_of(SpanProcessor(), ratio=0)
    with (
        Path(os.devnull).open("w") as nowhere,
        mock.patch.object(telemetry, "_TRACER", provider.get_tracer("orders")),
    ):
        logs.configure("info", nowhere)
        sys.stdout.writelines(asyncio.run(_compare()))


async def _compare() -> list[str]:
    shop = Shop()
    order = (await shop.place()).order
    apps = {"guarded": _guarded(shop), "bare": _bare(shop)}
    body = msgspec.json.encode(a_body(lines=[a_line()] * LINES))
    jobs = {
        "read one": ("GET", f"/v1/orders/{order.id}", b""),
        f"place {LINES} lines": ("POST", "/v1/orders", body),
        "the same again, from memory": ("POST", "/v1/orders", body),
    }
    lines = []
    for name, (method, path, content) in jobs.items():
        keys = count() if "again" not in name else repeat(0)
        found: dict[str, list[float]] = {kind: [] for kind in apps}
        for turn in range(TURNS + 10):
            for kind, app in apps.items():
                cost = await cpu_of(app, method, path, _headers(name, keys), content)
                if turn >= 10:
                    found[kind].append(cost)
        pairs = zip(found["guarded"], found["bare"], strict=True)
        more = statistics.median(guarded - bare for guarded, bare in pairs)
        told = "  ".join(f"{kind} {statistics.median(found[kind]):6.1f}" for kind in apps)
        lines.append(f"{name:28} {told}  more {more:+6.1f}\n")
    return lines


def _headers(name: str, keys: Iterator[int]) -> Iterator[Headers]:
    for _ in range(REQUESTS):
        key = f"{name}-{next(keys)}".replace(" ", "-").encode()
        yield [
            (b"authorization", b"Bearer " + _TOKEN),
            (b"content-type", b"application/json"),
            (b"idempotency-key", key),
        ]


def _guarded(shop: Shop) -> Litestar:
    rules = TokenRules(issuer="issuer", audiences=frozenset({"orders"}))
    return an_app(
        shop,
        InMemoryRateLimiter(),
        tokens=JwtVerifier(SharedSecret(_SECRET.encode()), rules),
        rate_per_second=100_000,
        rate_burst=100_000,
    )


def _bare(shop: Shop) -> Litestar:
    handlers = order_handlers(
        CommandRequestReader(max_key_length=255), Pagination(b"", max_page=100)
    )
    return Litestar(
        route_handlers=[Router("/v1", route_handlers=handlers)],
        dependencies={name: provided(getattr(shop.container, name)) for name in USE_CASES},
        middleware=[_AsAda()],
        openapi_config=None,
        logging_config=None,
    )


_TOKEN = jwt.encode(
    {
        "iss": "issuer",
        "aud": "orders",
        "sub": _CALLER.subject,
        "tenant": _CALLER.tenant,
        "roles": sorted(_CALLER.roles),
        "scope": "orders:read orders:write",
        "iat": int(time.time()),
        "exp": int(time.time()) + 3_600,
    },
    _SECRET,
    headers={"typ": "at+jwt"},
).encode()

if __name__ == "__main__":
    main()
