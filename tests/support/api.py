"""Calling the API in process, every answer judged by the published description."""

from __future__ import annotations

from itertools import count
from typing import Any, Final
from uuid import UUID

import httpx
import msgspec
from litestar import Litestar

from orders.application.errors import StoreUnavailable
from orders.domain.identifiers import OrderId
from orders.domain.order.order import Order
from orders.entrypoints.http.app import create_app, description
from orders.entrypoints.server.application import extra_routes
from tests.support.published_api import Published
from tests.support.shop import Shop

NEW: Final = "a new key"
"""Take an Idempotency-Key that was never used."""

LINES = (
    {"sku": "PEN", "name": "Pen", "quantity": 3},
    {"sku": "LAMP", "name": "Lamp", "quantity": 2},
)


def a_body(**changes: Any) -> dict[str, Any]:
    """Three pens at 1000 and two lamps at 500 by the price list; 4,000 in all."""
    return {"currency": "EUR", "lines": list(LINES), **changes}


def a_line(**changes: Any) -> dict[str, Any]:
    """One pen."""
    return {"sku": "PEN", "name": "Pen", "quantity": 1, **changes}


def personal(word: str) -> dict[str, Any]:
    """Members of a body that hold a word wherever an order holds a personal detail."""
    address = dict.fromkeys(("name", "line1", "line2", "city", "region", "phone"), word)
    return {
        "contact": {"email": f"{word}@{word}.example", "phone": word},
        "billing": {"address": {**address, "country": "DE"}, "company": word, "vat_id": word},
        "shipping": {"address": {**address, "country": "DE"}, "instructions": word},
        "gift_message": word,
        "lines": [a_line(metadata={word: word})],
    }


class Front:
    """The application, made once. Each test overrides its container by that of its own shop."""

    def __init__(self) -> None:
        self.can_serve = True
        self.is_draining = False
        shop = Shop()
        self.tokens = shop.tokens
        self.container = shop.container
        self.container.readiness_checks.override([self._require_store])
        self.app: Litestar = create_app(
            self.container, is_draining=lambda: self.is_draining, extra_routes=extra_routes
        )
        self.published = Published(description())

    async def _require_store(self) -> None:
        if not self.can_serve:
            raise StoreUnavailable("the store is switched off")


class Api:
    """A client of the API. `who` names the caller, and is their token."""

    def __init__(self, front: Front, shop: Shop) -> None:
        self.front = front
        self.shop = shop
        self._numbers = count(1)
        transport = httpx.ASGITransport(app=front.app)  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url="http://orders.test")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: str | None = "ada",
        key: str | None = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """Send one request. `body` goes as JSON, `raw` as it is."""
        sent = dict(headers or {})
        if who is not None:
            sent.setdefault("Authorization", f"Bearer {who}")
        if key is not None:
            sent["Idempotency-Key"] = f"key-{next(self._numbers)}" if key is NEW else key
        content = raw if raw is not None else None if body is None else msgspec.json.encode(body)
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = await self.client.request(
            method, f"/v1{path}", content=content, headers=sent, params=query or None
        )
        self.front.published.judge(answer)
        return answer

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Read something."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send a command, with a new key unless `key` says another, or None."""
        return await self.call("POST", path, body, **{"key": NEW, **options})

    async def place(self, **options: Any) -> httpx.Response:
        """Place `a_body`; members of it may be given by keyword."""
        sent = {name: options.pop(name) for name in ("who", "key", "headers") if name in options}
        dry_run = {"dry_run": options.pop("dry_run")} if "dry_run" in options else {}
        return await self.post("/orders", a_body(**options), **sent, **dry_run)

    async def placed(self, **options: Any) -> dict[str, Any]:
        """An order that was placed just now, as JSON."""
        answer = await self.place(**options)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def done(self, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        """The order after a command that is taken."""
        answer = await self.post(path, body, **{"who": "root", **options})
        assert answer.status_code in {200, 201}, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def keep(self, order: Order) -> str:
        """Store an order as it is, and return its path."""
        await self.shop.stored.add(order)
        return f"/orders/{order.id}"


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer must be."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert len(problem["trace_id"]) == 32
    return problem


async def assert_nothing_happened(shop: Shop) -> None:
    """No order, so no event either, and no call to the payment service."""
    assert await shop.count() == 0
    assert shop.provider.calls == {}


def id_of(order: dict[str, Any]) -> OrderId:
    """The id of an order that is JSON."""
    return OrderId(UUID(order["id"]))
