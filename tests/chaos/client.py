"""A good client: it repeats a request with its key, at another replica, until it has an answer.

It remembers all that it was ever told, so that the service can be held to it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.chaos.deployment import Deployment

GIVE_UP_SECONDS: Final = 120
_AGAIN_SECONDS: Final = 0.25
_TRY_SECONDS: Final = 15
_REPEATABLE: Final = {"idempotency-key-in-progress", "concurrent-update"}
_TOLD_TO_COME_BACK: Final = {429, 502, 503, 504}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not to be asked for again."""

    status: int
    body: Json

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status < 300


@dataclass(slots=True)
class Memory:
    """What clients were told, and what is wrong with it."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """The newest version of each order that any answer has shown, by its id."""
    answers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The ids of the orders that a key was answered with."""
    statuses: Counter[int] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def saw(self, order: Json, *, at_least: int, where: str) -> None:
        """Hold an answer to what had been shown before it was asked for."""
        order_id, version = order["id"], order["version"]
        if version < at_least:
            self.violations.append(f"I8 {where} shows {order_id} at {version} after {at_least}")
        self.acknowledged[order_id] = max(version, self.acknowledged.get(order_id, 0))


class Client:
    """Callers of the deployment's API. Used as `async with`."""

    def __init__(self, deployment: Deployment) -> None:
        self.memory = Memory()
        self._deployment = deployment
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._deployment.token}"},
            timeout=aiohttp.ClientTimeout(total=_TRY_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, path: str, body: Mapping[str, Any], *, key: str, first: str) -> Reply:
        """Have it done, at the replica `first` or at any other.

        Raises:
            TimeoutError: If nobody would do it in two minutes.
        """
        names = [*self._deployment.fronts]
        turn = names.index(first)
        until = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < until:
            reply = await self._try("POST", names[turn % len(names)], path, body, key)
            if reply is not None and not _is_to_be_repeated(reply):
                if reply.ok and path == "/v1/orders":
                    self.memory.answers[key].add(reply.body["id"])
                return reply
            turn += 1
            await asyncio.sleep(_AGAIN_SECONDS)  # as a client backs off
        raise TimeoutError(f"no answer to POST {path} in {GIVE_UP_SECONDS} s")

    async def get(self, name: str, path: str) -> Reply | None:
        """Ask one replica once; None without an answer."""
        return await self._try("GET", name, path)

    async def read(self, path: str) -> Json:
        """Ask replica after replica until one answers with what was asked for."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < until:
            for name in self._deployment.up("api"):
                reply = await self.get(name, path)
                if reply is not None and reply.ok:
                    return reply.body
            await asyncio.sleep(_AGAIN_SECONDS)  # all are starting, or without a database
        raise TimeoutError(f"no answer to GET {path} in {GIVE_UP_SECONDS} s")

    async def ledger(self) -> Json:
        """What the payment service has in its books."""
        assert self._session is not None
        async with self._session.get(self._deployment.ledger_url) as answer:
            body: Json = await answer.json()
            return body

    async def _try(
        self,
        method: str,
        name: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Reply | None:
        assert self._session is not None
        seen = dict(self.memory.acknowledged)
        headers = {} if key is None else {"Idempotency-Key": key}
        url = self._deployment.fronts[name] + path
        try:
            async with self._session.request(method, url, json=body, headers=headers) as answer:
                reply = Reply(answer.status, await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError):
            return None
        self.memory.statuses[reply.status] += 1
        if reply.status >= 500 and reply.status not in _TOLD_TO_COME_BACK:
            self.memory.violations.append(f"I9 {method} {path} at {name}: {reply.body}")
        if reply.ok and "version" in reply.body and "number" in reply.body:
            order_id = reply.body["id"]
            self.memory.saw(reply.body, at_least=seen.get(order_id, 0), where=name)
        return reply


def _is_to_be_repeated(reply: Reply) -> bool:
    return reply.status >= 500 or reply.status == 429 or reply.body.get("code") in _REPEATABLE


def order_of(key: str, method: str | None, *, capture: bool, units: int) -> Json:
    """What places an order of a few things, worth `worth(units)`, and pays for it by a method."""
    payment = {"payment": {"method": method, "capture": capture}} if method else {}
    return {
        "currency": "GBP",
        "external_reference": key,
        "expected_total": worth(units),
        "lines": [
            {"sku": "MUG-RED", "name": "Red mug", "quantity": units},
            {"sku": "CARD-BIRTHDAY", "name": "Card", "quantity": 1},
        ],
        **payment,
    }


def worth(units: int) -> int:
    """What so many mugs and a card cost, in pence."""
    return units * 1250 + 199
