"""The public keys of the auth service, fetched from its JWKS endpoint and refreshed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Self

import aiohttp

from orders.adapters.http_client import DIRECT, HttpRoute, why
from orders.adapters.jwt.keys import VerifyingKey, keys_of, only_match
from orders.application.errors import InvalidToken, KeysUnavailable

_log: Final = logging.getLogger(__name__)

MAX_JWKS_BYTES: Final = 256 * 1024


class JwksRing:
    """The keys of a JWKS endpoint. A request starts a fetch, and waits only if it lacks a key.

    Keys older than `refresh_seconds` are refreshed in the background. An unknown `kid` starts a
    fetch, even right after another one, because a key may be 1 s old. All unknown `kid`s together
    start at most one fetch per `unknown_kid_seconds`. If a fetch fails, the next one comes after
    `retry_seconds`, or after `cold_retry_seconds` while there are no keys; keys stay valid for
    `keep_seconds` after the last successful fetch. There is one fetch at a time, which takes at
    most `timeout_seconds`. Redirects are not followed.
    """

    def __init__(
        self,
        url: str,
        *,
        route: HttpRoute = DIRECT,
        refresh_seconds: float = 300,
        retry_seconds: float = 30,
        cold_retry_seconds: float = 1,
        unknown_kid_seconds: float = 30,
        keep_seconds: float = 7 * 24 * 3600,
        timeout_seconds: float = 2,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._route = route
        self._refresh_seconds = refresh_seconds
        self._retry_seconds = retry_seconds
        self._cold_retry_seconds = cold_retry_seconds
        self._unknown_kid_seconds = unknown_kid_seconds
        self._keep_seconds = keep_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._now = now
        self._keys: tuple[VerifyingKey, ...] = ()
        self._fetched_at = self._tried_at = self._unknown_kid_at = float("-inf")
        self._fetch: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Return at once. The first call fetches, so the auth service need not be up."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self.close()

    async def ensure_keys(self) -> None:
        """Fetch the keys if there are none, see `KeyRing`."""
        if self._now() - self._fetched_at > self._keep_seconds:
            self._keys = ()
        if not self._keys:
            self._start_unless_tried_within(self._cold_retry_seconds)
            await self._wait_for_fetch()
        else:
            self._refresh_if_due()
        if not self._keys:
            raise KeysUnavailable("the auth service's keys could not be fetched")

    async def find(self, algorithm: str, kid: str | None) -> VerifyingKey:
        """The one key that verifies tokens with this header, see `KeyRing`."""
        await self.ensure_keys()
        for wait in (self._wait_for_fetch, self._fetch_unknown):
            try:
                return only_match(self._keys, algorithm, kid)
            except InvalidToken:
                await wait()
        return only_match(self._keys, algorithm, kid)

    def holds(self, key: VerifyingKey) -> bool:
        """Whether the last successful fetch had `key`. Starts a refresh if one is due."""
        self._refresh_if_due()
        return key in self._keys and self._now() - self._fetched_at <= self._keep_seconds

    async def close(self) -> None:
        """Stop a fetch under way and close the connection. The ring may be used again."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait([self._fetch])
        if self._session is not None:
            await self._session.close()
        self._fetch = self._session = None

    async def _wait_for_fetch(self) -> None:
        """Wait for the fetch under way, if there is one."""
        if self._fetch is not None:
            # Awaiting the task would cancel it with this request, while others wait for it too.
            await asyncio.wait([self._fetch])

    async def _fetch_unknown(self) -> None:
        if self._now() - self._unknown_kid_at >= self._unknown_kid_seconds:
            self._unknown_kid_at = self._now()
            self._start()
        await self._wait_for_fetch()

    def _refresh_if_due(self) -> None:
        if self._now() - self._fetched_at > self._refresh_seconds:
            self._start_unless_tried_within(self._retry_seconds)

    def _start_unless_tried_within(self, seconds: float) -> None:
        if self._now() - self._tried_at >= seconds:
            self._start()

    def _start(self) -> None:
        if self._fetch is None or self._fetch.done():
            self._tried_at = self._now()
            self._fetch = asyncio.create_task(self._refresh(), name="jwks-refresh")

    async def _refresh(self) -> None:
        try:
            keys = keys_of(await self._download())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            _log.warning("the JWKS could not be fetched: %s", why(error))
            return
        self._keys = keys
        self._fetched_at = self._now()

    async def _download(self) -> bytes:
        if self._session is None:
            self._session = self._route.session(timeout=self._timeout)
        async with self._session.get(self._url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError("the JWKS endpoint did not return 200")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise ValueError("the JWKS is too large")
            return bytes(body)
