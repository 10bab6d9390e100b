"""HTTP to other services: by which way they are reached, and why a call got no response."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from orders.adapters.connection_failures import CLOSED, reason_of

NO_CONNECTION: Final = (aiohttp.ClientConnectionError, aiohttp.ClientHttpProxyError)
"""Raised if there is no connection to a service, or it breaks, or the proxy makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """The way to a service. No repr shows the proxy, which may have a password.

    `tls` None means aiohttp's own context, which trusts the system's certificate authorities.
    """

    tls: ssl.SSLContext | None = None
    proxy: str | None = field(default=None, repr=False)

    def session(
        self,
        *,
        timeout: aiohttp.ClientTimeout,
        limit: int = 100,
        auto_decompress: bool = True,
    ) -> aiohttp.ClientSession:
        """Return a session with at most `limit` connections (0: any number), without cookies.

        The caller closes it. It reads no environment and no `.netrc`: settings name its proxy.
        """
        # A proxy that is asked for a tunnel gets these, too: a credential belongs to a request.
        headers = {"Accept": "application/json", "User-Agent": "orders"}
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=self.tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=timeout,
            auto_decompress=auto_decompress,
            trust_env=False,
            proxy=self.proxy,
        )


DIRECT: Final = HttpRoute()


def why(error: BaseException) -> str:
    """Return why a call got no response: no address, and no text of a server."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"the proxy: {reason_of(error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return reason_of(error, otherwise=CLOSED)
    return reason_of(error)
