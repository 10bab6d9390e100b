"""Whom a token names: its subject, tenant, roles and scopes."""

from __future__ import annotations

import re
from typing import Final

from orders.adapters.jwt.claim_paths import MISSING, Claims, find_claim, first_claim
from orders.adapters.jwt.claims import TokenRules
from orders.application.access import TOKEN_ROLES, TOKEN_SCOPES, Caller, Scope
from orders.application.errors import InvalidToken

_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")


def caller_of(claims: Claims, rules: TokenRules) -> Caller:
    """Return the caller that the claims name.

    Raises:
        InvalidToken: If the subject or the tenant is missing or malformed, or if scopes are
            malformed or contradict each other. No role is a reason to refuse a token.
    """
    tenant = find_claim(claims, rules.tenant_claim)
    granted = _granted_by_roles(claims, rules)
    return Caller(
        subject=_name(first_claim(claims, rules.subject_claims), "subject"),
        tenant=_name(rules.default_tenant if tenant is MISSING else tenant, "tenant"),
        roles=granted & TOKEN_ROLES,
        scopes=_scopes(claims, rules, granted) if rules.scopes_count else None,
    )


def _granted_by_roles(claims: Claims, rules: TokenRules) -> frozenset[str]:
    """Return what the token's roles give: ours by name, or what the map makes of the issuer's."""
    found = (find_claim(claims, where) for where in rules.roles_claims)
    named = frozenset(name for value in found for name in _roles_in(value))
    if rules.role_map:
        return _mapped(named, rules.role_map)
    return named & TOKEN_ROLES


def _roles_in(value: object) -> frozenset[str]:
    """Return the names in a claim: a text is one name, since names may hold blanks.

    Of an object (Zitadel: role → the organisations that granted it) it is those with any grant.
    """
    match value:
        case str():
            return frozenset({value})
        case list():
            return frozenset(name for name in value if isinstance(name, str))
        case dict():
            return frozenset(name for name, by in value.items() if isinstance(by, dict) and by)
        case _:
            return frozenset()


def _scopes(claims: Claims, rules: TokenRules, granted: frozenset[str]) -> frozenset[str]:
    """Return the token's scopes, none if no claim has any. Two claims must have the same scopes."""
    found = (find_claim(claims, where) for where in rules.scope_claims)
    said = {_scopes_in(value) for value in found if value is not MISSING}
    if len(said) > 1:
        raise InvalidToken("its scopes contradict each other")
    scopes = said.pop() if said else frozenset()
    if rules.scope_map:
        scopes = _mapped(scopes, rules.scope_map)
    return (scopes | (granted & TOKEN_SCOPES)) - {Scope.OPERATE}


def _scopes_in(value: object) -> frozenset[str]:
    if isinstance(value, str):
        value = value.split(" ") if value else []
    if not isinstance(value, list) or not all(
        isinstance(scope, str) and _SCOPE.fullmatch(scope) for scope in value
    ):
        raise InvalidToken("its scopes are malformed")
    return frozenset(value)


def _mapped(names: frozenset[str], pairs: tuple[tuple[str, str], ...]) -> frozenset[str]:
    return frozenset(ours for theirs, ours in pairs if theirs in names)


def _name(value: object, what: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidToken(f"its {what} is missing or malformed")
    return value
