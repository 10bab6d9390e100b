"""Authentication: every request needs a valid access token, except to public paths."""

from __future__ import annotations

import re
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.application.errors import InvalidToken, KeysUnavailable
from orders.application.ports import TokenVerifier
from orders.entrypoints.http.problems import RequestRefused

MAX_TOKEN_BYTES: Final = 8 * 1024

_BEARER: Final = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]+)", re.IGNORECASE)


class Authentication(ASGIMiddleware):
    """Puts the `Caller` into `scope["user"]`, or refuses the request.

    `public_paths` are templates as handlers declare them (`/schema/docs/{name:str}`), so another
    spelling of an address is not public. OPTIONS needs no token: it only lists methods.

    Raises:
        RequestRefused: 401 without exactly one valid bearer token in the Authorization header,
            503 while the signing keys cannot be fetched.
    """

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        public_paths: Collection[str],
        max_token_bytes: int = MAX_TOKEN_BYTES,
    ) -> None:
        self._verifier = verifier
        # The router's templates have no types of parameters.
        self._public_paths = frozenset(re.sub(r":\w+}", "}", path) for path in public_paths)
        self._max_token_bytes = max_token_bytes

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        is_public = scope["path_template"] in self._public_paths
        if not is_public and scope.get("method") != "OPTIONS":
            token = self._token_of(scope)
            try:
                scope["user"] = await self._verifier.verify(token)
            except InvalidToken as refusal:
                raise _unauthenticated(
                    f"The access token is not valid: {refusal.reason}."
                ) from refusal
            except KeysUnavailable as refusal:
                raise _keys_unavailable() from refusal
            scope["auth"] = "Bearer"
        await next_app(scope, receive, send)

    def _token_of(self, scope: Scope) -> str:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        if not values:
            raise _unauthenticated("An access token is required.", given=False)
        if len(values) > 1:
            raise _unauthenticated("Send exactly one Authorization header.")
        credentials = _BEARER.fullmatch(values[0])
        if credentials is None:
            raise _unauthenticated("Send the access token as: Authorization: Bearer <token>.")
        if len(credentials[1]) > self._max_token_bytes:
            raise _unauthenticated("The access token is too long.")
        return credentials[1].decode("ascii")


def _unauthenticated(detail: str, *, given: bool = True) -> RequestRefused:
    challenge = 'Bearer error="invalid_token"' if given else "Bearer"
    return RequestRefused(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        detail,
        headers={"www-authenticate": challenge},
    )


def _keys_unavailable() -> RequestRefused:
    return RequestRefused(
        HTTPStatus.SERVICE_UNAVAILABLE,
        KeysUnavailable.code,
        "Access tokens cannot be verified at the moment. Retry the request.",
        headers={"retry-after": "2"},
    )
