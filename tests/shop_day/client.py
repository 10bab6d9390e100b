"""The people of a shop as callers of its API: each has a token, and repeats what has no answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

PATIENCE_SECONDS: Final = 120.0
"""After which an order that does not come to what is expected counts as stuck."""
_AGAIN_SECONDS: Final = 0.3
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_REPEATED: Final = {"idempotency-key-in-progress", "concurrent-update"}

Json = dict[str, Any]


class Refused(Exception):
    """The service has refused a command."""

    def __init__(self, path: str, problem: Json) -> None:
        super().__init__(f"{path}: {problem.get('code')}: {problem.get('detail')}")
        self.code = problem.get("code", "")


class Stuck(Exception):
    """Something that must come about did not."""


class Shop:
    """The API of a shop, and the ledger of its payment service."""

    def __init__(
        self, session: aiohttp.ClientSession, *, api: str, payments: str, tokens: Mapping[str, str]
    ) -> None:
        self._session = session
        self._api = api
        self._payments = payments
        self._tokens = tokens
        self.requests = 0

    async def send(
        self,
        who: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **headers: str,
    ) -> Json:
        """Send a request until it is answered; `headers` are written with underscores.

        Raises:
            Refused: If the service refuses it.
            Stuck: If nobody answers.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given["Authorization"] = f"Bearer {self._tokens[who]}"
        until = time.monotonic() + PATIENCE_SECONDS
        content: Json = {}
        while time.monotonic() < until:
            self.requests += 1
            try:
                async with self._session.request(
                    method, f"{self._api}/v1{path}", json=body, headers=given, timeout=_TIMEOUT
                ) as answer:
                    content = await answer.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError):
                content = {"code": "no answer"}
            else:
                if answer.status < 300:
                    return content
                busy = answer.status == 429 or answer.status > 500
                if not busy and content.get("code") not in _REPEATED:
                    raise Refused(path, content)
            await asyncio.sleep(_AGAIN_SECONDS)
        raise Stuck(f"{method} {path}: {content}")

    async def until(self, order_id: str, holds: Callable[[Json], bool], what: str) -> Json:
        """Read an order until something is true of it.

        Raises:
            Stuck: If that takes too long.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            order = await self.send("support", "GET", f"/orders/{order_id}")
            if holds(order):
                return order
            if time.monotonic() > until:
                raise Stuck(f"not {what}")
            await asyncio.sleep(_AGAIN_SECONDS)  # the API gives no event to wait for

    async def dispute(self, payment_id: str, body: Json) -> None:
        """Let the payer's bank open or close a dispute."""
        url = f"{self._payments}/sandbox/payments/{payment_id}/disputes"
        async with self._session.post(url, json=body) as answer:
            answer.raise_for_status()

    async def ledger(self) -> list[Json]:
        """Every payment that the payment service has."""
        async with self._session.get(f"{self._payments}/ledger") as answer:
            payments: list[Json] = (await answer.json())["payments"]
            return payments
