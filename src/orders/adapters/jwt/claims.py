"""Which claims an access token must have, and which caller they name (RFC 7519, RFC 9068).

They are checked here and not by `jwt.decode`, see decision 20: PyJWT takes texts and booleans for
times, and cannot tell an access token from an ID token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orders.application.access import Caller
from orders.application.errors import InvalidToken

Claims = Mapping[str, Any]

ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105  # a media type
_TYPES: Final = frozenset({ACCESS_TOKEN, "jwt", None})
_MAX_SECONDS: Final = 2**53
_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SCOPE_OR_ROLE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")

# Claims of ID tokens (OpenID Connect Core, 2 and 3.3.2.11) and of logout and security event tokens.
_OF_OTHER_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens are accepted.

    `token_types` are lower-case values of the `typ` header without `application/`: `at+jwt`,
    `jwt`, and None for tokens without `typ`. `required` are pairs of a claim and a text: the claim
    must be this text, or a list with this text in it. Without `scopes_count`, roles alone decide.
    `default_tenant` is the tenant of tokens that name none; None refuses them.

    Raises:
        ValueError: If the leeway is negative or over 30 seconds, or a type is none of these.
    """

    issuer: str
    audience: str
    default_tenant: str | None = None
    token_types: frozenset[str | None] = frozenset({ACCESS_TOKEN})
    required: tuple[tuple[str, str], ...] = ()
    scope_claims: tuple[str, ...] = ("scope", "scp")
    scopes_count: bool = True
    algorithms: frozenset[str] = frozenset({"RS256", "PS256", "ES256", "EdDSA", "HS256"})
    leeway_seconds: float = 10
    max_lifetime_seconds: float = 24 * 3600
    max_bytes: int = 8 * 1024

    def __post_init__(self) -> None:
        if not 0 <= self.leeway_seconds <= 30:
            raise ValueError("the leeway is between 0 and 30 seconds")
        if not self.token_types <= _TYPES:
            raise ValueError("the types of access tokens are at+jwt, jwt and none")


def require_times(claims: Claims, rules: TokenRules, *, now: float) -> float:
    """Check all times. Returns when the token ends, in seconds since 1970, leeway included."""
    leeway = rules.leeway_seconds
    expires_at, issued_at = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now >= expires_at + leeway:
        raise InvalidToken("it has expired")
    if issued_at > now + leeway:
        raise InvalidToken("it was issued in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > now + leeway:
        raise InvalidToken("it does not count yet")
    if expires_at - issued_at > rules.max_lifetime_seconds:
        raise InvalidToken("it lives too long")
    return expires_at + leeway


def require_purpose(claims: Claims, rules: TokenRules, *, token_type: str | None) -> None:
    """Check that it is our issuer's access token for us, and not a token of another kind."""
    if claims.get("iss") != rules.issuer:
        raise InvalidToken("it is another issuer's")
    if rules.audience not in _audiences(claims):
        raise InvalidToken("it is for another service")
    if "cnf" in claims:
        raise InvalidToken("it is bound to a key, which is not checked here")
    if _is_of_another_kind(claims):
        raise InvalidToken("it is not an access token")
    if not all(_says(claims.get(name), text) for name, text in rules.required):
        raise InvalidToken("a claim that this service requires is missing or another")
    # A bare JWT may be anything that the issuer signs: something must tell it from an ID token.
    tells = rules.required or any(name in claims for name in rules.scope_claims)
    if token_type != ACCESS_TOKEN and not tells:
        raise InvalidToken("it is not an access token")


def caller_of(claims: Claims, rules: TokenRules) -> Caller:
    """Return the caller that the claims name."""
    scopes = _scopes(claims, rules.scope_claims)
    return Caller(
        subject=_name(claims.get("sub"), "subject"),
        tenant=_name(claims.get("tenant", rules.default_tenant), "tenant"),
        roles=_names(claims.get("roles", []), "roles"),
        scopes=scopes if rules.scopes_count else None,
    )


def _audiences(claims: Claims) -> list[str]:
    said = claims.get("aud", [])
    audiences = said if isinstance(said, list) else [said]
    if not all(isinstance(audience, str) for audience in audiences):
        raise InvalidToken("its audience is malformed")
    return audiences


def _is_of_another_kind(claims: Claims) -> bool:
    kind, use = claims.get("typ", "Bearer"), claims.get("token_use", "access")
    return (
        not _OF_OTHER_TOKENS.isdisjoint(claims)
        or not isinstance(kind, str)
        or kind.lower() != "bearer"
        or not isinstance(use, str)
        or use.lower() == "id"
    )


def _says(value: object, text: str) -> bool:
    return text in value if isinstance(value, list) else value == text


def _scopes(claims: Claims, names: tuple[str, ...]) -> frozenset[str]:
    """Return the token's scopes, none if no claim has any. Two claims must have the same scopes."""
    said = {_scopes_in(claims[name]) for name in names if name in claims}
    if len(said) > 1:
        raise InvalidToken("its scopes contradict each other")
    return said.pop() if said else frozenset()


def _scopes_in(value: object) -> frozenset[str]:
    if isinstance(value, str):
        value = value.split(" ") if value else []
    return _names(value, "scopes")


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidToken(f"its {name} is missing or malformed")
    if not 0 <= value < _MAX_SECONDS:
        raise InvalidToken(f"its {name} is out of range")
    return float(value)


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidToken(f"its {what} is missing or malformed")
    return value


def _names(values: object, what: str) -> frozenset[str]:
    if not isinstance(values, list) or not all(
        isinstance(value, str) and _SCOPE_OR_ROLE.fullmatch(value) for value in values
    ):
        raise InvalidToken(f"its {what} are malformed")
    return frozenset(values)
