"""The headers of every response, also of errors and of responses before routing.

Litestar calls a `before_send` hook for all of them; a middleware would miss some.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import HTTPResponseStartEvent, HTTPScope, Message, Scope

ALWAYS: Final[dict[bytes, bytes]] = {
    b"cache-control": b"no-store, no-transform",
    b"content-security-policy": (
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"origin-agent-cluster": b"?1",
    b"referrer-policy": b"no-referrer",
    b"strict-transport-security": b"max-age=31536000; includeSubDomains",
    b"x-content-type-options": b"nosniff",
    b"x-dns-prefetch-control": b"off",
    b"x-download-options": b"noopen",
    b"x-frame-options": b"DENY",
    b"x-permitted-cross-domain-policies": b"none",
    b"x-xss-protection": b"0",
}
_EXPOSED: Final = (
    b"deprecation, etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, "
    b"retry-after, sunset"
)
_ACCEPTED: Final = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, traceparent"
)
_PREFLIGHT_SECONDS: Final = b"600"


class ResponseHeaders:
    """A `before_send` hook that adds `ALWAYS`, unless the handler has set the same header.

    `cors_origins` are exact, such as `https://shop.example`; without any, CORS is off. Pages of
    these origins may read responses and send bearer tokens, but no cookies.
    """

    def __init__(self, *, cors_origins: Collection[str] = ()) -> None:
        self._origins = frozenset(origin.encode("ascii") for origin in cors_origins)

    async def __call__(self, message: Message, scope: Scope) -> None:
        """Add the headers to a response that is about to be sent."""
        if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
            return
        headers = list(message["headers"])
        if scope["method"] == "OPTIONS" and message["status"] < 400:
            headers = [header for header in headers if header[0] != b"allow"]
            headers.append((b"allow", _methods_of(scope)))
        own = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in ALWAYS.items() if name not in own]
        if self._origins:
            headers += self._cors(scope, message)
        message["headers"] = headers

    def _cors(self, scope: HTTPScope, message: HTTPResponseStartEvent) -> list[tuple[bytes, bytes]]:
        headers = [(b"vary", b"Origin")]
        origin = dict(scope["headers"]).get(b"origin")
        if origin is None or origin not in self._origins:
            return headers
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
        ]
        if scope["method"] == "OPTIONS" and message["status"] < 400:
            headers += [
                (b"access-control-allow-methods", _methods_of(scope)),
                (b"access-control-allow-headers", _ACCEPTED),
                (b"access-control-max-age", _PREFLIGHT_SECONDS),
            ]
        return headers


def _methods_of(scope: HTTPScope) -> bytes:
    """Return all methods of the path: Litestar's response to OPTIONS names one handler's only.

    The router lists them when it refuses a method that does not exist.
    """
    app: Litestar = scope["litestar_app"]
    try:
        app.asgi_router.handle_routing(path=scope["path"], method="?")
    except HTTPException as refusal:
        allowed = (refusal.headers or {}).get("allow", "")
        return ", ".join(sorted(allowed.split(", "))).encode("ascii")
    return b""
