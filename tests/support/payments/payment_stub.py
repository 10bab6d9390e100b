"""A payment service that does what a test tells it, on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

Step = Callable[["StubPaymentService", web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


@dataclass
class StubPaymentService:
    """Plays one step per request; the last one for all further requests."""

    steps: list[Step]
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away before it was answered."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen = Seen(request.method, request.raw_path, dict(request.headers), body)
        step = self.steps[min(len(self.seen), len(self.steps) - 1)]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self.arrived:
            self.seen.append(seen)
            self.arrived.notify_all()
        try:
            return await step(self, request)
        except asyncio.CancelledError:
            self.left.set()
            raise
        finally:
            self.in_flight -= 1

    async def has_seen(self, count: int) -> None:
        """Wait until so many requests have come in all."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.seen) >= count)


def payment(**changes: object) -> dict[str, object]:
    """A payment as the contract has it."""
    return {
        "id": "pay_1",
        "reference": "order:1",
        "status": "captured",
        "amount": 1999,
        "currency": "EUR",
        "captured": 1999,
        "refunded": 0,
        "decline_code": None,
    } | changes


def answers(status: int, body: object = None, **headers: str) -> Step:
    """Answer; `body` is JSON, or bytes as they are. `Retry_After` becomes `Retry-After`."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    async def step(_stub: StubPaymentService, _request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, body=content, headers={"Content-Type": "application/json"} | fields
        )

    return step


def books(**changes: object) -> Step:
    """Answer with a payment."""
    return answers(201, payment(**changes))


async def hangs(stub: StubPaymentService, _request: web.Request) -> web.StreamResponse:
    """Never answer, until released."""
    await stub.released.wait()
    return web.json_response(payment(), status=201)


async def hangs_up(_stub: StubPaymentService, request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_off(_stub: StubPaymentService, request: web.Request) -> web.StreamResponse:
    """Close the connection in the middle of the body."""
    response = web.StreamResponse(status=201, headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(b'{"id":"pay_1"')
    assert request.transport is not None
    request.transport.close()
    return response


@asynccontextmanager
async def running(
    *steps: Step, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[StubPaymentService]:
    """Start a stub on a free port of the loopback and stop it in the end."""
    stub = StubPaymentService(list(steps))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    scheme = "http" if tls is None else "https"
    named = f"[{host}]" if ":" in host else host
    stub.url = f"{scheme}://{named}:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        stub.released.set()
        await runner.cleanup()
