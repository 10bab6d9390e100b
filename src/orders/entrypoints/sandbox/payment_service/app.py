"""A payment service for development and tests; its contract is published in `infra/contracts/`.

Its money is not real, but it is never lost: what it answered survives a kill. Beyond the
contract it offers `GET /ledger` (every movement, totals, calls per key),
`POST /sandbox/payments/{id}/charge-back` (the payer's bank takes the money back) and
`POST /sandbox/payments/{id}/disputes` (the same for a part: `{amount, status, id}`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from orders.entrypoints.sandbox.payment_service.account import (
    Authorization,
    DisputeBody,
    Movement,
    Void,
)
from orders.entrypoints.sandbox.payment_service.ledger import PaymentLedger, Reply
from orders.entrypoints.sandbox.payment_service.scenarios import Pace, ResponseDelay
from orders.entrypoints.sandbox.payment_service.webhook_sender import WebhookSender

_WEBHOOK_BATCH = 16
_IDLE_SECONDS = 60.0

T = TypeVar("T")
Body = TypeVar("Body", bound=msgspec.Struct)


def create_app(
    *,
    data_dir: Path,
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
    credential: str | None = None,
    pace: Pace | None = None,
) -> web.Application:
    """Make the service on what `data_dir` holds; nothing is opened before it starts.

    With a `webhook_url`, signs with `webhook_secret` (`whsec_…`) and tells every change there.
    With a `credential`, refuses requests to `/v1` that do not bear it.

    Raises:
        ValueError: If there is a `webhook_url` without a good secret.
    """
    sender = None if webhook_url is None else WebhookSender(webhook_url, webhook_secret or "")
    service = _Service(data_dir, pace or Pace(), sender)
    app = web.Application(middlewares=[_credential_check(credential)])
    app.add_routes(
        [
            web.post("/v1/payments", service.authorize),
            web.get("/v1/payments", service.find, allow_head=False),
            web.get("/v1/payments/{id}", service.read, allow_head=False),
            web.post("/v1/payments/{id}/captures", service.capture),
            web.post("/v1/payments/{id}/voids", service.void),
            web.post("/v1/payments/{id}/refunds", service.refund),
            web.post("/sandbox/payments/{id}/charge-back", service.charge_back),
            web.post("/sandbox/payments/{id}/disputes", service.dispute),
            web.get("/ledger", service.ledger, allow_head=False),
        ]
    )
    app.cleanup_ctx.append(service.running)
    app.on_shutdown.append(service.shut_down)
    return app


class _Service:
    """The routes, and the one thread in which the ledger is used."""

    def __init__(self, directory: Path, pace: Pace, sender: WebhookSender | None) -> None:
        self._directory = directory
        self._pace = pace
        self._sender = sender
        self._thread = ThreadPoolExecutor(1, "payment-ledger")
        self._busy: set[str] = set()
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Hold the ledger open, settle pending payments and send webhooks."""
        sends_webhooks = self._sender is not None
        self._ledger = await self._in_thread(
            lambda: PaymentLedger(self._directory, pace=self._pace, sends_webhooks=sends_webhooks)
        )
        if self._sender is not None:
            await self._sender.open()
        work = asyncio.create_task(self._work())
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        if self._sender is not None:
            await self._sender.close()
        await self._in_thread(self._ledger.close)
        self._thread.shutdown()

    async def shut_down(self, _app: web.Application) -> None:
        """End the delays of the responses that wait."""
        self._closing.set()

    async def authorize(self, request: web.Request) -> web.Response:
        """POST /v1/payments."""
        body = await _body(request, Authorization)
        trace = request.headers.get("traceparent")
        return await self._record(
            request, lambda key: self._ledger.authorize(key, body, traceparent=trace)
        )

    async def capture(self, request: web.Request) -> web.Response:
        """POST /v1/payments/{id}/captures."""
        body, account = await _body(request, Movement), request.match_info["id"]
        return await self._record(request, lambda key: self._ledger.capture(key, account, body))

    async def void(self, request: web.Request) -> web.Response:
        """POST /v1/payments/{id}/voids."""
        body, account = await _body(request, Void), request.match_info["id"]
        return await self._record(request, lambda key: self._ledger.void(key, account, body))

    async def refund(self, request: web.Request) -> web.Response:
        """POST /v1/payments/{id}/refunds."""
        body, account = await _body(request, Movement), request.match_info["id"]
        return await self._record(request, lambda key: self._ledger.refund(key, account, body))

    async def charge_back(self, request: web.Request) -> web.Response:
        """POST /sandbox/payments/{id}/charge-back."""
        account = request.match_info["id"]
        reply = await self._in_thread(lambda: self._ledger.charge_back(account))
        self._changed.set()
        return _response(reply)

    async def dispute(self, request: web.Request) -> web.Response:
        """POST /sandbox/payments/{id}/disputes."""
        body, account = await _body(request, DisputeBody), request.match_info["id"]
        reply = await self._in_thread(lambda: self._ledger.dispute(account, body))
        self._changed.set()
        return _response(reply)

    async def read(self, request: web.Request) -> web.Response:
        """GET /v1/payments/{id}."""
        account = request.match_info["id"]
        return _response(await self._in_thread(lambda: self._ledger.read(account)))

    async def find(self, request: web.Request) -> web.Response:
        """GET /v1/payments?reference=R."""
        reference = request.query.get("reference", "")
        if not 0 < len(reference) <= 255:
            return _problem(400, "reference_missing")
        return _response(await self._in_thread(lambda: self._ledger.find(reference)))

    async def ledger(self, _request: web.Request) -> web.Response:
        """GET /ledger."""
        body = await self._in_thread(lambda: msgspec.json.encode(self._ledger.ledger()))
        return web.Response(body=body, content_type="application/json")

    async def _record(self, request: web.Request, record: Callable[[str], Reply]) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if not (0 < len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key):
            return _problem(400, "idempotency_key_missing")
        if key in self._busy:
            return _problem(409, "in_progress", headers={"Retry-After": "1"})
        reply = await self._in_thread(lambda: record(key))
        self._changed.set()
        if reply.delay is ResponseDelay.SLOW:
            self._busy.add(key)
            await self._wait(self._pace.slow)
            self._busy.discard(key)
        elif reply.delay is ResponseDelay.NEVER:
            await self._wait(self._pace.never)
            return _problem(503, "unavailable")
        return _response(reply)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            due_at = await self._in_thread(self._ledger.next_due_at)
            wait = _IDLE_SECONDS if due_at is None else due_at - time.time()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait)
                continue
            await self._in_thread(self._ledger.settle_due)
            if self._sender is not None:
                await self._send_webhooks(self._sender)

    async def _send_webhooks(self, sender: WebhookSender) -> None:
        webhooks = await self._in_thread(lambda: self._ledger.due_webhooks(limit=_WEBHOOK_BATCH))
        if webhooks:
            tried = await sender.deliver(webhooks)
            await self._in_thread(lambda: self._ledger.mark_webhooks(tried))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def _body(request: web.Request, form: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.read(), type=form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise web.HTTPBadRequest(
            text='{"code":"malformed"}', content_type="application/json"
        ) from None


def _credential_check(credential: str | None) -> Middleware:
    header = b"" if credential is None else f"Bearer {credential}".encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if header and request.path.startswith("/v1/") and not hmac.compare_digest(given, header):
            return _problem(401, "unauthenticated", headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return check


def _response(reply: Reply) -> web.Response:
    headers = {"Idempotency-Replayed": "true"} if reply.replayed else None
    return web.Response(
        status=reply.status, body=reply.body, content_type="application/json", headers=headers
    )


def _problem(status: int, code: str, *, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode({"code": code})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
