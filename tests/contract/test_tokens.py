"""What `TokenVerifier` promises, kept by `JwtVerifier` against a real JWKS endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from jwt.algorithms import (
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    RSAPSSAlgorithm,
)

from orders.adapters.jwt.claims import TokenRules
from orders.adapters.jwt.jwks import JwksRing
from orders.adapters.jwt.keys import SharedSecret, keys_of
from orders.adapters.jwt.verifier import JwtVerifier
from orders.application.access import Caller
from orders.application.errors import InvalidToken, KeysUnavailable
from orders.entrypoints.container import Container
from orders.entrypoints.sandbox.data_directory import DataDirectory
from orders.entrypoints.sandbox.token_issuer.app import create_app, issue_token
from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from orders.entrypoints.settings.table import Settings
from tests.support.shop import WEBHOOK_SECRET

ISSUER = "https://auth.example"
AUDIENCE = "orders"
NOW = 1_800_000_000
LEEWAY = 10

RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_PSS_KEY = rsa.generate_private_key(65537, 2048)
WEAK_RSA_KEY = rsa.generate_private_key(65537, 1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
P384_KEY = ec.generate_private_key(ec.SECP384R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
ATTACKERS_KEY = ed25519.Ed25519PrivateKey.generate()

METHODS: dict[str, Any] = {
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
    "PS256": RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256),
    "ES256": ECAlgorithm(ECAlgorithm.SHA256),
    "EdDSA": OKPAlgorithm(),
    "Ed25519": OKPAlgorithm(),
    "HS256": HMACAlgorithm(HMACAlgorithm.SHA256),
}
PRIVATE_KEYS: dict[str, Any] = {
    "RS256": RSA_KEY,
    "PS256": RSA_PSS_KEY,
    "ES256": EC_KEY,
    "EdDSA": ED_KEY,
    "Ed25519": ED_KEY,
}


def public_jwk(algorithm: str, key: Any = None, **members: Any) -> dict[str, Any]:
    key = PRIVATE_KEYS[algorithm] if key is None else key
    jwk = METHODS[algorithm].to_jwk(key.public_key(), as_dict=True)
    jwk.pop("key_ops", None)
    return {**jwk, "kid": f"k-{algorithm}", "alg": algorithm, "use": "sig", **members}


ALL_KEYS = [public_jwk(algorithm) for algorithm in ("RS256", "PS256", "ES256", "EdDSA")]


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, algorithm: str = "EdDSA", key: Any = None) -> str:
    text = f"{base64url(header)}.{base64url(payload)}"
    key = PRIVATE_KEYS[algorithm] if key is None else key
    return f"{text}.{base64url(METHODS[algorithm].sign(text.encode(), key))}"


ABSENT = object()


def header_of(algorithm: str = "EdDSA", **changes: Any) -> bytes:
    members = {"alg": algorithm, "kid": f"k-{algorithm}", "typ": "at+jwt", **changes}
    return json.dumps({k: v for k, v in members.items() if v is not ABSENT}).encode()


def claims_of(**changes: Any) -> bytes:
    members = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "customer-1",
        "iat": NOW - 60,
        "exp": NOW + 600,
        "tenant": "shop",
        "roles": ["customer"],
        **changes,
    }
    return json.dumps({k: v for k, v in members.items() if v is not ABSENT}).encode()


def a_token(algorithm: str = "EdDSA", **changes: Any) -> str:
    return signed(header_of(algorithm), claims_of(**changes), algorithm)


class Clock:
    def __init__(self) -> None:
        self.seconds = float(NOW)

    def __call__(self) -> float:
        return self.seconds


class Endpoint:
    """A JWKS endpoint that can be told to misbehave, and counts who asks."""

    def __init__(self) -> None:
        self.keys: list[Any] = ALL_KEYS
        self.answer: Callable[[], web.StreamResponse] | None = None
        self.calls = 0
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        self.asked.set()
        await self.goes_on.wait()
        return self.answer() if self.answer else web.json_response({"keys": self.keys})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def server(endpoint: Endpoint) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/jwks.json", endpoint.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield server
    await server.close()


@pytest.fixture
async def ring(server: TestServer, clock: Clock) -> AsyncIterator[JwksRing]:
    ring = JwksRing(str(server.make_url("/jwks.json")), timeout_seconds=30, now=clock)
    yield ring
    await ring.close()


RULES = TokenRules(issuer=ISSUER, audiences=frozenset({AUDIENCE}), leeway_seconds=LEEWAY)


@pytest.fixture
def verifier(ring: JwksRing, clock: Clock) -> JwtVerifier:
    return JwtVerifier(ring, RULES, now=clock)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_takes_a_token_of_each_algorithm(verifier: JwtVerifier, algorithm: str) -> None:
    token = a_token(algorithm, roles=["support", "risk"], scope="orders:read orders:price")
    assert await verifier.verify(token) == Caller(
        subject="customer-1",
        tenant="shop",
        roles=frozenset({"support", "risk"}),
        scopes=frozenset({"orders:read", "orders:price"}),
    )


@pytest.mark.parametrize(
    ("changes", "roles", "scopes"),
    [
        ({"roles": ABSENT}, frozenset(), frozenset()),
        ({"aud": ["other", AUDIENCE]}, frozenset({"customer"}), frozenset()),
        ({"exp": NOW + 600.5, "iat": NOW - 0.5}, frozenset({"customer"}), frozenset()),
        ({"exp": NOW - LEEWAY + 5}, frozenset({"customer"}), frozenset()),
        ({"iat": NOW + LEEWAY}, frozenset({"customer"}), frozenset()),
        ({"nbf": NOW + LEEWAY}, frozenset({"customer"}), frozenset()),
        ({"exp": NOW - 60 + 24 * 3600}, frozenset({"customer"}), frozenset()),
        ({"typ": "bearer", "token_use": "access"}, frozenset({"customer"}), frozenset()),
    ],
)
async def test_takes_what_the_rules_allow(
    verifier: JwtVerifier,
    changes: dict[str, Any],
    roles: frozenset[str],
    scopes: frozenset[str],
) -> None:
    caller = await verifier.verify(a_token(**changes))
    assert (caller.roles, caller.scopes) == (roles, scopes)


NAMES_SCOPES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no claim": ({}, set()),
    "text": ({"scope": "orders:read orders:pay"}, {"orders:read", "orders:pay"}),
    "empty text": ({"scope": ""}, set()),
    "a list": ({"scope": ["orders:read", "email"]}, {"orders:read", "email"}),
    "an empty list": ({"scope": []}, set()),
    "scp as text": ({"scp": "orders:read"}, {"orders:read"}),
    "scp as a list": ({"scp": ["orders:read"]}, {"orders:read"}),
    "both alike": ({"scope": "a b", "scp": ["b", "a", "b"]}, {"a", "b"}),
}


@pytest.mark.parametrize(("changes", "scopes"), NAMES_SCOPES.values(), ids=NAMES_SCOPES)
async def test_finds_the_scopes_that_a_token_names(
    verifier: JwtVerifier, changes: dict[str, Any], scopes: set[str]
) -> None:
    assert (await verifier.verify(a_token(**changes))).scopes == frozenset(scopes)


async def test_scopes_are_where_the_rules_say(ring: JwksRing, clock: Clock) -> None:
    verifier = JwtVerifier(ring, replace(RULES, scope_claims=("permissions",)), now=clock)
    token = a_token(permissions=["orders:read"], scope="orders:pay")
    assert (await verifier.verify(token)).scopes == frozenset({"orders:read"})


@pytest.mark.parametrize("scope", [ABSENT, "", "email", "orders:read"])
async def test_only_the_rules_say_that_scopes_do_not_count(
    ring: JwksRing, clock: Clock, scope: object
) -> None:
    verifier = JwtVerifier(ring, replace(RULES, scopes_count=False), now=clock)
    assert (await verifier.verify(a_token(scope=scope))).scopes is None


BAD_CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": NOW - 3600, "iat": NOW - 7200}, "expired"),
    "expired at the edge": ({"exp": NOW - LEEWAY - 2}, "expired"),
    "expired at the very edge": ({"exp": NOW - LEEWAY}, "expired"),
    "no exp": ({"exp": ABSENT}, "exp is missing"),
    "exp as text": ({"exp": str(NOW + 600)}, "exp is missing"),
    "exp true": ({"exp": True}, "exp is missing"),
    "exp null": ({"exp": None}, "exp is missing"),
    "exp huge": ({"exp": 10**400}, "exp is out of range"),
    "ten years": ({"exp": NOW + 10 * 365 * 86400}, "lives too long"),
    "one second over a day": ({"exp": NOW - 60 + 24 * 3600 + 1}, "lives too long"),
    "not yet": ({"nbf": NOW + 3600}, "does not count yet"),
    "nbf as text": ({"nbf": "0"}, "nbf is missing"),
    "nbf null": ({"nbf": None}, "nbf is missing"),
    "issued in the future": ({"iat": NOW + 3600, "exp": NOW + 4000}, "in the future"),
    "no iat": ({"iat": ABSENT}, "iat is missing"),
    "negative iat": ({"iat": -1}, "iat is out of range"),
    "other audience": ({"aud": "billing"}, "another service"),
    "no audience": ({"aud": ABSENT}, "another service"),
    "audience as a prefix": ({"aud": "orders2"}, "another service"),
    "audience in an object": ({"aud": {AUDIENCE: 1}}, "audience is malformed"),
    "audience null": ({"aud": None}, "audience is malformed"),
    "no audience in the list": ({"aud": []}, "another service"),
    "a number beside the audience": ({"aud": [AUDIENCE, 7]}, "audience is malformed"),
    "a list beside the audience": ({"aud": [AUDIENCE, [AUDIENCE]]}, "audience is malformed"),
    "other issuer": ({"iss": "https://evil.example"}, "another issuer"),
    "issuer with a slash": ({"iss": ISSUER + "/"}, "another issuer"),
    "issuer in a list": ({"iss": [ISSUER]}, "another issuer"),
    "no issuer": ({"iss": ABSENT}, "another issuer"),
    "no subject": ({"sub": ABSENT}, "subject is missing"),
    "empty subject": ({"sub": ""}, "subject is missing"),
    "numeric subject": ({"sub": 7}, "subject is missing"),
    "subject with a newline": ({"sub": "a\n"}, "subject is missing"),
    "subject with NUL": ({"sub": "a\0b"}, "subject is missing"),
    "subject of 256": ({"sub": "a" * 256}, "subject is missing"),
    "no tenant": ({"tenant": ABSENT}, "tenant is missing"),
    "tenant null": ({"tenant": None}, "tenant is missing"),
    "tenant with a blank": ({"tenant": "a b"}, "tenant is missing"),
    "scope null": ({"scope": None}, "scopes are malformed"),
    "scope as an object": ({"scope": {"orders:read": 1}}, "scopes are malformed"),
    "scope with a newline": ({"scope": "orders:read\n"}, "scopes are malformed"),
    "scopes with two blanks": ({"scope": "orders:read  email"}, "scopes are malformed"),
    "scopes in a list's member": ({"scope": ["orders:read email"]}, "scopes are malformed"),
    "a number in scp": ({"scp": ["orders:read", 7]}, "scopes are malformed"),
    "scp null": ({"scope": "orders:read", "scp": None}, "scopes are malformed"),
    "scp with less": ({"scope": "a b", "scp": ["a"]}, "contradict"),
    "scp with none": ({"scope": "a b", "scp": []}, "contradict"),
    "an ID token's nonce": ({"nonce": "n-1"}, "not an access token"),
    "an ID token's at_hash": ({"at_hash": "MTIz"}, "not an access token"),
    "an ID token's c_hash": ({"c_hash": "MTIz"}, "not an access token"),
    "an ID token's s_hash": ({"s_hash": "MTIz"}, "not an access token"),
    "a logout token's events": ({"events": {}}, "not an access token"),
    "typ ID": ({"typ": "ID"}, "not an access token"),
    "typ Refresh": ({"typ": "Refresh"}, "not an access token"),
    "typ in a list": ({"typ": ["Bearer"]}, "not an access token"),
    "token_use id": ({"token_use": "id"}, "not an access token"),
    "token_use ID": ({"token_use": "ID"}, "not an access token"),
    "token_use in a list": ({"token_use": ["id"]}, "not an access token"),
    "bound to a key": ({"cnf": {"jkt": "0ZcOCORZNYy"}}, "bound to a key"),
}
NO_RULE_TAKES: dict[str, tuple[dict[str, Any], str]] = {
    what: bad
    for what, bad in BAD_CLAIMS.items()
    if bad[1] in {"not an access token", "bound to a key", "audience is malformed"}
}


@pytest.mark.parametrize(("changes", "reason"), BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_refuses_wrong_claims(
    verifier: JwtVerifier, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidToken, match=reason):
        await verifier.verify(a_token(**changes))


BAD_HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "alg none": ({"alg": "none"}, "its algorithm is not accepted"),
    "alg nOnE": ({"alg": "nOnE"}, "its algorithm is not accepted"),
    "alg empty": ({"alg": ""}, "its algorithm is not accepted"),
    "alg missing": ({"alg": ABSENT}, "its algorithm is not accepted"),
    "alg as list": ({"alg": ["EdDSA"]}, "header is malformed"),
    "another key's alg": ({"alg": "ES256"}, "not signed by a known key"),
    "unknown kid": ({"kid": "k9"}, "not signed by a known key"),
    "another key's kid": ({"kid": "k-RS256"}, "not signed by a known key"),
    "kid null": ({"kid": None}, "header is malformed"),
    "kid as number": ({"kid": 1}, "header is malformed"),
    "crit": ({"crit": ["x"], "x": 1}, "extension"),
    "empty crit": ({"crit": []}, "extension"),
    "logout token": ({"typ": "logout+jwt"}, "not an access token"),
    "event token": ({"typ": "secevent+jwt"}, "not an access token"),
    "plain JWT": ({"typ": "JWT"}, "not an access token"),
    "ID token": ({"typ": "id_token"}, "not an access token"),
    "no typ": ({"typ": ABSENT}, "not an access token"),
    "typ null": ({"typ": None}, "header is malformed"),
}


@pytest.mark.parametrize(("changes", "reason"), BAD_HEADERS.values(), ids=BAD_HEADERS)
async def test_refuses_wrong_headers(
    verifier: JwtVerifier, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidToken, match=reason):
        await verifier.verify(signed(header_of(**changes), claims_of()))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_takes_the_documented_types(verifier: JwtVerifier, typ: str) -> None:
    token = signed(header_of(typ=typ), claims_of())
    assert (await verifier.verify(token)).subject == "customer-1"


async def test_takes_tokens_without_a_tenant_by_setting(ring: JwksRing, clock: Clock) -> None:
    verifier = JwtVerifier(ring, replace(RULES, default_tenant="main"), now=clock)
    assert (await verifier.verify(a_token(tenant=ABSENT))).tenant == "main"


ANY_TYPE = replace(RULES, token_types=frozenset({"at+jwt", "jwt", None}))


@pytest.fixture
def easy(ring: JwksRing, clock: Clock) -> JwtVerifier:
    """A verifier that takes tokens of every type that may be taken, and asks for no scope."""
    return JwtVerifier(ring, replace(ANY_TYPE, scopes_count=False), now=clock)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/jwt", ABSENT])
@pytest.mark.parametrize("named", [{"scope": ""}, {"scp": ["openid"]}])
async def test_takes_plain_tokens_that_name_scopes_if_only_none(
    easy: JwtVerifier, typ: object, named: dict[str, Any]
) -> None:
    token = signed(header_of(typ=typ), claims_of(**named))
    assert (await easy.verify(token)).subject == "customer-1"
    with pytest.raises(InvalidToken, match="not an access token"):
        await easy.verify(signed(header_of(typ=typ), claims_of()))


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", ABSENT])
@pytest.mark.parametrize(("changes", "reason"), NO_RULE_TAKES.values(), ids=NO_RULE_TAKES)
async def test_no_rules_take_id_logout_or_bound_tokens(
    ring: JwksRing, clock: Clock, typ: object, changes: dict[str, Any], reason: str
) -> None:
    """Not though they are for us, name our scopes and roles, and say what is required."""
    rules = replace(ANY_TYPE, required=(("typ_", "a"),), scopes_count=False)
    said = {"typ_": "a", "scope": "orders:read", **changes}
    with pytest.raises(InvalidToken, match=reason):
        await JwtVerifier(ring, rules, now=clock).verify(
            signed(header_of(typ=typ), claims_of(**said))
        )


@pytest.mark.parametrize("kind", [{}, {"typ": "Bearer"}, {"typ": "DPoP"}])
@pytest.mark.parametrize("bound_to", [{"jkt": "0ZcOCORZNYy"}, {"x5t#S256": "bwcK0esc3ACC"}, {}])
async def test_only_the_rules_make_a_bound_token_a_bearer_token(
    ring: JwksRing, clock: Clock, kind: dict[str, Any], bound_to: dict[str, str]
) -> None:
    token = a_token(cnf=bound_to, **kind)
    with pytest.raises(InvalidToken, match="bound to a key"):
        await JwtVerifier(ring, RULES, now=clock).verify(token)
    for_gateways = JwtVerifier(ring, replace(RULES, takes_bound_tokens=True), now=clock)
    assert (await for_gateways.verify(token)).subject == "customer-1"
    with pytest.raises(InvalidToken, match="not an access token"):
        await for_gateways.verify(a_token(typ="DPoP"))
    with pytest.raises(InvalidToken, match="not an access token"):
        await for_gateways.verify(a_token(cnf=bound_to, typ="ID"))


@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({"aud": "orders"}, True),
        ({"aud": ["billing", "shop-api"]}, True),
        ({"aud": ["billing"]}, False),
        ({"aud": ABSENT, "client_id": "shop-web"}, True),
        ({"aud": ABSENT, "client_id": "billing"}, False),
        ({"aud": ABSENT}, False),
        # Another service's token that our own client asked for is not ours.
        ({"aud": "billing", "client_id": "shop-web"}, False),
        ({"aud": [], "client_id": "shop-web"}, False),
        ({"aud": None, "client_id": "shop-web"}, False),
    ],
)
async def test_the_first_audience_claim_that_is_there_names_one_of_ours(
    ring: JwksRing, clock: Clock, changes: dict[str, Any], is_taken: bool
) -> None:
    ours = frozenset({"orders", "shop-api", "shop-web"})
    rules = replace(RULES, audiences=ours, audience_claims=("aud", "client_id"))
    verifier = JwtVerifier(ring, rules, now=clock)
    if is_taken:
        assert (await verifier.verify(a_token(**changes))).subject == "customer-1"
    else:
        with pytest.raises(InvalidToken, match=r"another service|audience is malformed"):
            await verifier.verify(a_token(**changes))


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"client_id": "c", "azp": "z"}, "customer-1"),
        ({"sub": ABSENT, "client_id": "c", "azp": "z"}, "c"),
        ({"sub": ABSENT, "azp": "z"}, "z"),
        ({"sub": ABSENT, "ext": {"id": "nested"}}, "nested"),
        ({"sub": "", "client_id": "c"}, None),
        ({"sub": None, "client_id": "c"}, None),
        ({"sub": 7, "client_id": "c"}, None),
        ({"sub": ABSENT}, None),
        ({"sub": ABSENT, "ext": ["id"]}, None),
    ],
)
async def test_the_first_subject_claim_that_is_there_counts(
    ring: JwksRing, clock: Clock, changes: dict[str, Any], subject: str | None
) -> None:
    rules = replace(RULES, subject_claims=("sub", "client_id", "azp", "/ext/id"))
    verifier = JwtVerifier(ring, rules, now=clock)
    if subject is None:
        with pytest.raises(InvalidToken, match="subject is missing"):
            await verifier.verify(a_token(**changes))
    else:
        assert (await verifier.verify(a_token(**changes))).subject == subject


async def test_the_tenant_is_where_the_rules_say(ring: JwksRing, clock: Clock) -> None:
    rules = replace(RULES, tenant_claim="/ext/shop", default_tenant="main")
    verifier = JwtVerifier(ring, rules, now=clock)
    assert (await verifier.verify(a_token(ext={"shop": "north"}))).tenant == "north"
    assert (await verifier.verify(a_token(tenant="south"))).tenant == "main"
    with pytest.raises(InvalidToken, match="tenant is missing"):
        await verifier.verify(a_token(ext={"shop": None}))


NAMES_ROLES: dict[str, tuple[object, set[str]]] = {
    "a list": (["finance", "support"], {"finance", "support"}),
    "one role as text": ("finance", {"finance"}),
    "a text with a blank is one name": ("not admin", set()),
    "two roles in a text are one foreign name": ("finance support", set()),
    "an object of who granted them": ({"finance": {"8421": "shop.example"}}, {"finance"}),
    "an object of yes and no": ({"finance": True, "admin": False, "risk": {}, "x": []}, set()),
    "foreign ones beside": (["finance", "offline_access", "Lager Süd", "", " ", "\n"], {"finance"}),
    "odd ones beside": (["finance", 7, None, ["admin"], {"admin": {"a": 1}}, True], {"finance"}),
    "another case": (["Finance", "FINANCE", "finance "], set()),
    "the service's own": (["operator", "finance"], {"finance"}),
    "the service's own alone": ("operator", set()),
    "a scope": (["orders:pay"], set()),
    "null": (None, set()),
    "a number": (7, set()),
    "true": (True, set()),
    "nothing": ([], set()),
    "absent": (ABSENT, set()),
}


@pytest.mark.parametrize(("value", "roles"), NAMES_ROLES.values(), ids=NAMES_ROLES)
@pytest.mark.parametrize(
    "where", ["roles", "/realm_access/roles", "/https:~1~1shop.example~1r~01s"]
)
async def test_finds_our_roles_and_ignores_whatever_else_is_there(
    ring: JwksRing, clock: Clock, where: str, value: object, roles: set[str]
) -> None:
    verifier = JwtVerifier(ring, replace(RULES, roles_claims=(where,)), now=clock)
    tokens: dict[str, dict[str, Any]] = {
        "roles": {"roles": value},
        "/realm_access/roles": {"roles": ["admin"], "realm_access": {"roles": value}},
        "/https:~1~1shop.example~1r~01s": {"roles": ["admin"], "https://shop.example/r~1s": value},
    }
    claims = tokens[where]
    if value is ABSENT:
        claims = {"roles": ["admin"] if where != "roles" else ABSENT, "realm_access": 7}
    caller = await verifier.verify(a_token(scope="orders:read", **claims))
    assert (set(caller.roles), set(caller.scopes or ())) == (roles, {"orders:read"})


ROLE_MAP = (
    ("Shop Admins", "admin"),
    ("lager", "fulfillment"),
    ("lager", "auditor"),
    ("importer", "integrator"),
    ("importer", "orders:write"),
)
MAPPED: dict[str, tuple[object, set[str], set[str]]] = {
    "a name with a blank": (["Shop Admins"], {"admin"}, set()),
    "one for two roles": ("lager", {"fulfillment", "auditor"}, set()),
    "one for a role and a scope": ({"importer": {"1": "x"}}, {"integrator"}, {"orders:write"}),
    "our own names do not count": (["admin", "integrator", "orders:write"], set(), set()),
    "a part of a name": (["Shop", "Admins", "Shop Admins "], set(), set()),
}


@pytest.mark.parametrize(("named", "roles", "scopes"), MAPPED.values(), ids=MAPPED)
async def test_with_a_map_only_what_is_mapped_counts(
    ring: JwksRing, clock: Clock, named: object, roles: set[str], scopes: set[str]
) -> None:
    rules = replace(RULES, role_map=ROLE_MAP, roles_claims=("roles", "groups"))
    verifier = JwtVerifier(ring, rules, now=clock)
    places: list[dict[str, Any]] = [{"roles": named}, {"roles": ABSENT, "groups": named}]
    for claims in places:
        caller = await verifier.verify(a_token(scope="orders:read", **claims))
        assert (set(caller.roles), set(caller.scopes or ())) == (roles, {"orders:read"} | scopes)


async def test_the_issuers_scopes_become_ours(ring: JwksRing, clock: Clock) -> None:
    pairs = (("shop/read", "orders:read"), ("shop/all", "orders:read"), ("shop/all", "orders:pay"))
    verifier = JwtVerifier(ring, replace(RULES, scope_map=pairs), now=clock)
    for scope, ours in (
        ("shop/read", {"orders:read"}),
        ("openid shop/all", {"orders:read", "orders:pay"}),
        ("orders:pay shop/pay", set()),
    ):
        assert (await verifier.verify(a_token(scope=scope))).scopes == frozenset(ours)


async def test_no_scope_makes_a_token_the_operators(verifier: JwtVerifier) -> None:
    token = a_token(roles=["operator", "admin"], scope="orders:operate orders:read")
    assert (await verifier.verify(token)).scopes == frozenset({"orders:read"})


REQUIRED = (("typ", "Bearer"), ("groups", "shop"))


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", ABSENT])
@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({"typ": "Bearer", "groups": "shop"}, True),
        ({"typ": "Bearer", "groups": ["staff", "shop"]}, True),
        ({"typ": "bearer", "groups": "shop"}, False),
        ({"typ": "Bearer", "groups": "shopping"}, False),
        ({"typ": "Bearer", "groups": ["shopping"]}, False),
        ({"typ": "Bearer", "groups": {"shop": 1}}, False),
        ({"typ": "Bearer"}, False),
        ({"groups": "shop"}, False),
        ({"scope": "orders:read"}, False),
    ],
)
async def test_a_token_says_all_that_is_required(
    ring: JwksRing, clock: Clock, typ: object, changes: dict[str, Any], is_taken: bool
) -> None:
    verifier = JwtVerifier(ring, replace(ANY_TYPE, required=REQUIRED), now=clock)
    token = signed(header_of(typ=typ), claims_of(**changes))
    if is_taken:
        assert (await verifier.verify(token)).subject == "customer-1"
    else:
        with pytest.raises(InvalidToken, match="requires"):
            await verifier.verify(token)


@pytest.mark.parametrize("typ", ["at+jwt", "JWT", ABSENT])
@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({"azp": "shop-web"}, True),
        ({"azp": ""}, True),
        ({"azp": None}, False),
        ({"scope": "orders:read"}, False),
    ],
)
async def test_a_claim_can_be_required_whatever_its_value(
    ring: JwksRing, clock: Clock, typ: object, changes: dict[str, Any], is_taken: bool
) -> None:
    rules = replace(ANY_TYPE, required=(("azp", None),))
    token = signed(header_of(typ=typ), claims_of(**changes))
    if is_taken:
        assert await JwtVerifier(ring, rules, now=clock).verify(token)
    else:
        with pytest.raises(InvalidToken, match="requires"):
            await JwtVerifier(ring, rules, now=clock).verify(token)


@pytest.mark.parametrize("kind", ["logout+jwt", "id_token", "at+JWT", ""])
def test_no_other_type_can_be_allowed(kind: str) -> None:
    with pytest.raises(ValueError, match="types of access tokens"):
        replace(RULES, token_types=frozenset({"at+jwt", kind}))


BAD_TEXTS = {
    "nothing": "",
    "no JWT": "abc",
    "two dots": "..",
    "four parts": a_token() + ".x",
    "no signature": a_token().rpartition(".")[0] + ".",
    "padding": a_token() + "==",
    "half the padding": a_token() + "=",
    "a blank": a_token() + " ",
    "not ASCII": a_token() + "é",
    "16 KiB": "a" * 16384,
    "array claims": signed(header_of(), b"[]"),
    "array header": signed(b"[]", claims_of()),
    "claims not UTF-8": signed(header_of(), b'{"sub":"\xff"}'),
    "NaN": signed(header_of(), claims_of().replace(b"1800000600", b"NaN")),
    "deep": signed(header_of(), b"[" * 3000 + b"]" * 3000),
    "member twice": signed(header_of(), claims_of()[:-1] + b',"sub":"admin"}'),
    "member twice in the header": signed(header_of()[:-1] + b',"alg":"EdDSA"}', claims_of()),
    "exp infinite": signed(header_of(), claims_of().replace(b"1800000600", b"1e400")),
}


@pytest.mark.parametrize("token", BAD_TEXTS.values(), ids=BAD_TEXTS)
async def test_refuses_what_is_not_one_plain_token(verifier: JwtVerifier, token: str) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_no_single_bit_of_a_token_is_idle(verifier: JwtVerifier, algorithm: str) -> None:
    token = a_token(algorithm)
    assert await verifier.verify(token)
    for position in range(0, len(token), 7):
        for bit in (1, 2, 4):
            changed = chr(ord(token[position]) ^ bit)
            with pytest.raises(InvalidToken):
                await verifier.verify(token[:position] + changed + token[position + 1 :])
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for other in set(last) - {token[-1]}:
        with pytest.raises(InvalidToken):
            await verifier.verify(token[:-1] + other)


async def test_refuses_a_token_signed_by_its_own_header(verifier: JwtVerifier) -> None:
    jwk = public_jwk("EdDSA", ATTACKERS_KEY)
    header = header_of(jwk=jwk, jku="https://evil.example/jwks.json", x5c=["x"])
    with pytest.raises(InvalidToken, match="signature is wrong"):
        await verifier.verify(signed(header, claims_of(), key=ATTACKERS_KEY))


async def test_refuses_a_public_key_as_a_secret(verifier: JwtVerifier) -> None:
    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{base64url(header_of('HS256', kid='k-RS256'))}.{base64url(claims_of())}"
    mac = base64url(METHODS["HS256"].sign(text.encode(), pem))
    with pytest.raises(InvalidToken, match="not signed by a known key"):
        await verifier.verify(f"{text}.{mac}")


async def test_refuses_es256_of_zeros_and_in_der(verifier: JwtVerifier) -> None:
    text = f"{base64url(header_of('ES256'))}.{base64url(claims_of())}"
    der = EC_KEY.sign(text.encode(), ec.ECDSA(ECAlgorithm.SHA256()))
    for signature in (bytes(64), der, b""):
        with pytest.raises(InvalidToken, match="signature is wrong"):
            await verifier.verify(f"{text}.{base64url(signature)}")


async def test_refuses_rs256_with_a_key_for_ps256(
    verifier: JwtVerifier, endpoint: Endpoint
) -> None:
    token = signed(
        header_of("RS256", kid="k-PS256"), claims_of(), algorithm="RS256", key=RSA_PSS_KEY
    )
    with pytest.raises(InvalidToken, match="not signed by a known key"):
        await verifier.verify(token)


async def test_without_kid_the_algorithm_must_tell_the_key(
    verifier: JwtVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    token = signed(header_of(kid=ABSENT), claims_of())
    assert (await verifier.verify(token)).subject == "customer-1"
    endpoint.keys = [*ALL_KEYS, public_jwk("EdDSA", ATTACKERS_KEY, kid="k2")]
    clock.seconds += 31
    with pytest.raises(InvalidToken):
        await verifier.verify(signed(header_of(kid="asks again"), claims_of()))
    with pytest.raises(InvalidToken, match="not signed by a known key"):
        await verifier.verify(signed(header_of(kid=ABSENT), claims_of(sub="other")))


def test_passes_over_keys_that_may_not_verify() -> None:
    private = METHODS["EdDSA"].to_jwk(ATTACKERS_KEY, as_dict=True)
    listed = [
        public_jwk("RS256", WEAK_RSA_KEY),
        {"kty": "oct", "k": base64url(b"x" * 32), "kid": "s", "alg": "HS256"},
        {**private, "kid": "p", "alg": "EdDSA"},
        public_jwk("EdDSA", use="enc"),
        public_jwk("EdDSA", key_ops=["sign"]),
        public_jwk("ES256", P384_KEY),
        public_jwk("ES256", alg="RS256"),
        public_jwk("RS256", alg="none"),
        public_jwk("RS256", alg=""),
        public_jwk("EdDSA", crv="Ed448", x=base64url(b"x" * 57)),
        {"kty": "oct", "kid": "no secret"},
        public_jwk("RS256", alg="RS512"),
        public_jwk("RS256", n=7),
        public_jwk("EdDSA", kid=7),
        public_jwk("ES256", x="AA"),
        public_jwk("RS256", kty=["RSA"]),
        public_jwk("RS256", alg={"RS256": 1}),
        public_jwk("RS256", e=None),
        public_jwk("RS256", n="\ud800"),
        public_jwk("EdDSA", crv=["Ed25519"]),
        public_jwk("EdDSA", x="A" * 42),
        public_jwk("EdDSA", key_ops="verify"),
        public_jwk("EdDSA", use=["sig"]),
        public_jwk("EdDSA", kid=None),
        {"kty": "RSA", "exp": 1e999},
        "text",
        7,
        [],
        None,
        {},
    ]
    for jwk in listed:
        with pytest.raises(ValueError, match="no key that may verify"):
            keys_of(json.dumps({"keys": [jwk]}).encode())
    good = public_jwk("RS256", kid="good")
    [key] = keys_of(json.dumps({"keys": [*listed, good, good]}).encode())
    assert (key.kid, key.algorithm) == ("good", "RS256")


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.mark.parametrize("kid", ["a key", ABSENT])
@pytest.mark.parametrize("allowed", [{"RS256"}, {"PS256"}, {"RS256", "PS256"}])
@pytest.mark.parametrize("said", [(), ("use",), ("alg",), ("alg", "use")])
async def test_an_rsa_key_without_alg_verifies_what_the_settings_allow(
    ring: JwksRing,
    endpoint: Endpoint,
    clock: Clock,
    allowed: set[str],
    kid: Any,
    said: tuple[str, ...],
) -> None:
    """With `alg` it verifies that alone, whatever the settings allow."""
    endpoint.keys = [without(public_jwk("RS256", kid="a key"), *said)]
    verifier = JwtVerifier(ring, replace(RULES, algorithms=frozenset(allowed)), now=clock)
    for algorithm in ("RS256", "PS256"):
        token = signed(header_of(algorithm, kid=kid), claims_of(), algorithm, RSA_KEY)
        if algorithm in allowed and (algorithm == "RS256" or "alg" in said):
            assert (await verifier.verify(token)).subject == "customer-1"
        else:
            with pytest.raises(InvalidToken, match=r"algorithm is not accepted|known key"):
                await verifier.verify(token)


@pytest.mark.parametrize("key_names", ["EdDSA", "Ed25519", ABSENT])
@pytest.mark.parametrize("token_names", ["EdDSA", "Ed25519"])
async def test_ed25519_has_two_names(
    ring: JwksRing, endpoint: Endpoint, clock: Clock, key_names: Any, token_names: str
) -> None:
    """RFC 9864 calls it Ed25519, RFC 8037 EdDSA; a server may use one in keys, one in tokens."""
    key = public_jwk("EdDSA", alg=key_names, kid="k-ed")
    endpoint.keys = [without(key, "alg") if key_names is ABSENT else key, public_jwk("RS256")]
    verifier = JwtVerifier(ring, RULES, now=clock)
    token = signed(header_of(token_names, kid="k-ed"), claims_of(), token_names)
    assert (await verifier.verify(token)).subject == "customer-1"
    assert (await verifier.verify(a_token("RS256"))).subject == "customer-1"
    forged = signed(header_of(token_names, kid="k-ed"), claims_of(), token_names, ATTACKERS_KEY)
    with pytest.raises(InvalidToken, match="signature is wrong"):
        await verifier.verify(forged)
    only_rsa = JwtVerifier(ring, replace(RULES, algorithms=frozenset({"RS256"})), now=clock)
    with pytest.raises(InvalidToken, match="algorithm is not accepted"):
        await only_rsa.verify(token)


JSON_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)
ODD_MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "crv", "alg", "use", "kid", "key_ops", "n", "e", "x", "y", "d", "k"]),
    JSON_VALUES | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "AQAB", "AQ", "AA", "none"]),
    min_size=1,
)


@settings(max_examples=50)
@given(
    st.lists(
        st.builds(
            lambda key, odd, gone: without({**key, **odd}, *gone),
            st.sampled_from(ALL_KEYS),
            ODD_MEMBERS,
            st.sets(st.sampled_from(["n", "e", "x", "y", "alg", "use"])),
        )
    )
)
def test_no_odd_key_spoils_the_set(listed: list[dict[str, Any]]) -> None:
    found = keys_of(json.dumps({"keys": [*listed, public_jwk("ES256", kid="good")]}).encode())
    assert [key for key in found if key.kid == "good"]


def test_a_number_too_long_for_python_spoils_its_own_key_only() -> None:
    odd = json.dumps({"kty": "RSA", "exp": "?"}).replace('"?"', "9" * 5_000)
    [key] = keys_of(f'{{"keys": [{odd}, {json.dumps(public_jwk("RS256"))}]}}'.encode())
    assert key.kid == "k-RS256"


def test_a_curve_that_this_openssl_does_not_have_spoils_its_own_key_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where only FIPS algorithms are allowed; such a build is not at hand."""

    def without_ed25519(_: object) -> None:
        raise UnsupportedAlgorithm("ed25519 is not supported by this version of OpenSSL")

    monkeypatch.setattr(OKPAlgorithm, "from_jwk", staticmethod(without_ed25519))
    keys = keys_of(json.dumps({"keys": ALL_KEYS}).encode())
    assert {key.algorithm for key in keys} == {"RS256", "PS256", "ES256"}


async def test_fetches_once_for_many_callers(verifier: JwtVerifier, endpoint: Endpoint) -> None:
    endpoint.goes_on.clear()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(verifier.verify(a_token(sub=f"s{n}"))) for n in range(20)]
        await endpoint.asked.wait()
        endpoint.goes_on.set()
    assert {call.result().subject for call in calls} == {f"s{n}" for n in range(20)}
    assert endpoint.calls == 1


async def test_looks_for_unknown_keys_once_in_thirty_seconds(
    verifier: JwtVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    await verifier.verify(a_token())
    for second in range(61):
        with pytest.raises(InvalidToken):
            await verifier.verify(signed(header_of(kid=f"k{second}"), claims_of()))
        clock.seconds += 1
    # The first of all keys, and of the unknown ones those of the seconds 0, 30 and 60.
    assert endpoint.calls == 4


NEW_KEY = public_jwk("EdDSA", ATTACKERS_KEY, kid="k2")
BY_NEW_KEY = signed(header_of(kid="k2"), claims_of(), key=ATTACKERS_KEY)


@pytest.mark.parametrize("seconds", [0, 1, 29, 31])
async def test_takes_a_new_key_at_once_whatever_was_fetched_before_and_keeps_the_old(
    verifier: JwtVerifier, ring: JwksRing, endpoint: Endpoint, clock: Clock, seconds: int
) -> None:
    await ring.ensure_keys()
    clock.seconds += seconds
    endpoint.keys = [*ALL_KEYS, NEW_KEY]
    assert (await verifier.verify(BY_NEW_KEY)).subject == "customer-1"
    assert (await verifier.verify(a_token())).subject == "customer-1"
    assert endpoint.calls == 2


async def test_a_fetch_under_way_is_not_the_new_keys_own(
    verifier: JwtVerifier, ring: JwksRing, endpoint: Endpoint, clock: Clock
) -> None:
    await ring.ensure_keys()
    endpoint.goes_on.clear()
    endpoint.asked.clear()
    clock.seconds += 301
    await ring.ensure_keys()
    await endpoint.asked.wait()
    listed = iter([ALL_KEYS, [*ALL_KEYS, NEW_KEY]])
    endpoint.answer = lambda: web.json_response({"keys": next(listed)})
    waiting = [asyncio.create_task(verifier.verify(BY_NEW_KEY)) for _ in range(3)]
    endpoint.goes_on.set()
    assert {caller.subject for caller in await asyncio.gather(*waiting)} == {"customer-1"}
    assert endpoint.calls == 3


async def test_a_slow_refresh_is_in_nobodys_way(
    verifier: JwtVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    await verifier.verify(a_token())
    endpoint.goes_on.clear()
    endpoint.asked.clear()
    clock.seconds += 301
    for n in range(50):
        await verifier.verify(a_token(sub=f"s{n}", exp=NOW + 3600))
    await endpoint.asked.wait()
    assert endpoint.calls == 2
    endpoint.goes_on.set()


def too_much() -> web.StreamResponse:
    other_keys = json.dumps({"keys": [public_jwk("RS256")]})
    return web.Response(text=other_keys + " " * 300_000, content_type="application/json")


BROKEN: dict[str, Callable[[], web.StreamResponse]] = {
    "500": lambda: web.Response(status=500),
    "no keys": lambda: web.json_response({"keys": []}),
    "no JWKS": lambda: web.json_response([1]),
    "HTML": lambda: web.Response(text="<html>"),
    "redirect": lambda: web.Response(status=302, headers={"location": "/jwks.json"}),
    "too large": too_much,
    "deep": lambda: web.Response(text="[" * 100_000),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_keeps_the_last_good_keys_a_day_and_more(
    verifier: JwtVerifier,
    ring: JwksRing,
    endpoint: Endpoint,
    clock: Clock,
    broken: Callable[[], web.StreamResponse],
) -> None:
    await ring.ensure_keys()
    endpoint.answer = broken
    for hours in (1, 6, 24, 25):
        clock.seconds = NOW + hours * 3600
        now = int(clock.seconds)
        with pytest.raises(InvalidToken):
            await verifier.verify(signed(header_of(kid="k9"), claims_of(iat=now, exp=now + 60)))
        assert await verifier.verify(a_token(iat=now, exp=now + 60))
    # Every time, the refresh that is due, and the unknown key's own.
    assert endpoint.calls == 1 + 4 * 2


async def test_gives_up_on_an_endpoint_that_hangs(
    server: TestServer, endpoint: Endpoint, clock: Clock
) -> None:
    url = str(server.make_url("/jwks.json"))
    async with JwksRing(url, timeout_seconds=1, now=clock) as ring:
        verifier = JwtVerifier(ring, RULES, now=clock)
        endpoint.goes_on.clear()
        with pytest.raises(KeysUnavailable):
            await verifier.verify(a_token())
        endpoint.goes_on.set()
        with pytest.raises(KeysUnavailable):
            await verifier.verify(a_token())
        assert endpoint.calls == 1
        clock.seconds += 1
        assert await verifier.verify(a_token())


async def test_old_keys_end_some_day(
    verifier: JwtVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    await verifier.verify(a_token())
    endpoint.answer = BROKEN["500"]
    clock.seconds += 7 * 24 * 3600 + 1
    now = int(clock.seconds)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(a_token(iat=now, exp=now + 60))


async def test_who_stops_waiting_does_not_stop_the_one_fetch(
    ring: JwksRing, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.goes_on.clear()
    impatient = asyncio.create_task(ring.ensure_keys())
    await endpoint.asked.wait()
    clock.seconds += 60
    patient = asyncio.create_task(ring.ensure_keys())
    impatient.cancel()
    await asyncio.wait([impatient])
    endpoint.goes_on.set()
    await patient
    assert endpoint.calls == 1


async def test_a_remembered_token_ends_on_time(verifier: JwtVerifier, clock: Clock) -> None:
    token = a_token(exp=NOW + 20)
    first = await verifier.verify(token)
    clock.seconds = NOW + 20 + LEEWAY - 1
    assert await verifier.verify(token) is first
    clock.seconds = NOW + 20 + LEEWAY
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(token)


async def test_a_remembered_token_ends_with_its_key(
    verifier: JwtVerifier, endpoint: Endpoint, ring: JwksRing, clock: Clock
) -> None:
    token = a_token("ES256")
    await verifier.verify(token)
    endpoint.keys = [public_jwk("EdDSA")]
    clock.seconds += 31
    with pytest.raises(InvalidToken):
        await verifier.verify(signed(header_of(kid="k9"), claims_of()))
    with pytest.raises(InvalidToken, match="not signed by a known key"):
        await verifier.verify(token)


async def test_remembers_no_more_than_its_bound(ring: JwksRing, clock: Clock) -> None:
    verifier = JwtVerifier(ring, RULES, cache_size=2, now=clock)
    first = await verifier.verify(a_token(sub="s1"))
    await verifier.verify(a_token(sub="s2"))
    assert await verifier.verify(a_token(sub="s1")) is first
    await verifier.verify(a_token(sub="s3"))
    assert await verifier.verify(a_token(sub="s1")) is first
    assert len(verifier._verified) == 2


async def test_no_part_of_a_token_is_told_or_logged(
    verifier: JwtVerifier, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = [a_token(), a_token(exp=NOW - 99), a_token(sub=7), a_token()[:-1] + "!", "x.y.z"]
    for token in tokens:
        try:
            told = repr(await verifier.verify(token))
        except InvalidToken as refusal:
            told = f"{refusal!r} {refusal.__cause__!r} {refusal.__context__!r}"
        told += caplog.text + repr(vars(verifier)) + repr(verifier)
        for part in token.split("."):
            assert len(part) < 2 or part not in told


async def test_hs256_only_with_a_secret_of_its_own(clock: Clock) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    verifier = JwtVerifier(SharedSecret(secret), RULES, now=clock)
    token = signed(header_of("HS256"), claims_of(), algorithm="HS256", key=secret)
    assert (await verifier.verify(token)).subject == "customer-1"
    with pytest.raises(InvalidToken):
        await verifier.verify(a_token("EdDSA"))
    with pytest.raises(ValueError, match="at least 32 bytes"):
        SharedSecret(secret[:-1])


BY_SETTINGS: dict[str, tuple[dict[str, str], dict[str, Any], bool]] = {
    "plain JWT": ({}, {"HEADER": "JWT"}, False),
    "plain JWT, allowed": ({"JWT_TYPES": "at+jwt,JWT"}, {"HEADER": "JWT"}, True),
    "no typ": ({"JWT_TYPES": "at+jwt,JWT"}, {"HEADER": ABSENT}, False),
    "no typ, allowed": ({"JWT_TYPES": "none"}, {"HEADER": ABSENT}, True),
    "at+jwt, not allowed": ({"JWT_TYPES": "none"}, {}, False),
    "required": (
        {"JWT_REQUIRED": "client=shop=1,realm=x"},
        {"client": "shop=1", "realm": "x"},
        True,
    ),
    "required, missing": ({"JWT_REQUIRED": "client=shop=1,realm=x"}, {"client": "shop=1"}, False),
    "other scope claims": (
        {"JWT_SCOPE_CLAIMS": "scp, ext"},
        {"ext": ["orders:read"], "scope": ABSENT},
        True,
    ),
    "scopes ignored": ({"JWT_SCOPES": "ignored"}, {"scope": ABSENT}, True),
    "no tenant": ({}, {"tenant": ABSENT}, True),
    "no tenant, refused": ({"DEFAULT_TENANT": "none"}, {"tenant": ABSENT}, False),
    "no tenant, refused in capitals": ({"DEFAULT_TENANT": "NONE"}, {"tenant": ABSENT}, False),
    "a tenant": ({"DEFAULT_TENANT": "none"}, {}, True),
    "a tenant elsewhere": (
        {"DEFAULT_TENANT": "none", "JWT_TENANT_CLAIM": "/org/id"},
        {"tenant": ABSENT, "org": {"id": "shop"}},
        True,
    ),
    "one of our audiences": ({"AUDIENCE": "x, orders"}, {}, True),
    "none of our audiences": ({"AUDIENCE": "x, y"}, {}, False),
    "bound": ({}, {"cnf": {"jkt": "x"}}, False),
    "bound, allowed": ({"JWT_BOUND_TOKENS": "as_bearer"}, {"cnf": {"jkt": "x"}}, True),
}


@pytest.mark.parametrize(("settings", "changes", "is_taken"), BY_SETTINGS.values(), ids=BY_SETTINGS)
async def test_the_rules_are_those_of_the_settings(
    settings: dict[str, str], changes: dict[str, Any], is_taken: bool
) -> None:
    secret = "s" * 32
    environment = {
        "ORDERS_MONGO_URI": "mongodb://127.0.0.1",
        "ORDERS_PAYMENT_URL": "http://127.0.0.1",
        "ORDERS_PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ORDERS_ISSUER": ISSUER,
        "ORDERS_AUDIENCE": AUDIENCE,
        "ORDERS_JWT_ALGORITHMS": "HS256",
        "ORDERS_JWT_HS256_SECRET": secret,
        **{f"ORDERS_{name}": value for name, value in settings.items()},
    }
    verifier = Container(settings=Settings.read(environment)).tokens()
    now = int(time.time())
    said = {"iat": now, "exp": now + 60, "scope": "orders:read", **changes}
    header = header_of("HS256", typ=said.pop("HEADER", "at+jwt"))
    token = signed(header, claims_of(**said), "HS256", secret.encode())
    if not is_taken:
        with pytest.raises(InvalidToken):
            await verifier.verify(token)
    else:
        scopes = None if settings.get("JWT_SCOPES") == "ignored" else frozenset({"orders:read"})
        assert (await verifier.verify(token)).scopes == scopes


def test_a_leeway_of_more_than_thirty_seconds_is_no_setting() -> None:
    with pytest.raises(ValueError, match="30 seconds"):
        replace(RULES, leeway_seconds=31)


async def test_the_sandbox_issues_what_the_verifier_takes(tmp_path: Path, clock: Clock) -> None:
    key_file = tmp_path / "keys" / "issuer.pem"
    app = create_app(key_file=key_file, issuer=ISSUER, audience=AUDIENCE)
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        ring = JwksRing(str(client.make_url("/.well-known/jwks.json")))
        token = issue_token(
            key_file,
            issuer=ISSUER,
            audience=AUDIENCE,
            subject="s",
            roles=["admin"],
            scopes=["orders:read"],
            tenant="shop",
            ttl_seconds=60,
            now=NOW,
        )
        caller = await JwtVerifier(ring, RULES, now=clock).verify(token)
        assert (caller.roles, caller.scopes) == (frozenset({"admin"}), frozenset({"orders:read"}))
        answer = await client.post("/token", json={"sub": "z", "roles": ["risk"], "tenant": "t"})
        issued = await answer.json()
        assert (issued["token_type"], issued["expires_in"]) == ("Bearer", 3600)
        other = await JwtVerifier(ring, RULES).verify(issued["access_token"])
        assert (other.subject, other.tenant) == ("z", "t")
        assert other.scopes == frozenset({"orders:read", "orders:write", "orders:hold"})
        for roles, scope, scopes in (
            (["risk"], "", set()),
            (["risk"], "orders:pay x", {"orders:pay", "x"}),
            (["integrator"], None, set()),
        ):
            wanted = {"sub": "z", "tenant": "t", "roles": roles, "scope": scope}
            issued = await (await client.post("/token", json=wanted)).json()
            given = await JwtVerifier(ring, RULES).verify(issued["access_token"])
            assert given.scopes == frozenset(scopes)
        found = await (await client.get("/.well-known/openid-configuration")).json()
        assert found["jwks_uri"] == str(client.make_url("/.well-known/jwks.json"))
        for wrong in (b"{", b'{"sub":""}', b'{"sub":"s","ttl":999999}', b'{"sub":"s","x":1}'):
            assert (await client.post("/token", data=wrong)).status == 400
        await ring.close()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("audiences", ["orders", " shop , orders", "shop"])
async def test_the_sandbox_signs_for_the_first_audience_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audiences: str
) -> None:
    monkeypatch.setenv("ORDERS_AUDIENCE", audiences)
    token = sandbox_token(DataDirectory(tmp_path), subject="ada", roles=["customer"])
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == audiences.partition(",")[0].strip()


def test_processes_that_start_together_make_one_key(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys, pathlib
        from orders.entrypoints.sandbox.token_issuer.app import load_key
        sys.stdin.read(1)
        print(load_key(pathlib.Path(sys.argv[1])).public_key().public_bytes_raw().hex())
    """)
    command = [sys.executable, "-c", program, str(tmp_path / "issuer.pem")]
    source = str(Path(__file__).parents[2] / "src")
    environ = {**os.environ, "PYTHONPATH": source}
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
                )
            )
            for _ in range(4)
        ]
        for process in started:
            stack.callback(process.kill)
            assert process.stdin is not None
            process.stdin.write("x")
            process.stdin.flush()
        keys = {process.communicate(timeout=60)[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["issuer.pem"]
