"""Access tokens: signed JSON of the auth service, read without mercy.

PyJWT's algorithms check signatures; the text is read here, because PyJWT takes any `typ` and
repeated members. `claims.py` says what the claims must say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orders.adapters.jwt.claims import TokenRules, caller_of, require_purpose, require_times
from orders.adapters.jwt.keys import KeyRing, VerifyingKey
from orders.application.access import Caller
from orders.application.errors import InvalidToken


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
        algorithm, kid, token_type = self._check_header(header)
        key = await self._keys.find(algorithm, kid)
        if not key.verifies(f"{parts[0]}.{parts[1]}".encode(), _bytes_of(parts[2])):
            raise InvalidToken("its signature is wrong")
        expires_at = require_times(claims, self._rules, now=self._now())
        require_purpose(claims, self._rules, token_type=token_type)
        caller = caller_of(claims, self._rules)
        self._remember(digest, _Verified(caller, key, expires_at))
        return caller

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)

    def _check_header(self, header: dict[str, Any]) -> tuple[str, str | None, str | None]:
        """Check the header; returns the algorithm, the key's name and the token's type."""
        if "crit" in header:
            raise InvalidToken("it demands an extension that is not understood")
        if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid", "typ")):
            raise InvalidToken("its header is malformed")
        typ = header.get("typ")
        token_type = None if typ is None else typ.lower().removeprefix("application/")
        if token_type not in self._rules.token_types:
            raise InvalidToken("it is not an access token")
        algorithm = header.get("alg", "")
        if algorithm not in self._rules.algorithms:
            raise InvalidToken("its algorithm is not accepted")
        return algorithm, header.get("kid"), token_type


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
