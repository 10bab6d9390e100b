"""A token issuer for development: it signs any claims. Never run it in production."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from orders.application.access import scopes_for

_MAX_TTL_SECONDS: Final = 24 * 3600


class TokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Claims to sign. `ttl` is in seconds. Without `scope`: all scopes that the roles can use."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    roles: list[str] = []
    scope: str | None = None
    tenant: str | None = None
    ttl: Annotated[int, msgspec.Meta(ge=1, le=_MAX_TTL_SECONDS)] = 3600


def create_app(*, key_file: Path, issuer: str, audience: str) -> web.Application:
    """Build the issuer. The key is created in `key_file` at the first start."""
    public_jwk = _public_jwk(load_key(key_file))

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response({"keys": [public_jwk]})

    async def configuration(request: web.Request) -> web.Response:
        address = request.url.origin()
        return web.json_response(
            {
                "issuer": issuer,
                "jwks_uri": f"{address}/.well-known/jwks.json",
                "token_endpoint": f"{address}/token",
                "id_token_signing_alg_values_supported": ["EdDSA"],
            }
        )

    async def token(request: web.Request) -> web.Response:
        try:
            requested = msgspec.json.decode(await request.read(), type=TokenRequest)
        except msgspec.MsgspecError:
            return web.json_response({"error": "invalid_request"}, status=400)
        signed = issue_token(
            key_file,
            issuer=issuer,
            audience=audience,
            subject=requested.sub,
            roles=requested.roles,
            scopes=None if requested.scope is None else requested.scope.split(),
            tenant=requested.tenant,
            ttl_seconds=requested.ttl,
            now=time.time(),
        )
        return web.json_response(
            {"access_token": signed, "token_type": "Bearer", "expires_in": requested.ttl},
            headers={"cache-control": "no-store"},
        )

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_get("/.well-known/jwks.json", jwks)
    app.router.add_get("/.well-known/openid-configuration", configuration)
    app.router.add_post("/token", token)
    return app


def issue_token(
    key_file: Path,
    *,
    issuer: str,
    audience: str,
    subject: str,
    roles: Sequence[str],
    scopes: Sequence[str] | None,
    tenant: str | None,
    ttl_seconds: int,
    now: float,
) -> str:
    """Sign an access token (RFC 9068) that counts from `now`, in seconds since 1970.

    Without `scopes`, it has all scopes that its roles can use; an integrator's role has none.
    Empty `scopes` and a missing `tenant` are left out. Creates the key if there is none yet.
    """
    key = load_key(key_file)
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "client_id": "sandbox",
        "jti": secrets.token_urlsafe(16),
        "iat": int(now),
        "exp": int(now) + ttl_seconds,
        "roles": list(roles),
    }
    granted = sorted(scopes_for(roles)) if scopes is None else scopes
    if granted:
        claims["scope"] = " ".join(granted)
    if tenant is not None:
        claims["tenant"] = tenant
    headers = {"typ": "at+jwt", "kid": _public_jwk(key)["kid"]}
    return jwt.encode(claims, key, algorithm="EdDSA", headers=headers)


def load_key(key_file: Path) -> Ed25519PrivateKey:
    """Return the signing key; create it if there is none. Concurrent processes get the same key.

    Raises:
        ValueError: If the file holds something else.
    """
    if not key_file.exists():
        _make_key(key_file)
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{key_file} holds no Ed25519 key")
    return key


def _make_key(key_file: Path) -> None:
    """Write the key to a draft, then link it into place: atomic, and only the first one wins."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    key_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=key_file.parent) as draft:
        draft.write(pem)
        draft.flush()
        os.fsync(draft.fileno())
        try:
            key_file.hardlink_to(draft.name)
        except FileExistsError:
            return  # Another process was first; its key counts.


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the public key; its `kid` is its thumbprint (RFC 7638)."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    kid = _base64url(hashlib.sha256(canonical.encode()).digest())
    return {**members, "kid": kid, "alg": "EdDSA", "use": "sig"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
