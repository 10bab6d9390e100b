"""Refuses requests that two servers on the way could read differently."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.entrypoints.http.problems import RequestRefused

# No comma, which RFC 3986 allows: some proxies merge two Host lines into one with it.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Za-z:.]+\])(?::[0-9]*)?")
_WITH_ID: Final = re.compile(
    rb"/v1/orders/[0-9A-Fa-f]{8}(?:-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}(?:/|\Z)"
)


class RequestTargetCheck(ASGIMiddleware):
    """Checks Host, transfer coding and path, which the server and the router read leniently.

    A request has exactly one Host, which HTTP/1.0 may leave out (RFC 9112, 3.2), no transfer coding
    but chunked, and none beside a Content-Length (RFC 9112, 6.1); otherwise its connection is
    closed, too. Each
    resource has one path, so that a gateway can protect it by its path: no empty segment, no
    encoded slash, and an id in hexadecimal digits only.

    Raises:
        RequestRefused: 400, or 404 for the address.
    """

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Run the request if it can be read in one way only."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        is_missing = not hosts and scope["http_version"] == "1.1"
        if is_missing or len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise _ambiguous("Send exactly one Host header: a name and optionally a port.")
        codings = [value for name, value in scope["headers"] if name == b"transfer-encoding"]
        if codings and [coding.lower() for coding in codings] != [b"chunked"]:
            raise _ambiguous("The only supported transfer coding is chunked.")
        if codings and any(name == b"content-length" for name, _ in scope["headers"]):
            raise _ambiguous("Send Content-Length or Transfer-Encoding, not both.")
        # The router has normalised `path`; `raw_path` is what the client sent.
        path = scope["raw_path"].partition(b"?")[0]
        if _is_misspelled(path, has_id="order_id" in scope["path_params"]):
            raise RequestRefused(
                HTTPStatus.NOT_FOUND, "not-found", "There is nothing at this address."
            )
        await next_app(scope, receive, send)


def _is_misspelled(path: bytes, *, has_id: bool) -> bool:
    if b"//" in path or (path.endswith(b"/") and path != b"/") or b"%2f" in path.lower():
        return True
    return has_id and not _WITH_ID.match(path)


def _ambiguous(detail: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST, "bad-request", detail, headers={"connection": "close"}
    )
