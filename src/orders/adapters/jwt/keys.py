"""The keys that access tokens may be signed with, and which keys are good enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    RSAPSSAlgorithm,
)
from jwt.exceptions import InvalidKeyError

from orders.application.errors import InvalidToken

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
MIN_SECRET_BYTES: Final = 32

# A key signs with one algorithm only, so no token can choose a weaker one for it. The first of
# a family is what a key without `alg` signs with.
_ALGORITHMS: Final[Mapping[tuple[str, str | None], Mapping[str, Algorithm]]] = {
    ("RSA", None): {"RS256": RSAAlgorithm(SHA256), "PS256": RSAPSSAlgorithm(SHA256)},
    ("EC", "P-256"): {"ES256": ECAlgorithm(SHA256)},
    ("OKP", "Ed25519"): {"EdDSA": OKPAlgorithm()},
}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key bound to the one algorithm that it verifies. `identity` is its public material."""

    kid: str | None
    algorithm: str
    identity: str
    _method: Algorithm = field(repr=False, compare=False)
    _material: Any = field(repr=False, compare=False)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`. Never raises."""
        return bool(self._method.verify(message, self._material, signature))


def only_match(keys: tuple[VerifyingKey, ...], algorithm: str, kid: str | None) -> VerifyingKey:
    """The one key for a token's header.

    Raises:
        InvalidToken: If there is none, or several.
    """
    matches = [
        key for key in keys if key.algorithm == algorithm and (kid is None or key.kid == kid)
    ]
    if len(matches) != 1:
        raise InvalidToken("it is not signed by a known key")
    return matches[0]


class KeyRing(Protocol):
    """The keys that tokens may be signed with."""

    async def ensure_keys(self) -> None:
        """Have keys, fetching them if there are none.

        Raises:
            KeysUnavailable: If there are none to be had. Repeat the call.
        """

    async def find(self, algorithm: str, kid: str | None) -> VerifyingKey:
        """The one key that verifies tokens of this header.

        Raises:
            InvalidToken: If there is none, or several and no `kid` to choose by.
            KeysUnavailable: If no keys are known yet. Repeat the call.
        """

    def holds(self, key: VerifyingKey) -> bool:
        """Whether `key` still counts."""


class SharedSecret:
    """One HS256 secret, for installations without asymmetric keys. Never the default.

    Raises:
        ValueError: If the secret has fewer than 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"an HS256 secret has at least {MIN_SECRET_BYTES} bytes")
        method = HMACAlgorithm(HMACAlgorithm.SHA256)
        self._key = VerifyingKey(None, "HS256", "shared secret", method, secret)

    async def ensure_keys(self) -> None:
        """Do nothing: the secret is there."""

    async def find(self, algorithm: str, kid: str | None) -> VerifyingKey:  # noqa: ARG002
        """The secret, for HS256; a `kid` makes no difference."""
        return only_match((self._key,), algorithm, None)

    def holds(self, key: VerifyingKey) -> bool:
        """Whether `key` is the secret."""
        return key is self._key


def keys_of(jwks: bytes) -> tuple[VerifyingKey, ...]:
    """The keys of a JWKS that may verify tokens; all others are passed over.

    Passed over: private and symmetric keys, RSA under 2048 or over 8192 bits, curves other than
    P-256 and Ed25519, keys for encryption, keys of an algorithm that is not their type's, and
    whatever is no key.

    Raises:
        ValueError: If the text is no JWKS, or has no such key.
    """
    # Python refuses integers of more than 4300 digits, and with them all other keys.
    document = json.loads(jwks, parse_int=float)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a JWKS")
    keys = tuple(dict.fromkeys(key for jwk in listed if (key := _key_of(jwk)) is not None))
    if not keys:
        raise ValueError("the JWKS has no key that may verify tokens")
    return keys


def _key_of(jwk: object) -> VerifyingKey | None:
    if not isinstance(jwk, dict) or not _is_for_verifying(jwk):
        return None
    family = _ALGORITHMS.get((str(jwk.get("kty")), _optional(jwk.get("crv"))), {})
    algorithm = jwk.get("alg", next(iter(family), None))
    method = family.get(algorithm) if isinstance(algorithm, str) else None
    if method is None:
        return None
    try:
        material = method.from_jwk(jwk)
    except (InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        return None
    if isinstance(material, RSAPublicKey) and not (
        MIN_RSA_BITS <= material.key_size <= MAX_RSA_BITS
    ):
        return None
    identity = json.dumps([jwk.get(member) for member in ("kty", "crv", "n", "e", "x", "y")])
    return VerifyingKey(_optional(jwk.get("kid")), str(algorithm), identity, method, material)


def _is_for_verifying(jwk: Mapping[str, object]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(jwk.get("kid", ""), str)
        and "d" not in jwk
    )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
