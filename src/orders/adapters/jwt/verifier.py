"""Access tokens: signed JSON of the auth service (RFC 7519, RFC 9068), read without mercy.

PyJWT's algorithms check signatures; the claims are checked here, because its own checks take any
`typ`, numeric strings for times and repeated members.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from orders.adapters.jwt.keys import KeyRing, VerifyingKey
from orders.application.access import Caller
from orders.application.errors import InvalidToken

_MAX_SECONDS: Final = 2**53
_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SCOPE_OR_ROLE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What a token must say to be taken.

    `token_types` are lower-case values of the `typ` header, less `application/`; None allows
    tokens without one. `default_tenant` is for tokens without a tenant; None refuses them.

    Raises:
        ValueError: If the leeway is negative or longer than 30 seconds.
    """

    issuer: str
    audience: str
    default_tenant: str | None = None
    token_types: frozenset[str | None] = frozenset({"at+jwt", "jwt"})
    algorithms: frozenset[str] = frozenset({"RS256", "PS256", "ES256", "EdDSA", "HS256"})
    leeway_seconds: float = 10
    max_lifetime_seconds: float = 24 * 3600
    max_bytes: int = 8 * 1024

    def __post_init__(self) -> None:
        if not 0 <= self.leeway_seconds <= 30:
            raise ValueError("the leeway is between 0 and 30 seconds")


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    key: VerifyingKey
    expires_at: float  # seconds since 1970, leeway included


class JwtVerifier:
    """`TokenVerifier` over a ring of keys.

    The last `cache_size` verified tokens are remembered by their hash until they expire or their
    key leaves the ring. `now` is in seconds since 1970.
    """

    def __init__(
        self,
        keys: KeyRing,
        rules: TokenRules,
        *,
        cache_size: int = 4096,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._cache_size = cache_size
        self._now = now
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Who the token speaks for. May be repeated.

        Raises:
            InvalidToken: If anything is wrong with it. The reason never repeats its text.
            KeysUnavailable: If no key is known yet. Repeat the call.
        """
        if len(token) > self._rules.max_bytes or not token.isascii():
            raise InvalidToken("it is too long or not ASCII")
        digest = hashlib.sha256(token.encode()).digest()
        return self._remembered(digest) or await self._verify_anew(token, digest)

    def _remembered(self, digest: bytes) -> Caller | None:
        known = self._verified.get(digest)
        if known is None:
            return None
        if known.expires_at <= self._now() or not self._keys.holds(known.key):
            del self._verified[digest]
            return None
        self._verified.move_to_end(digest)
        return known.caller

    async def _verify_anew(self, token: str, digest: bytes) -> Caller:
        parts = token.split(".")
        if len(parts) != 3:
            raise InvalidToken("it is not a signed JWT")
        header, claims = _object_of(parts[0]), _object_of(parts[1])
        algorithm, kid = self._check_header(header)
        key = await self._keys.find(algorithm, kid)
        if not key.verifies(f"{parts[0]}.{parts[1]}".encode(), _bytes_of(parts[2])):
            raise InvalidToken("its signature is wrong")
        expires_at = self._check_times(claims)
        self._check_purpose(claims)
        caller = self._caller_of(claims)
        self._remember(digest, _Verified(caller, key, expires_at))
        return caller

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)

    def _check_header(self, header: dict[str, Any]) -> tuple[str, str | None]:
        if "crit" in header:
            raise InvalidToken("it demands an extension that is not understood")
        if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid", "typ")):
            raise InvalidToken("its header is malformed")
        typ = header.get("typ")
        kind = None if typ is None else typ.lower().removeprefix("application/")
        if kind not in self._rules.token_types:
            raise InvalidToken("it is not an access token")
        algorithm = header.get("alg", "")
        if algorithm not in self._rules.algorithms:
            raise InvalidToken("its algorithm is not accepted")
        return algorithm, header.get("kid")

    def _check_times(self, claims: dict[str, Any]) -> float:
        """Check all times; returns the end of the token's life, leeway included."""
        now, leeway = self._now(), self._rules.leeway_seconds
        expires_at, issued_at = _seconds(claims, "exp"), _seconds(claims, "iat")
        if now >= expires_at + leeway:
            raise InvalidToken("it has expired")
        if issued_at > now + leeway:
            raise InvalidToken("it was issued in the future")
        if "nbf" in claims and _seconds(claims, "nbf") > now + leeway:
            raise InvalidToken("it does not count yet")
        if expires_at - issued_at > self._rules.max_lifetime_seconds:
            raise InvalidToken("it lives too long")
        return expires_at + leeway

    def _check_purpose(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self._rules.issuer:
            raise InvalidToken("it is another issuer's")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._rules.audience not in audiences:
            raise InvalidToken("it is for another service")

    def _caller_of(self, claims: dict[str, Any]) -> Caller:
        tenant = claims.get("tenant", self._rules.default_tenant)
        return Caller(
            subject=_name(claims.get("sub"), "subject", _NAME),
            tenant=_name(tenant, "tenant", _NAME),
            roles=_names(claims.get("roles", []), "roles"),
            scopes=_scopes(claims["scope"]) if "scope" in claims else None,
        )


def _object_of(part: str) -> dict[str, Any]:
    try:
        value = json.loads(
            _bytes_of(part).decode(),
            object_pairs_hook=_unique_members,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise InvalidToken("it is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken("it is not a JSON object")
    return value


def _bytes_of(part: str) -> bytes:
    """Decode base64url in its one canonical spelling, so that no bit of a token is idle."""
    try:
        value = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidToken("it is not base64url") from None
    if base64.urlsafe_b64encode(value).rstrip(b"=") != part.encode():
        raise InvalidToken("it is not base64url")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse_constant(_: str) -> float:
    raise ValueError("not a JSON number")


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidToken(f"its {name} is missing or malformed")
    if not 0 <= value < _MAX_SECONDS:
        raise InvalidToken(f"its {name} is out of range")
    return float(value)


def _name(value: object, what: str, allowed: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not allowed.fullmatch(value):
        raise InvalidToken(f"its {what} is missing or malformed")
    return value


def _names(values: object, what: str) -> frozenset[str]:
    if not isinstance(values, list):
        raise InvalidToken(f"its {what} are malformed")
    return frozenset(_name(value, what, _SCOPE_OR_ROLE) for value in values)


def _scopes(scope: object) -> frozenset[str]:
    if not isinstance(scope, str):
        raise InvalidToken("its scope is malformed")
    return _names(scope.split(" ") if scope else [], "scope")
