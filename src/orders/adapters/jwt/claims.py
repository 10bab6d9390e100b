"""Which claims an access token must have (RFC 7519, RFC 9068). `caller.py` reads whom it names.

They are checked here and not by `jwt.decode`, see decision 20: PyJWT takes texts and booleans for
times, and cannot tell an access token from an ID token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orders.adapters.jwt.claim_paths import MISSING, Claims, find_claim, first_claim
from orders.application.errors import InvalidToken

ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105  # a media type
_TYPES: Final = frozenset({ACCESS_TOKEN, "jwt", None})
_MAX_SECONDS: Final = 2**53

# Claims of ID tokens (OpenID Connect Core, 2 and 3.3.2.11) and of logout and security event tokens.
_OF_OTHER_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens are accepted, and what their claims mean.

    Each claim is a name or a JSON Pointer, see `find_claim`. Of the claims for the subject and for
    the audience the first that is there counts; roles of all `roles_claims` count.

    `token_types` are lower-case values of the `typ` header without `application/`: `at+jwt`,
    `jwt`, and None for tokens without `typ`. `required` are pairs of a claim and a text: the claim
    must be this text, or a list with this text in it; with None it must only be there.

    `role_map` are pairs of the issuer's name and a role or scope of ours, `scope_map` of the
    issuer's name and a scope of ours. A map that is not empty is all that counts.
    Without `scopes_count`, roles alone decide. `default_tenant` is the tenant of tokens that name
    none; None refuses them.

    Raises:
        ValueError: If the leeway is negative or over 30 seconds, or a type is none of these.
    """

    issuer: str
    audiences: frozenset[str]
    audience_claims: tuple[str, ...] = ("aud",)
    subject_claims: tuple[str, ...] = ("sub",)
    tenant_claim: str = "tenant"
    default_tenant: str | None = None
    roles_claims: tuple[str, ...] = ("roles",)
    role_map: tuple[tuple[str, str], ...] = ()
    scope_claims: tuple[str, ...] = ("scope", "scp")
    scope_map: tuple[tuple[str, str], ...] = ()
    scopes_count: bool = True
    token_types: frozenset[str | None] = frozenset({ACCESS_TOKEN})
    required: tuple[tuple[str, str | None], ...] = ()
    takes_bound_tokens: bool = False
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
    if rules.audiences.isdisjoint(_audiences(claims, rules)):
        raise InvalidToken("it is for another service")
    if "cnf" in claims and not rules.takes_bound_tokens:
        raise InvalidToken("it is bound to a key, which is not checked here")
    if _is_of_another_kind(claims):
        raise InvalidToken("it is not an access token")
    if not all(_says(find_claim(claims, where), text) for where, text in rules.required):
        raise InvalidToken("a claim that this service requires is missing or another")
    # A bare JWT may be anything that the issuer signs: something must tell it from an ID token.
    tells = rules.required or first_claim(claims, rules.scope_claims) is not MISSING
    if token_type != ACCESS_TOKEN and not tells:
        raise InvalidToken("it is not an access token")


def _audiences(claims: Claims, rules: TokenRules) -> list[str]:
    said = first_claim(claims, rules.audience_claims)
    if said is MISSING:
        return []
    audiences = said if isinstance(said, list) else [said]
    if not all(isinstance(audience, str) for audience in audiences):
        raise InvalidToken("its audience is malformed")
    return audiences


def _is_of_another_kind(claims: Claims) -> bool:
    kind, use = claims.get("typ", "Bearer"), claims.get("token_use", "access")
    # Keycloak writes DPoP for Bearer if a token is bound to a key.
    kinds = {"bearer", "dpop"} if "cnf" in claims else {"bearer"}
    return (
        not _OF_OTHER_TOKENS.isdisjoint(claims)
        or not isinstance(kind, str)
        or kind.lower() not in kinds
        or not isinstance(use, str)
        or use.lower() == "id"
    )


def _says(value: object, text: str | None) -> bool:
    if text is None:
        return value is not MISSING and value is not None
    return text in value if isinstance(value, list) else value == text


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidToken(f"its {name} is missing or malformed")
    if not 0 <= value < _MAX_SECONDS:
        raise InvalidToken(f"its {name} is out of range")
    return float(value)
