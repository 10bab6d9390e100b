"""Group D: only a good token opens anything. Each bad one is tried on each kind of request."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.processes.service import SCOPES, Caller, Running, base64url

LEEWAY_SECONDS: Final = 10
"""As the table of settings publishes it."""


def require_refused(running: Running, caller: Caller, victim: Caller, order_id: str) -> None:
    """Check that placing, reading, listing and cancelling are all refused, without effect."""
    for answer in (
        caller.place(),
        caller.get(f"/v1/orders/{order_id}"),
        caller.get("/v1/orders"),
        caller.post(f"/v1/orders/{order_id}/cancel"),
        caller.post("/v1/orders?dry_run=true", b"{"),
    ):
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert caller.token is None or len(caller.token) < 20 or caller.token not in answer.text
    assert victim.order(order_id)["status"] == "pending"


@pytest.fixture(scope="module")
def victim(running: Running) -> Caller:
    return running.someone()


@pytest.fixture(scope="module")
def order_id(victim: Caller) -> str:
    found: str = victim.placed()["id"]
    return found


def test_jwt_none_h(running: Running, victim: Caller, order_id: str) -> None:
    require_refused(running, running.nobody(), victim, order_id)


@pytest.mark.parametrize("token", ["abc", "a.b", "a.b.c", "..", "e30.e30.", "=", "a b.c.d", "null"])
def test_jwt_garbage(running: Running, victim: Caller, order_id: str, token: str) -> None:
    require_refused(running, running.bearing(token), victim, order_id)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Basic {}", "{}", "Bearer {}, Bearer {}", "Token {}"]
)
def test_jwt_garbage_as_header(running: Running, victim: Caller, authorization: str) -> None:
    headers = {"Authorization": authorization.replace("{}", victim.token or "")}
    assert running.nobody().get("/v1/orders", headers=headers).status_code == 401


def test_jwt_garbage_bearer_and_nothing(running: Running) -> None:
    said = running.say(
        b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 401 ")


def test_jwt_garbage_two_headers(running: Running, victim: Caller) -> None:
    twice = [("Authorization", f"Bearer {victim.token}")] * 2
    assert httpx.get(f"{running.url}/v1/orders", headers=twice).status_code == 401


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", " none"])
@pytest.mark.parametrize("signed", [False, True])
def test_jwt_algnone(
    running: Running, victim: Caller, order_id: str, alg: str, signed: bool
) -> None:
    with_ = running.issuer_key.sign if signed else (lambda _: b"")
    token = running.sign(running.claims(), sign_with=with_, alg=alg)
    require_refused(running, running.bearing(token), victim, order_id)


def secrets_an_attacker_knows(running: Running) -> list[bytes]:
    """The public key in every form it is published or can be written in, and no key at all."""
    public = running.issuer_key.public_key()
    jwk = httpx.get(running.addresses["jwks"]).json()["keys"][0]
    return [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        jwk["x"].encode(),
        json.dumps(jwk).encode(),
        b"",
    ]


@pytest.mark.parametrize("form", range(6))
def test_jwt_conf(running: Running, victim: Caller, order_id: str, form: int) -> None:
    secret = secrets_an_attacker_knows(running)[form]
    for alg in ("HS256", "HS512", "hs256"):
        token = running.sign(
            running.claims(),
            alg=alg,
            sign_with=lambda text: hmac.digest(secret, text, hashlib.sha256),
        )
        require_refused(running, running.bearing(token), victim, order_id)


NOW = time.time
BAD_CLAIMS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "exp": lambda: {"iat": int(NOW()) - 7200, "exp": int(NOW()) - 3600},
    "exp-missing": lambda: {"exp": None},
    "exp-string": lambda: {"exp": str(int(NOW()) + 600)},
    "exp-bool": lambda: {"exp": True},
    "exp-list": lambda: {"exp": [int(NOW()) + 600]},
    "exp-huge": lambda: {"exp": 10**400},
    "exp-negative": lambda: {"exp": -1},
    "life": lambda: {"exp": int(NOW()) + 10 * 365 * 86400},
    "life-backdated": lambda: {"iat": int(NOW()) - 86400, "exp": int(NOW()) + 60},
    "nbf": lambda: {"nbf": int(NOW()) + 3600},
    "nbf-string": lambda: {"nbf": "0"},
    "iat-ahead": lambda: {"iat": int(NOW()) + 3600, "exp": int(NOW()) + 3700},
    "iat-missing": lambda: {"iat": None},
    "iat-string": lambda: {"iat": str(int(NOW()))},
    "aud": lambda: {"aud": "payments"},
    "aud-list": lambda: {"aud": ["payments", "orders2"]},
    "aud-missing": lambda: {"aud": None},
    "aud-prefix": lambda: {"aud": "orders/"},
    "aud-object": lambda: {"aud": {"orders": 1}},
    "iss": lambda: {"iss": "someone-else"},
    "iss-slash": lambda: {"iss": "orders-sandbox/"},
    "iss-list": lambda: {"iss": ["orders-sandbox"]},
    "iss-missing": lambda: {"iss": None},
    "sub-missing": lambda: {"sub": None},
    "sub-empty": lambda: {"sub": ""},
    "sub-number": lambda: {"sub": 7},
    "sub-newline": lambda: {"sub": "ada\n"},
    "sub-nul": lambda: {"sub": "ada\0"},
    "sub-operator": lambda: {"sub": {"$ne": ""}},
    "tenant-operator": lambda: {"tenant": {"$ne": ""}},
    "tenant-empty": lambda: {"tenant": ""},
    "aud-null-member": lambda: {"aud": ["orders", None]},
    "aud-empty": lambda: {"aud": []},
    "scope-object": lambda: {"scope": {"orders:read": True}},
    "scope-number-member": lambda: {"scope": ["orders:read", 7]},
    "scope-and-scp-differ": lambda: {"scope": SCOPES, "scp": ["orders:read"]},
    "idtoken-nonce": lambda: {"nonce": "n-0S6_WzA2Mj"},
    "idtoken-at-hash": lambda: {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"},
    "idtoken-typ": lambda: {"typ": "ID"},
    "idtoken-use": lambda: {"token_use": "id"},
    "logout-events": lambda: {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "bound-to-a-key": lambda: {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
}


@pytest.mark.parametrize("what", BAD_CLAIMS)
def test_jwt_claims(running: Running, victim: Caller, order_id: str, what: str) -> None:
    token = running.sign(running.claims(**BAD_CLAIMS[what]()))
    require_refused(running, running.bearing(token), victim, order_id)


def test_jwt_expedge(running: Running) -> None:
    now = int(time.time())
    over = running.claims(iat=now - 60, exp=now - LEEWAY_SECONDS - 2)
    barely = running.claims(iat=now - 60, exp=now - LEEWAY_SECONDS + 5)
    assert running.bearing(running.sign(over)).get("/v1/orders").status_code == 401
    assert running.bearing(running.sign(barely)).get("/v1/orders").status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        '{"sub":"ada","sub":"eve"}', "[]", '"x"', "null", '{"exp":NaN}', "{", "[" * 3000,
        '{"sub":1e999}',
    ],
)  # fmt: skip
def test_jwt_claims_that_are_no_object(
    running: Running, victim: Caller, order_id: str, claims: str
) -> None:
    good = json.dumps(running.claims())[1:-1]
    if claims.startswith('{"'):
        claims = f"{claims[:-1]},{good}}}"
    require_refused(running, running.bearing(running.sign(claims.encode())), victim, order_id)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_jwt_sig(running: Running, victim: Caller, order_id: str, part: int) -> None:
    parts = running.sign(running.claims()).split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    for place in (0, len(raw) // 2, len(raw) - 1):
        flipped = bytearray(raw)
        flipped[place] ^= 1
        changed = [*parts[:part], base64url(bytes(flipped)), *parts[part + 1 :]]
        require_refused(running, running.bearing(".".join(changed)), victim, order_id)


def test_jwt_sig_another_spelling_of_the_last_character(running: Running) -> None:
    token = running.sign(running.claims())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(token[-1]) ^ 1]
    assert running.bearing(token).get("/v1/orders").status_code == 200
    for spelled in (token[:-1] + other, f"{token}==", f"{token}."):
        assert running.bearing(spelled).get("/v1/orders").status_code == 401


@pytest.mark.parametrize("kid", ["no-such-key", "", "../../etc/passwd", "' OR 1=1", "k" * 4000])
def test_jwt_kid(running: Running, victim: Caller, order_id: str, kid: str) -> None:
    token = running.sign(running.claims(), kid=kid)
    require_refused(running, running.bearing(token), victim, order_id)


def test_jwt_nokid(running: Running) -> None:
    token = running.sign(running.claims(), kid=None)
    assert running.bearing(token).get("/v1/orders").status_code in {200, 401}


def test_jwt_jwk(running: Running, victim: Caller, order_id: str) -> None:
    attacker = Ed25519PrivateKey.generate()
    raw = attacker.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), "kid": "mine"}
    for header in (
        {"jwk": jwk},
        {"jwk": jwk, "kid": None},
        {"jwk": jwk, "kid": "mine"},
        {"jku": "http://127.0.0.1:1/keys", "kid": "mine"},
        {"x5u": "http://127.0.0.1:1/cert", "kid": None},
        {"x5c": [base64.b64encode(raw).decode()], "kid": None},
    ):
        token = running.sign(running.claims(), sign_with=attacker.sign, **header)
        require_refused(running, running.bearing(token), victim, order_id)


@pytest.mark.parametrize("crit", [["x"], [], ["exp"], ["b64"], "x", None])
def test_jwt_crit(running: Running, victim: Caller, order_id: str, crit: object) -> None:
    header = {"crit": crit, "x": 1, "b64": True} if crit is not None else {"crit": 0}
    token = running.sign(running.claims(), **header)
    require_refused(running, running.bearing(token), victim, order_id)


@pytest.mark.parametrize(
    ("typ", "status"),
    [
        ("at+jwt", 200),
        ("application/at+jwt", 200),
        ("AT+JWT", 200),
        ("logout+jwt", 401),
        ("JWT", 401),
        ("at+jwt\n", 401),
        (7, 401),
        (None, 401),
    ],
)
def test_jwt_typ(running: Running, typ: object, status: int) -> None:
    token = running.sign(running.claims(), typ=typ)
    assert running.bearing(token).get("/v1/orders").status_code == status


def test_jwt_es(running: Running, victim: Caller, order_id: str) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    for signature in (
        lambda _: bytes(64),
        lambda text: own.sign(text, ec.ECDSA(SHA256())),
        lambda _: b"",
    ):
        token = running.sign(running.claims(), alg="ES256", sign_with=signature)
        require_refused(running, running.bearing(token), victim, order_id)


@pytest.mark.parametrize("size", [8 * 1024, 16 * 1024, 1024 * 1024])
def test_jwt_huge(running: Running, size: int) -> None:
    said = running.say(
        b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer " + b"a" * size + b"\r\n\r\n"
    )
    # Nothing at all: the connection was cut while we were still sending.
    assert said[9:12] in {b"401", b"431", b"400", b""}, said[:200]
    assert said or size > 100_000
    assert running.nobody().get("/livez").status_code == 200


def test_jwt_place(running: Running, victim: Caller) -> None:
    stranger, token = running.nobody(), victim.token or ""
    for answer in (
        stranger.get(f"/v1/orders?access_token={token}"),
        stranger.get("/v1/orders", headers={"Cookie": f"access_token={token}; token={token}"}),
        stranger.get("/v1/orders", headers={"X-Access-Token": token, "X-Auth-Token": token}),
        stranger.place({"access_token": token}),
        stranger.get("/v1/orders", headers={"Proxy-Authorization": f"Bearer {token}"}),
    ):
        assert answer.status_code == 401


def test_jwt_log(running: Running, victim: Caller) -> None:
    bad = running.sign(running.claims(), kid="no-such-key")
    running.bearing(bad).get("/v1/orders")
    running.nobody().get(f"/v1/orders?access_token={victim.token}")
    victim.place()
    logged = running.logged()
    assert victim.subject in logged
    for token in (bad, victim.token or ""):
        assert not any(part in logged for part in token.split(".")[1:])
