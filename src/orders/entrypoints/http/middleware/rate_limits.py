"""What a caller may take: so many requests a second. (How many at once in all: `overload`.)

A refused request has reached no use case: nothing is stored, and its Idempotency-Key is unused.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any, Final, cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.application.access import Caller
from orders.application.ports import Admission, RateLimiter, RatePolicy
from orders.entrypoints.http.middleware.client_address import network_of
from orders.entrypoints.http.problems import RequestRefused

_CLIENT_KEY: Final = "orders.client"
_FIELDS_KEY: Final = "orders.rate_limit"


class FailedAuthenticationLimit(ASGIMiddleware):
    """Counts refused tokens by where they come from: who guesses is told to wait.

    Stands before `Authentication`. A valid token is never refused here, whatever others at its
    address try.

    Raises:
        RequestRefused: 429 with Retry-After instead of a 401 too many.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, limiter: RateLimiter, policy: RatePolicy) -> None:
        self._limiter = limiter
        self._policy = policy

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request through, and count it if its token was refused."""
        try:
            await next_app(scope, receive, send)
        except RequestRefused as refusal:
            if refusal.status is not HTTPStatus.UNAUTHORIZED:
                raise
            key = f"address {network_of(client_of(scope))}"
            admission = await self._limiter.take(key, self._policy)
            if not admission.admitted:
                raise _limited(admission) from refusal
            raise


class PrincipalLimit(ASGIMiddleware):
    """Counts the requests of each caller, and says on every answer how many are left.

    Stands behind `Authentication`; requests without a caller pass uncounted.

    Raises:
        RequestRefused: 429 with Retry-After.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, limiter: RateLimiter, policy: RatePolicy) -> None:
        self._limiter = limiter
        self._policy = policy
        window = max(1, math.ceil(policy.burst / policy.per_second))
        self._policy_field = (
            b"ratelimit-policy",
            b'"principal";q=%d;w=%d' % (policy.burst, window),
        )

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Take one of what the caller may do now."""
        caller: Caller | None = scope.get("user")
        if caller is not None:
            # The length keeps tenant "a b" with subject "c" apart from "a" with "b c".
            key = f"principal {len(caller.tenant)} {caller.tenant} {caller.subject}"
            admission = await self._limiter.take(key, self._policy)
            _note_fields(scope, [self._policy_field, _limit_field(admission)])
            if not admission.admitted:
                raise _limited(admission)
        await next_app(scope, receive, send)


def note_client(scope: Scope, address: str) -> None:
    """Keep where the request comes from."""
    cast("dict[str, Any]", scope)[_CLIENT_KEY] = address


def client_of(scope: Scope) -> str:
    """Where the request comes from, as `note_client` was told."""
    address: str = cast("dict[str, Any]", scope)[_CLIENT_KEY]
    return address


def limit_fields(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The rate limit fields that the answer must carry; none if nothing was counted."""
    fields: list[tuple[bytes, bytes]] = cast("dict[str, Any]", scope).get(_FIELDS_KEY, [])
    return fields


def _note_fields(scope: Scope, fields: list[tuple[bytes, bytes]]) -> None:
    cast("dict[str, Any]", scope)[_FIELDS_KEY] = fields


def _limit_field(admission: Admission) -> tuple[bytes, bytes]:
    # draft-ietf-httpapi-ratelimit-headers-11: `r` may be used within `t` seconds.
    return (
        b"ratelimit",
        b'"principal";r=%d;t=%d' % (admission.remaining, math.ceil(admission.next_after_seconds)),
    )


def _limited(admission: Admission) -> RequestRefused:
    seconds = max(1, math.ceil(admission.next_after_seconds))
    return RequestRefused(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate-limited",
        f"Too many requests. Retry in {seconds} s; it had no effect.",
        headers={"retry-after": str(seconds)},
    )
