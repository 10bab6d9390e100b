"""Access tokens: JSON Web Tokens that the auth service signed (RFC 7519).

PyJWT decodes base64 and checks the signature. We check what it is lenient about: the form of the
text, the header, and members of an object that are there twice. `claims.py` checks the claims,
`caller.py` reads whom they name.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWS
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import InvalidSignatureError, PyJWTError
from jwt.utils import base64url_decode

from orders.adapters.jwt.caller import caller_of
from orders.adapters.jwt.claim_paths import Claims
from orders.adapters.jwt.claims import TokenRules, require_purpose, require_times
from orders.adapters.jwt.keys import KeyRing, VerifyingKey, canonical_name
from orders.application.access import Caller
from orders.application.errors import InvalidToken

_JWS: Final = PyJWS()
_JWS.register_algorithm("Ed25519", OKPAlgorithm())  # RFC 9864; PyJWT 2.15 knows EdDSA only
# PyJWT takes base64 with padding, too.
_THREE_PARTS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    key: VerifyingKey
    expires_at: float  # seconds since 1970, leeway included


class JwtVerifier:
    """`TokenVerifier` over a ring of keys.

    Caches the last `cache_size` verified tokens, by their hash, until they expire or their key
    leaves the ring. `now` is in seconds since 1970.
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
        """Return the caller that the token names. May be repeated.

        Raises:
            InvalidToken: If anything is wrong with the token. The reason holds no part of it.
            KeysUnavailable: If no key is known yet. The call may be repeated.
        """
        if len(token) > self._rules.max_bytes or not _THREE_PARTS.fullmatch(token):
            raise InvalidToken("it is too long, or not a signed JWT")
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
        algorithm, kid, token_type = self._check_header(_header_of(token))
        key = await self._keys.find(canonical_name(algorithm), kid)
        claims = _claims_of(token, key, algorithm)
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
        """Check the header. Returns the algorithm as it stands there, the key's name, the type."""
        if "crit" in header:
            raise InvalidToken("it demands an extension that is not understood")
        if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid", "typ")):
            raise InvalidToken("its header is malformed")
        typ = header.get("typ")
        token_type = None if typ is None else typ.lower().removeprefix("application/")
        if token_type not in self._rules.token_types:
            raise InvalidToken("it is not an access token")
        algorithm = header.get("alg", "")
        if canonical_name(algorithm) not in self._rules.algorithms:
            raise InvalidToken("its algorithm is not accepted")
        return algorithm, header.get("kid"), token_type


def _header_of(token: str) -> dict[str, Any]:
    try:
        return _object_of(base64url_decode(token.partition(".")[0]))
    except ValueError:
        raise InvalidToken("it is not base64url") from None


def _claims_of(token: str, key: VerifyingKey, algorithm: str) -> Claims:
    """Check the signature. Returns the claims. `algorithm` is a name of the key's algorithm."""
    try:
        # Not `jwt.decode`: of a member that is there twice, it takes the last one. And not the
        # PyJWK, which refuses the other name of its algorithm.
        return _object_of(_JWS.decode(token, key.jwk.key, algorithms=[algorithm]))
    except InvalidSignatureError:
        raise InvalidToken("its signature is wrong") from None
    except PyJWTError:
        raise InvalidToken("it is not a signed JWT") from None


def _object_of(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            text.decode(), object_pairs_hook=_unique_members, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise InvalidToken("it is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidToken("it is not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse_constant(_: str) -> float:
    raise ValueError("not a JSON number")
