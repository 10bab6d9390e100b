"""What a payment service may do instead of answering as agreed. `booked`: it did what was asked."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from typing import Any

from aiohttp import web

from tests.support.payments.payment_service import Act, Turn

SECRET = "the-providers-inside"
"""Stands in the bodies of refusals; no caller may ever see it."""


def says(status: int, body: object = None, *, booked: bool = False, **headers: str) -> Act:
    """Answer this. `body` is JSON, or bytes as they are; `Retry_After` becomes `Retry-After`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    async def act(turn: Turn) -> web.StreamResponse:
        if booked:
            turn.book()
        return web.Response(
            status=status, body=content, headers={"Content-Type": "application/json"} | fields
        )

    return act


def refuses(status: int) -> Act:
    """Refuse, with a text that is nobody else's business."""
    return says(status, {"code": "no", "detail": SECRET})


def lies(**changes: object) -> Act:
    """Do what is asked, and tell it differently."""

    async def act(turn: Turn) -> web.StreamResponse:
        told = json.loads(turn.book().body)  # type: ignore[arg-type] # bytes, as we made them
        if "payments" in told:
            told = {"payments": [{**each, **changes} for each in told["payments"]]}
        else:
            told |= changes
        return web.json_response(told, status=201)

    return act


def garbles(content: bytes, *, booked: bool, **headers: str) -> Act:
    """Say 201, and something that nobody can read."""
    return says(201, content, booked=booked, **headers)


def hangs(*, booked: bool) -> Act:
    """Never answer."""

    async def act(turn: Turn) -> web.StreamResponse:
        if booked:
            turn.book()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return act


def late(seconds: float) -> Act:
    """Do what is asked, and say so after so long."""

    async def act(turn: Turn) -> web.StreamResponse:
        answer = turn.book()
        await asyncio.sleep(seconds)  # what this service is slow at
        return answer

    return act


def cuts(*, booked: bool) -> Act:
    """Close the connection without an answer."""

    async def act(turn: Turn) -> web.StreamResponse:
        if booked:
            turn.book()
        assert turn.request.transport is not None
        turn.request.transport.abort()
        return web.Response()

    return act


def breaks_off(*, booked: bool) -> Act:
    """Close the connection in the middle of the body."""

    async def act(turn: Turn) -> web.StreamResponse:
        if booked:
            turn.book()
        response = web.StreamResponse(status=201, headers={"Content-Length": "500"})
        await response.prepare(turn.request)
        await response.write(b'{"id":"pay_1"')
        assert turn.request.transport is not None
        turn.request.transport.close()
        return response

    return act


def trickles(*, booked: bool) -> Act:
    """Send the body byte by byte, for ever: no single read takes long."""

    async def act(turn: Turn) -> web.StreamResponse:
        if booked:
            turn.book()
        response = web.StreamResponse(status=201, headers={"Content-Type": "application/json"})
        await response.prepare(turn.request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.1)

    return act


def after(gate: threading.Event, act: Act, arrived: threading.Event) -> Act:
    """Say that the call has arrived, wait for the gate, and only then act."""

    async def wait(turn: Turn) -> web.StreamResponse:
        arrived.set()
        await turn.provider.wait_for(gate)
        return await act(turn)

    return wait


def _payment(**changes: object) -> bytes:
    told: dict[str, Any] = {
        "id": "pay_1", "reference": "r", "status": "captured", "amount": 1250, "currency": "GBP",
        "captured": 1250, "refunded": 0, "decline_code": None, **changes,
    }  # fmt: skip
    return json.dumps(told).encode()


UNREADABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    "empty": (b"", {}),
    "text": (b"OK", {"Content_Type": "text/plain"}),
    "page": (b"<!doctype html><p>Please log in", {"Content_Type": "text/html"}),
    "null": (b"null", {}),
    "list": (b"[]", {}),
    "half": (_payment()[:40], {}),
    "two": (_payment() * 2, {}),
    "bad-utf8": (_payment().replace(b"pay_1", b"pay_\xff"), {}),
    "deep": (b"[" * 100_000, {}),
    "huge": (b" " * (2 << 20) + _payment(), {}),
    "zipped": (gzip.compress(_payment()), {"Content_Encoding": "gzip"}),
    "no-status": (_payment().replace(b'"status"', b'"state"'), {}),
    "unknown-status": (_payment(status="approved"), {}),
    "negative": (_payment(amount=-1250), {}),
    "fraction": (_payment(amount=1250.5), {}),
    "text-amount": (_payment(amount="1250"), {}),
    "true-amount": (_payment(amount=True), {}),
    "beyond-int64": (_payment(amount=2**63), {}),
    "no-currency": (_payment(currency="GBPX"), {}),
    "bad-id": (_payment(id="../../etc"), {}),
}
"""Bodies of a 201 that say nothing: the payment may be booked, or not."""
