"""The keys that verify access tokens, and which keys of a JWKS are accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_encode

from orders.application.errors import InvalidToken

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
MIN_SECRET_BYTES: Final = 32

_ALGORITHMS: Final = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
# What a key without `alg` may verify. An RSA key's tokens say which of the two they are.
_OF_KEY_TYPE: Final = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}


def canonical_name(algorithm: str) -> str:
    """Return the one name that we use for an algorithm: EdDSA for Ed25519 (RFC 9864)."""
    return "EdDSA" if algorithm == "Ed25519" else algorithm


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A key bound to one algorithm, so that no token can choose a weaker algorithm for it.

    Two keys are equal if their `kid`, their algorithm and their public material (`identity`) are.
    """

    kid: str | None
    algorithm: str
    identity: str
    jwk: PyJWK = field(repr=False, compare=False)


def only_match(keys: tuple[VerifyingKey, ...], algorithm: str, kid: str | None) -> VerifyingKey:
    """Return the one key that fits a token's header.

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
        """Fetch the keys if there are none yet.

        Raises:
            KeysUnavailable: If none could be fetched. The call may be repeated.
        """

    async def find(self, algorithm: str, kid: str | None) -> VerifyingKey:
        """Return the one key that verifies tokens with this header.

        Raises:
            InvalidToken: If there is none, or several and no `kid` to choose by.
            KeysUnavailable: If no keys are known yet. The call may be repeated.
        """

    def holds(self, key: VerifyingKey) -> bool:
        """Whether tokens of `key` are still accepted."""


class SharedSecret:
    """A ring of one HS256 secret, for installations without asymmetric keys. Never the default.

    Raises:
        ValueError: If the secret has fewer than 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"an HS256 secret has at least {MIN_SECRET_BYTES} bytes")
        jwk = PyJWK({"kty": "oct", "k": base64url_encode(secret).decode()}, "HS256")
        self._key = VerifyingKey(None, "HS256", "shared secret", jwk)

    async def ensure_keys(self) -> None:
        """Do nothing: the secret is always there."""

    async def find(self, algorithm: str, kid: str | None) -> VerifyingKey:  # noqa: ARG002
        """Return the secret if `algorithm` is HS256. The `kid` is ignored."""
        return only_match((self._key,), algorithm, None)

    def holds(self, key: VerifyingKey) -> bool:
        """Whether `key` is the secret."""
        return key is self._key


def keys_of(jwks: bytes) -> tuple[VerifyingKey, ...]:
    """Return the keys of a JWKS that may verify tokens, each once per algorithm; skip the others.

    A key without `alg` may verify all that its type can, one without `use` verifies signatures.

    Skipped are private and symmetric keys, RSA keys under 2048 or over 8192 bits, curves other
    than P-256 and Ed25519, keys for encryption, keys whose `alg` does not fit their type, and
    members that are no keys.

    Raises:
        ValueError: If the text is no JWKS, or has no such key.
    """
    # Python refuses integers of more than 4300 digits, and one of them would cost us every key.
    document = json.loads(jwks, parse_int=float)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a JWKS")
    # Not PyJWKSet, which one bad key ends: `alg` of "none" with a NotImplementedError, an object as
    # `alg` with a TypeError, `oct` without `k` with a KeyError.
    keys = tuple(dict.fromkeys(key for jwk in listed for key in _keys_in(jwk)))
    if not keys:
        raise ValueError("the JWKS has no key that may verify tokens")
    return keys


def _keys_in(jwk: object) -> Iterator[VerifyingKey]:
    if not isinstance(jwk, dict) or not _is_for_verifying(jwk):
        return
    identity = json.dumps([jwk.get(member) for member in ("kty", "crv", "n", "e", "x", "y")])
    for algorithm in _algorithms_of(jwk):
        try:
            key = PyJWK(jwk, algorithm)
        except (PyJWTError, UnsupportedAlgorithm, KeyError):
            return
        if _is_accepted(key.key):
            yield VerifyingKey(key.key_id, algorithm, identity, key)


def _algorithms_of(jwk: Mapping[str, str]) -> tuple[str, ...]:
    if "alg" in jwk:
        return (canonical_name(jwk["alg"]),)
    return _OF_KEY_TYPE.get(jwk.get("kty", ""), ())


def _is_for_verifying(jwk: Mapping[str, object]) -> bool:
    """Whether the key says that it verifies signatures of an algorithm that we accept."""
    operations = jwk.get("key_ops", ["verify"])
    return (
        all(isinstance(jwk.get(member, ""), str) for member in ("kty", "crv", "alg", "kid"))
        and canonical_name(str(jwk.get("alg", "RS256"))) in _ALGORITHMS
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _is_accepted(key: object) -> bool:
    """Whether it is a public key, of a kind and size that we accept."""
    match key:
        case RSAPublicKey():
            return MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS
        case EllipticCurvePublicKey():
            return isinstance(key.curve, SECP256R1)
        case _:
            return isinstance(key, Ed25519PublicKey)
