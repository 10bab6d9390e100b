"""A payment service with honest books that plays, for each payment, the part a test gives it.

A part is named by the payment's method token. What a part does not say is done honestly.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATHS = {"captures": "capture", "voids": "void", "refunds": "refund"}


@dataclass(frozen=True)
class Call:
    """A request as it came. `kind` is authorize, capture, void, refund or find."""

    kind: str
    reference: str
    key: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float


@dataclass
class Turn:
    """One request, and what can be done about it."""

    provider: Provider
    request: web.Request
    call: Call

    def book(self) -> web.Response:
        """Do what is asked, once for its key, and return the honest answer."""
        return self.provider.books.answer(self.call, self.request.path)


Act = Callable[[Turn], Awaitable[web.StreamResponse]]


async def honest(turn: Turn) -> web.StreamResponse:
    """Do what is asked, and say so."""
    return turn.book()


class Books:
    """What was paid, by reference. A key moves money once."""

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.moved: dict[str, list[tuple[str, int]]] = defaultdict(list)
        """What moved money of a payment, and how much."""
        self._answers: dict[str, web.Response] = {}

    def answer(self, call: Call, path: str) -> web.Response:
        if call.kind == "find":
            found = self.payments.get(call.reference)
            return _json(200, {"payments": [found] if found else []})
        if call.key not in self._answers:
            payment = self._open(call) if call.kind == "authorize" else self._move(call, path)
            self._answers[call.key] = _json(201, payment)
        # A response is sent once; what it says, as often as it is asked for.
        first = self._answers[call.key]
        return web.Response(status=first.status, body=first.body, headers=first.headers)

    def _open(self, call: Call) -> dict[str, Any]:
        amount, captured = call.body["amount"], call.body["capture"]
        self.payments[call.reference] = payment = {
            "id": f"pay_{secrets.token_hex(6)}",
            "reference": call.reference,
            "status": "captured" if captured else "authorized",
            "amount": amount,
            "currency": call.body["currency"],
            "captured": amount if captured else 0,
            "refunded": 0,
            "decline_code": None,
        }
        self.moved[call.reference].append(("captured" if captured else "authorized", amount))
        return payment

    def _move(self, call: Call, path: str) -> dict[str, Any]:
        payment = self.by_id(path.split("/")[3])
        amount = call.body.get("amount", 0)
        if call.kind == "capture":
            payment["captured"] += amount
            payment["status"] = "captured"
        elif call.kind == "refund":
            payment["refunded"] += amount
        elif not payment["captured"]:
            payment["status"] = "voided"
        self.moved[payment["reference"]].append((call.kind, amount))
        return payment

    def by_id(self, name: str) -> dict[str, Any]:
        return next(each for each in self.payments.values() if each["id"] == name)


@dataclass
class Provider:
    """The running service, from a test's thread."""

    url: str = ""
    books: Books = field(default_factory=Books)
    calls: list[Call] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    always: Act | None = None
    """Played for every authorisation, whatever its part says."""
    _parts: dict[str, dict[str, list[Act]]] = field(default_factory=dict)
    _methods: dict[str, str] = field(default_factory=dict)
    _waiters: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(64))
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def part(self, **acts: list[Act]) -> str:
        """A method token whose payments get these acts, one a call of each kind, then honesty."""
        method = f"tok_{secrets.token_hex(8)}"
        self._parts[method] = acts
        return method

    def calls_of(self, order_id: str, kind: str | None = None) -> list[Call]:
        """The calls about an order so far, in the order they came."""
        own = [each for each in self.calls if each.reference.startswith(order_id)]
        return [each for each in own if kind in (None, each.kind)]

    def payments_of(self, order_id: str) -> list[dict[str, Any]]:
        """What the books hold of an order."""
        return [each for name, each in self.books.payments.items() if name.startswith(order_id)]

    def moved_of(self, order_id: str) -> list[tuple[str, int]]:
        """What moved money of an order, in the order it did."""
        moved = [each for name, each in self.books.moved.items() if name.startswith(order_id)]
        return [one for each in moved for one in each]

    async def wait_for(self, gate: threading.Event) -> None:
        """Return once a test has opened the gate."""
        await asyncio.get_running_loop().run_in_executor(self._waiters, gate.wait, 60)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = await self._read(request)
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._act_for(call)(Turn(self, request, call))
        finally:
            self.in_flight -= 1

    def _act_for(self, call: Call) -> Act:
        if call.kind == "authorize" and self.always is not None:
            return self.always
        payment = call.reference.split(":")
        own = f"{payment[0]}:{payment[1] if payment[1].isdecimal() else 1}"
        acts = self._parts.get(self._methods.get(own, ""), {}).get(call.kind, [])
        return acts.pop(0) if acts else honest

    async def _read(self, request: web.Request) -> Call:
        body = json.loads(await request.read() or b"{}")
        kind = PATHS.get(request.path.rpartition("/")[2], "authorize")
        if request.method == "GET":
            kind = "find"
        reference = request.query.get("reference", body.get("reference", ""))
        if "method" in body:
            self._methods[reference] = body["method"]
        return Call(
            kind=kind,
            reference=reference,
            key=request.headers.get("Idempotency-Key", ""),
            headers=dict(request.headers),
            body=body,
            at=time.monotonic(),
        )

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider that answers, until the block is left."""
    provider = Provider()
    loop = provider._loop
    runner = loop.run_until_complete(provider._start())
    thread = threading.Thread(target=loop.run_forever, name="provider")
    thread.start()
    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        provider._waiters.shutdown()


def _json(status: int, body: object) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )
