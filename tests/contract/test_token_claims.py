"""What holds for all claims, under all rules: no crash, and nothing foreign gives a permission."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import hypothesis.strategies as st
from hypothesis import given
from jwt import PyJWS

from orders.adapters.jwt.caller import caller_of
from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.keys import SharedSecret
from orders.adapters.jwt.verifier import JwtVerifier
from orders.application.access import (
    TOKEN_ROLES,
    TOKEN_SCOPES,
    Caller,
    Operation,
    Role,
    Scope,
    can_access_all,
    is_allowed,
)
from orders.application.errors import InvalidToken

NOW: Final = 1_800_000_000
SECRET: Final = b"0123456789abcdef0123456789abcdef"
COMPLETE: Final[dict[str, Any]] = {
    "iss": "https://auth.example",
    "aud": "orders",
    "sub": "ada",
    "iat": NOW - 60,
    "exp": NOW + 600,
    "tenant": "shop",
    "scope": "orders:read orders:write",
    "roles": ["support"],
}
Pairs = tuple[tuple[str, str], ...]

OPERATORS: Final = {Operation.SEE_OUTBOX, Operation.RESEND_EVENTS, Operation.DROP_EVENTS}
ROLE_MAP: Final = (
    ("Shop Support", "support"),
    ("Finanzen", "finance"),
    ("Finanzen", "orders:pay"),
    ("importer", "integrator"),
    ("importer", "orders:write"),
)
SCOPE_MAP: Final = (("shop/read", "orders:read"), ("shop/all", "orders:write"))
RULES: Final = TokenRules(
    issuer="https://auth.example",
    audiences=frozenset({"orders", "shop"}),
    audience_claims=("aud", "client_id"),
    subject_claims=("sub", "/ext/id"),
    roles_claims=("roles", "/realm_access/roles", "cognito:groups"),
    token_types=frozenset({"at+jwt", "jwt", None}),
    default_tenant="main",
)

any_rules = st.builds(
    replace,
    st.just(RULES),
    role_map=st.sampled_from([(), ROLE_MAP]),
    scope_map=st.sampled_from([(), SCOPE_MAP]),
    scopes_count=st.booleans(),
    takes_bound_tokens=st.booleans(),
    required=st.sampled_from([(), (("typ", "Bearer"),), (("/ext/id", None),)]),
)
known_roles = st.sampled_from([*Role, *(theirs for theirs, _ in ROLE_MAP)]).map(str)
known_scopes = st.sampled_from([*Scope, *(theirs for theirs, _ in SCOPE_MAP), "openid"]).map(str)
several = st.lists(known_roles | known_scopes, min_size=2, max_size=3).map(" ".join)
names = st.text(max_size=30) | known_roles | known_scopes | several
scope_names = st.from_regex(r"[!#-\[\]-~]{1,30}", fullmatch=True) | known_scopes
json_values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | known_roles
    | known_scopes
    | several,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | known_roles, inner),
    max_leaves=8,
)
claim_names = st.sampled_from([
    *COMPLETE, "scp", "nbf", "typ", "token_use", "cnf", "client_id", "ext", "realm_access",
    "cognito:groups", "nonce", "events",
]) | st.text()  # fmt: skip


def permissions(caller: Caller) -> tuple[set[Operation], set[Operation]]:
    """What the caller may do at all, and to which of it no ownership is a limit."""
    allowed = {operation for operation in Operation if is_allowed(caller, operation)}
    return allowed, {operation for operation in allowed if can_access_all(caller, operation)}


def verified(claims: dict[str, Any], rules: TokenRules, typ: str | None) -> Caller:
    header = {"typ": typ, "kid": "k1"}
    token = PyJWS().encode(json.dumps(claims).encode(), SECRET, "HS256", header)
    verifier = JwtVerifier(SharedSecret(SECRET), rules, now=lambda: NOW)
    return asyncio.run(verifier.verify(token))


@given(
    st.dictionaries(claim_names, json_values, max_size=6),
    st.sets(st.sampled_from(sorted(COMPLETE)), max_size=2),
    any_rules,
    st.sampled_from(["at+jwt", "JWT", None]),
)
def test_no_claims_do_more_than_name_a_caller_or_be_refused(
    odd: dict[str, Any], missing: set[str], rules: TokenRules, typ: str | None
) -> None:
    kept = {name: value for name, value in COMPLETE.items() if name not in missing}
    with suppress(InvalidToken):
        caller = verified({**kept, **odd}, rules, typ)
        assert caller.roles <= {*Role} - {Role.OPERATOR}
        assert Scope.OPERATE not in (caller.scopes or ())
        assert OPERATORS.isdisjoint(permissions(caller)[0])


def named(scopes: Collection[str], form: str) -> dict[str, Any]:
    """The scopes as a token has them; some issuers leave the claim out if there is none."""
    if not scopes and form == "left out":
        return {}
    return {"scope": " ".join(scopes) if form == "text" else list(scopes)}


def counts(name: object, pairs: Pairs, ours: frozenset[str]) -> bool:
    """Whether a name of the issuer means something here."""
    return name in ({theirs for theirs, _ in pairs} or ours)


odd_roles = (
    several
    | names
    | st.lists(names | json_values)
    | st.dictionaries(names, st.booleans() | st.none() | st.text() | st.just({}) | st.lists(names))
    | json_values
)
"""What a claim of roles may be; a test takes out what counts."""


@given(
    st.data(),
    any_rules,
    st.lists(known_roles, max_size=3),
    st.lists(known_scopes, max_size=4, unique=True),
    odd_roles,
    st.lists(scope_names, max_size=3, unique=True),
)
def test_foreign_roles_and_scopes_give_nothing_and_take_nothing(
    data: st.DataObject,
    rules: TokenRules,
    roles: list[str],
    scopes: list[str],
    odd: Any,
    more_scopes: list[str],
) -> None:
    def foreign(name: object) -> bool:
        return not isinstance(name, str) or not counts(name, rules.role_map, TOKEN_ROLES)

    match odd:
        case list():
            odd = [name for name in odd if foreign(name)]
        case dict():
            grants = {name for name, by in odd.items() if isinstance(by, dict) and by}
            odd = {name: by for name, by in odd.items() if foreign(name) or name not in grants}
        case _:
            odd = odd if foreign(odd) else None
    others = [name for name in more_scopes if not counts(name, rules.scope_map, TOKEN_SCOPES)]
    plain = {**COMPLETE, "roles": roles, **named(scopes, "list")}
    beside = data.draw(st.permutations([*roles, *(odd if isinstance(odd, list) else [])]))
    more = {
        **COMPLETE,
        "roles": beside,
        "cognito:groups": odd,
        **named(data.draw(st.permutations([*scopes, *others])), "list"),
    }
    assert permissions(caller_of(more, rules)) == permissions(caller_of(plain, rules))


@given(
    any_rules,
    st.sets(known_roles, max_size=3),
    st.sets(known_roles, max_size=2),
    st.sets(known_scopes, max_size=4),
    st.sets(known_scopes, max_size=3),
    st.sampled_from(["text", "list", "left out"]),
)
def test_who_has_less_never_gets_more(
    rules: TokenRules,
    roles: set[str],
    further_roles: set[str],
    scopes: set[str],
    further_scopes: set[str],
    form: str,
) -> None:
    less = {**without_scope(), "roles": sorted(roles), **named(sorted(scopes), form)}
    more = {
        **without_scope(),
        "roles": sorted(roles | further_roles),
        **named(sorted(scopes | further_scopes), form),
    }
    for fewer, further in zip(
        permissions(caller_of(less, rules)), permissions(caller_of(more, rules)), strict=True
    ):
        assert fewer <= further


def without_scope() -> dict[str, Any]:
    return {name: value for name, value in COMPLETE.items() if name != "scope"}
