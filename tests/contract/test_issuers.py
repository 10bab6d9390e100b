"""Each issuer's tokens, with the settings that docs/auth.md gives for it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWS
from jwt.algorithms import RSAAlgorithm

from orders.application.access import Caller, Operation, is_allowed
from orders.application.errors import InvalidToken
from orders.entrypoints.container import Container
from orders.entrypoints.settings.table import Settings
from tests.contract.token_shapes import IAT, ISSUERS, READ_WRITE, TIME_CLAIMS, Issuer
from tests.support.auth_page import issuers, settings_of, shown_claims_of
from tests.support.shop import WEBHOOK_SECRET

KEY: Final = rsa.generate_private_key(65537, 2048)
JWK: Final = {
    **RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True),
    "kid": "k1",
    "alg": "RS256",
    "use": "sig",
}
OTHER_SETTINGS: Final = {
    "ORDERS_MONGO_URI": "mongodb://127.0.0.1",
    "ORDERS_PAYMENT_URL": "http://127.0.0.1",
    "ORDERS_PAYMENT_WEBHOOK_SECRET": WEBHOOK_SECRET,
}
MARKS_OF_ID_TOKENS: Final = ("nonce", "at_hash", "c_hash", "s_hash")

each_issuer = pytest.mark.parametrize("name", ISSUERS)


class Endpoint:
    """A JWKS endpoint on loopback."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.url = ""

    async def handle(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_get("/keys", endpoint.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        endpoint.url = str(server.make_url("/keys"))
        yield endpoint


async def verified(
    endpoint: Endpoint,
    issuer: Issuer,
    settings: Mapping[str, str],
    claims: dict[str, Any],
    **header: str,
) -> Caller:
    """Return the caller of a token that the issuer signs now, as the service reads it."""
    published = ("kty", "n", "e", *issuer.jwk)
    encrypting = {**JWK, "kid": "e1", "alg": "RSA-OAEP", "use": "enc"}
    endpoint.keys = [encrypting, {name: JWK[name] for name in published}]
    environ = {**OTHER_SETTINGS, **settings, "ORDERS_JWKS_URL": endpoint.url}
    container = Container(settings=Settings.read(environ))
    later = int(time.time()) - IAT
    now = {name: claims[name] + later for name in TIME_CLAIMS if name in claims}
    head = {"typ": None, **issuer.header, **header}
    token = PyJWS().encode(json.dumps({**claims, **now}).encode(), KEY, "RS256", head)
    async with container.jwks():
        return await container.tokens().verify(token)


def permissions(caller: Caller) -> set[Operation]:
    return {operation for operation in Operation if is_allowed(caller, operation)}


def test_every_issuer_of_the_page_is_checked() -> None:
    assert issuers() == list(ISSUERS)


@each_issuer
async def test_a_user_and_a_machine_have_what_the_settings_map(
    endpoint: Endpoint, name: str
) -> None:
    issuer, settings = ISSUERS[name], settings_of(name)
    user = await verified(endpoint, issuer, settings, issuer.user)
    assert (user.subject, user.tenant) == (issuer.user_subject, "main")
    assert user.roles == {"support"}
    machine = await verified(endpoint, issuer, settings, issuer.machine)
    assert (machine.subject, machine.tenant) == (issuer.machine_subject, "main")
    assert machine.roles == {"integrator"}
    for caller in (user, machine):
        assert caller.scopes is not None
        assert {scope for scope in caller.scopes if ":" in scope} == READ_WRITE


@each_issuer
async def test_without_the_maps_a_token_gives_nothing(endpoint: Endpoint, name: str) -> None:
    issuer, settings = ISSUERS[name], settings_of(name)
    bare = {each: value for each, value in settings.items() if not each.endswith("_MAP")}
    for scopes in ("required", "ignored"):
        for claims in (issuer.user, issuer.machine):
            caller = await verified(endpoint, issuer, {**bare, "ORDERS_JWT_SCOPES": scopes}, claims)
            assert (caller.roles, permissions(caller)) == (frozenset(), set())


@each_issuer
async def test_an_id_token_is_refused_however_much_it_looks_like_an_access_token(
    endpoint: Endpoint, name: str
) -> None:
    """Not even one with our audience, the user's roles, and without the marks of ID tokens."""
    issuer, settings = ISSUERS[name], settings_of(name)
    places = settings.get("ORDERS_JWT_ROLES_CLAIM", "roles").split(",")
    tops = {where.split("/")[1] if where.startswith("/") else where for where in places}
    copied = {top: issuer.user[top] for top in {*tops, "aud"} if top in issuer.user}
    marked = {**issuer.id_token, **copied}
    unmarked = {each: value for each, value in marked.items() if each not in MARKS_OF_ID_TOKENS}
    header = {"typ": "JWT"} if issuer.header.get("typ") == "at+jwt" else {}
    for claims in (marked, unmarked):
        with pytest.raises(InvalidToken, match=r"not an access token|that this service requires"):
            await verified(endpoint, issuer, settings, claims, **header)
    with pytest.raises(InvalidToken):
        await verified(endpoint, issuer, settings, issuer.id_token, **header)


@each_issuer
async def test_a_token_for_another_service_or_of_another_issuer_is_refused(
    endpoint: Endpoint, name: str
) -> None:
    issuer, settings = ISSUERS[name], settings_of(name)
    with pytest.raises(InvalidToken, match="another service"):
        await verified(endpoint, issuer, settings, {**issuer.user, "aud": ["billing"]})
    with pytest.raises(InvalidToken, match="another issuer"):
        await verified(endpoint, issuer, settings, {**issuer.user, "iss": "https://evil.example"})


@each_issuer
def test_the_page_shows_what_the_issuer_sends(name: str) -> None:
    issuer, settings, shown = ISSUERS[name], settings_of(name), shown_claims_of(name)
    assert {each: issuer.user.get(each) for each in shown} == shown
    assert settings["ORDERS_ISSUER"] == issuer.user["iss"] == issuer.machine["iss"]
    assert Settings.read({**OTHER_SETTINGS, **settings}).jwks_url == settings["ORDERS_JWKS_URL"]


async def test_keycloak_out_of_the_box_without_scopes_of_ours(endpoint: Endpoint) -> None:
    """Its roles are mapped, and give something only if scopes do not count."""
    claims = {**ISSUERS["Keycloak"].user, "scope": "openid profile"}
    for scopes, gives in (("required", False), ("ignored", True)):
        settings = {**settings_of("Keycloak"), "ORDERS_JWT_SCOPES": scopes}
        caller = await verified(endpoint, ISSUERS["Keycloak"], settings, claims)
        assert caller.roles == {"support"}
        assert (Operation.CANCEL in permissions(caller)) is gives
