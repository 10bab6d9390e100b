"""Sends the sandbox's webhooks, signed as Standard Webhooks ask, until they are taken."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time

import aiohttp

from orders.entrypoints.sandbox.payment_service.store import Webhook

_TIMEOUT_SECONDS = 5.0


class WebhookSender:
    """Delivers notices to one address. Use it as `async with`."""

    def __init__(self, url: str, secret: str) -> None:
        """Take the address and the secret (`whsec_` and base64).

        Raises:
            ValueError: If the secret is not of that form.
        """
        prefix, key = secret[:6], secret[6:]
        if prefix != "whsec_":
            raise ValueError("a webhook secret begins with whsec_")
        self._key = base64.b64decode(key, validate=True)
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        self._session = aiohttp.ClientSession(
            timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def deliver(self, notices: list[Webhook]) -> list[tuple[Webhook, bool]]:
        """Try each notice once, all at the same time; tell which were taken."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._deliver(notice)) for notice in notices]
        return [(notice, task.result()) for notice, task in zip(notices, tasks, strict=True)]

    async def _deliver(self, notice: Webhook) -> bool:
        assert self._session is not None
        try:
            async with self._session.post(
                self._url, data=notice.body, headers=self._signed(notice), allow_redirects=False
            ) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _signed(self, notice: Webhook) -> dict[str, str]:
        timestamp = str(int(time.time()))
        content = f"{notice.id}.{timestamp}.".encode() + notice.body
        signature = base64.b64encode(hmac.digest(self._key, content, hashlib.sha256)).decode()
        trace = {"traceparent": notice.traceparent} if notice.traceparent else {}
        return {
            **trace,
            "Content-Type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }
