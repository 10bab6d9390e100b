"""Sends the sandbox's webhooks, signed by the Standard Webhooks specification."""

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
    """Sends webhooks to one address, between `open` and `close`."""

    def __init__(self, url: str, secret: str) -> None:
        """Use an address and a secret (`whsec_` and base64).

        Raises:
            ValueError: If the secret does not have that form.
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

    async def deliver(self, webhooks: list[Webhook]) -> list[tuple[Webhook, bool]]:
        """Send each webhook once, all at the same time; return which were accepted."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._deliver(webhook)) for webhook in webhooks]
        return [(webhook, task.result()) for webhook, task in zip(webhooks, tasks, strict=True)]

    async def _deliver(self, webhook: Webhook) -> bool:
        assert self._session is not None
        try:
            async with self._session.post(
                self._url, data=webhook.body, headers=self._signed(webhook), allow_redirects=False
            ) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _signed(self, webhook: Webhook) -> dict[str, str]:
        timestamp = str(int(time.time()))
        content = f"{webhook.id}.{timestamp}.".encode() + webhook.body
        signature = base64.b64encode(hmac.digest(self._key, content, hashlib.sha256)).decode()
        trace = {"traceparent": webhook.traceparent} if webhook.traceparent else {}
        return {
            **trace,
            "Content-Type": "application/json",
            "webhook-id": webhook.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }
