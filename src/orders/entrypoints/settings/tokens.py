"""The settings of access tokens: what each accepts, and how it becomes a value."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from orders.application.access import TOKEN_ROLES, TOKEN_SCOPES
from orders.entrypoints.settings.kinds import Unusable, as_text, choice, list_of, setting

_PRINTABLE: Final = re.compile(r"[!-~]{1,255}")
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])+)+")  # RFC 6901, without empty parts
_A_CLAIM: Final = "a claim's name, or a JSON Pointer such as /realm_access/roles"


def _as_algorithm(text: str) -> str:
    if text not in {"RS256", "PS256", "ES256", "EdDSA", "Ed25519", "HS256"}:
        raise ValueError
    return "EdDSA" if text == "Ed25519" else text


def _as_token_type(text: str) -> str:
    if text.lower() not in {"at+jwt", "jwt", "none"}:
        raise ValueError
    return text.lower()


def _as_claim(text: str) -> str:
    is_pointer = text.startswith("/")
    if not _PRINTABLE.fullmatch(text) or (is_pointer and not _POINTER.fullmatch(text)):
        raise ValueError
    return text


def _as_requirement(text: str) -> str:
    claim, equals, value = text.partition("=")
    _as_claim(claim)
    if equals and not _PRINTABLE.fullmatch(value):
        raise ValueError
    return text


def _as_tenant(text: str) -> str:
    if not _PRINTABLE.fullmatch(text):
        raise ValueError
    return "none" if text.lower() == "none" else text


def _as_shared_secret(text: str) -> str:
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415  # late: most commands need none
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415

    if len(text.encode()) < 32:
        raise ValueError
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text)
    except InvalidKeyError:
        raise Unusable("it is a key in PEM, SSH or JWK form, not a random secret") from None
    return text


def _claims(meaning: str, *default: str) -> Any:
    return list_of(meaning, _A_CLAIM, _as_claim, default=default)


def _map_to(meaning: str, accepts: str, ours: Collection[str]) -> Any:
    """Declare pairs of the issuer's name and one of `ours`."""

    def parse(text: str) -> tuple[tuple[str, str], ...]:
        parts = [part.strip() for part in re.split(r"(?<!\\),", text)]
        pairs = tuple(pair(part.replace("\\,", ",")) for part in parts if part)
        if not pairs:
            raise ValueError
        return pairs

    def pair(text: str) -> tuple[str, str]:
        theirs, equals, name = (part.strip() for part in text.rpartition("="))
        if not equals or not theirs.isprintable() or not 0 < len(theirs) <= 255:
            raise ValueError
        if name not in ours:
            raise Unusable(f"a name is mapped to something else than {', '.join(sorted(ours))}")
        return theirs, name

    return setting(meaning, f"{accepts}; several with commas", parse, default=())


AUDIENCE = list_of(
    "the accepted aud of a token; several if any of them is enough", "printable text", as_text
)
ALGORITHMS = list_of(
    "accepted signature algorithms; EdDSA is also called Ed25519",
    "RS256, PS256, ES256, EdDSA or HS256",
    _as_algorithm,
    default=("RS256", "PS256", "ES256", "EdDSA"),
)
HS256_SECRET = setting(
    "shared secret, needed for HS256 only",
    "at least 32 bytes",
    _as_shared_secret,
    default=None,
    secret=True,
)
TYPES = list_of(
    "accepted typ of a token; others than at+jwt need a scope claim (it may be empty), or "
    "ORDERS_JWT_REQUIRED",
    "at+jwt, JWT or none",
    _as_token_type,
    default=("at+jwt",),
)
REQUIRED = list_of(
    "further claims of every token, such as token_use=access; a list must contain the value; "
    "without a value the claim must only be there",
    "claim=value, or a claim",
    _as_requirement,
    default=(),
)
AUDIENCE_CLAIMS = _claims("claims with a token's audience; the first that is there counts", "aud")
SUBJECT_CLAIMS = _claims("claims with a token's subject; the first that is there counts", "sub")
ROLES_CLAIM = _claims(
    "claims with a token's roles: a text (one role), a list, or an object of objects whose names "
    "are the roles; the roles of all claims count",
    "roles",
)
ROLE_MAP = _map_to(
    "which roles and scopes the issuer's roles give; if set, only these roles count. A name may "
    r"hold blanks, and stand there several times; \, is a comma in a name",
    "issuer's role=role or scope, such as Shop Admins=admin",
    TOKEN_ROLES | TOKEN_SCOPES,
)
SCOPE_CLAIMS = _claims(
    "claims with a token's scopes, as text or as a list; two of them must not contradict each "
    "other",
    "scope",
    "scp",
)
SCOPE_MAP = _map_to(
    "which scopes the issuer's scopes give; if set, only these scopes count",
    "issuer's scope=scope, such as orders/read=orders:read",
    TOKEN_SCOPES,
)
SCOPES = choice(
    "required: an operation needs its scope; ignored: roles alone decide",
    "required",
    "required",
    "ignored",
)
BOUND_TOKENS = choice(
    "tokens that are bound to a key (cnf: DPoP, mutual TLS), whose proof the service does not "
    "check; as_bearer: accepted without the proof, for gateways that have checked it",
    "refused",
    "refused",
    "as_bearer",
)
TENANT_CLAIM = setting("claim with a token's tenant", _A_CLAIM, _as_claim, default="tenant")
DEFAULT_TENANT = setting(
    "tenant of a token without a tenant; none: such a token is refused",
    "1 to 255 printable ASCII characters without blanks, or none",
    _as_tenant,
    default="main",
)
