"""Rate limits per caller and per address. (`overload` limits the requests that run at once.)

A refused request reaches no use case: nothing is stored, and its Idempotency-Key stays unused.
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
    """Limits refused tokens per client address, so that tokens cannot be guessed.

    Runs before `Authentication`. It never refuses a valid token, even from an address that sends
    many invalid ones.

    Raises:
        RequestRefused: 429 with Retry-After, in place of the 401, above the limit.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, limiter: RateLimiter, policy: RatePolicy) -> None:
        self._limiter = limiter
        self._policy = policy

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Run the request, and count it if its token was refused."""
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
    """Limits the requests of each caller, and adds the rest of the quota to each response.

    Runs after `Authentication`; requests without a caller are not counted.

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
        """Count the request, and run it below the limit."""
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
    """Store the client's address in the scope."""
    cast("dict[str, Any]", scope)[_CLIENT_KEY] = address


def client_of(scope: Scope) -> str:
    """Return the client's address that `note_client` stored."""
    address: str = cast("dict[str, Any]", scope)[_CLIENT_KEY]
    return address


def limit_fields(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the rate limit headers of the response; none if nothing was counted."""
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
