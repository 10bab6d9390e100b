"""Tokens as each issuer issues them: every claim, with names of our own.

They have the forms that these issuers are known and documented to give their tokens; `make issuers`
compares with issuers that run. Times stand for those of a token that counts now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

IAT: Final = 1_800_000_000
EXP: Final = IAT + 3600
TIMES: Final[dict[str, Any]] = {"iat": IAT, "exp": EXP}
NBF: Final[dict[str, Any]] = {**TIMES, "nbf": IAT}

TIME_CLAIMS: Final = ("iat", "exp", "nbf", "auth_time", "rat")

READ_WRITE: Final = frozenset({"orders:read", "orders:write"})


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """An issuer's tokens. `id_token` is what the user's client gets beside `user`.

    `jwk` names the members that the issuer's RSA keys have beside `kty`, `n` and `e`.
    """

    header: dict[str, Any]
    user: dict[str, Any]
    machine: dict[str, Any]
    id_token: dict[str, Any]
    user_subject: str
    machine_subject: str
    jwk: tuple[str, ...] = ("kid", "alg", "use")


KEYCLOAK: Final = Issuer(
    header={"alg": "RS256", "typ": "JWT", "kid": "k1"},
    user={
        **TIMES,
        "auth_time": IAT,
        "jti": "onrtac:8a2f1c1e-0f0b-4c0e-9f0a-0a4b8f1f7a11",
        "iss": "https://keycloak.example/realms/shop",
        "aud": ["orders", "account"],
        "sub": "1f0c9a52-6f3c-4a0e-8f57-7f1f0a9b1c2d",
        "typ": "Bearer",
        "azp": "shop-web",
        "sid": "a3c1f6d0-2b1e-4f0c-9d3e-5a7b9c1d3e5f",
        "acr": "1",
        "allowed-origins": ["https://shop.example"],
        "realm_access": {"roles": ["offline_access", "default-roles-shop", "Shop Support"]},
        "resource_access": {
            "account": {"roles": ["manage-account", "view-profile"]},
            "admin": {"roles": ["admin"]},
        },
        "scope": "openid profile orders:read orders:write",
        "email_verified": True,
        "name": "Ada Ex",
        "preferred_username": "ada",
        "given_name": "Ada",
        "family_name": "Ex",
        "email": "ada@shop.example",
    },
    machine={
        **TIMES,
        "jti": "trrtcc:2e1d3c5b-7a9f-4b0d-8c6e-1f2a3b4c5d6e",
        "iss": "https://keycloak.example/realms/shop",
        "aud": ["orders", "account"],
        "sub": "7c1b2a3d-4e5f-4071-8293-a4b5c6d7e8f9",
        "typ": "Bearer",
        "azp": "importer-client",
        "acr": "1",
        "realm_access": {"roles": ["default-roles-shop", "shop-importer"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "profile orders:read orders:write",
        "allowed-origins": ["https://shop.example"],
        "email_verified": False,
        "clientHost": "10.0.0.9",
        "clientAddress": "10.0.0.9",
        "client_id": "importer-client",
        "preferred_username": "service-account-importer-client",
    },
    id_token={
        **TIMES,
        "auth_time": IAT,
        "jti": "5d0e7f1a-2b3c-4d5e-8f90-a1b2c3d4e5f6",
        "iss": "https://keycloak.example/realms/shop",
        "aud": "shop-web",
        "sub": "1f0c9a52-6f3c-4a0e-8f57-7f1f0a9b1c2d",
        "typ": "ID",
        "azp": "shop-web",
        "nonce": "n-0S6_WzA2Mj",
        "sid": "a3c1f6d0-2b1e-4f0c-9d3e-5a7b9c1d3e5f",
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        "acr": "1",
        "email_verified": True,
        "name": "Ada Ex",
        "preferred_username": "ada",
        "given_name": "Ada",
        "family_name": "Ex",
        "email": "ada@shop.example",
    },
    user_subject="1f0c9a52-6f3c-4a0e-8f57-7f1f0a9b1c2d",
    machine_subject="7c1b2a3d-4e5f-4071-8293-a4b5c6d7e8f9",
)

HYDRA: Final = Issuer(
    header={"alg": "RS256", "typ": "JWT", "kid": "k1"},
    user={
        **NBF,
        "aud": ["orders"],
        "client_id": "shop-web",
        "ext": {"roles": ["Shop Support"]},
        "iss": "https://hydra.example",
        "jti": "3b0f0d8e-5c1a-4f5b-9e57-7d8f3f1e2a4c",
        "scp": ["openid", "orders:read", "orders:write"],
        "sub": "ada",
    },
    machine={
        **NBF,
        "aud": ["orders"],
        "client_id": "shop-importer",
        "ext": {},
        "iss": "https://hydra.example",
        "jti": "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d",
        "scp": ["orders:read", "orders:write"],
        "sub": "shop-importer",
    },
    id_token={
        **TIMES,
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        "aud": ["shop-web"],
        "auth_time": IAT,
        "iss": "https://hydra.example",
        "jti": "1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "nonce": "n-0S6_WzA2Mj",
        "rat": IAT,
        "sid": "d4e5f6a7-b8c9-4d0e-9f1a-2b3c4d5e6f70",
        "sub": "ada",
    },
    user_subject="ada",
    machine_subject="shop-importer",
)

OIDC_PROVIDER: Final = Issuer(
    header={"alg": "RS256", "typ": "at+jwt", "kid": "k1"},
    user={
        "roles": ["Shop Support"],
        "jti": "Xo3c2Qd1Zb7a9e5f8g0h",
        "sub": "b7f0d1",
        **TIMES,
        "scope": "orders:read orders:write",
        "client_id": "shop-web",
        "iss": "https://op.example",
        "aud": "orders",
    },
    machine={
        "jti": "Jk2l4m6n8p0q1r3s5t7u",
        "sub": "shop-importer",
        **TIMES,
        "scope": "orders:read orders:write",
        "client_id": "shop-importer",
        "iss": "https://op.example",
        "aud": "orders",
    },
    id_token={
        "sub": "b7f0d1",
        "nonce": "n-0S6_WzA2Mj",
        "aud": "shop-web",
        **TIMES,
        "iss": "https://op.example",
    },
    user_subject="b7f0d1",
    machine_subject="shop-importer",
)

SPRING: Final = Issuer(
    header={"alg": "RS256", "kid": "k1"},
    user={
        "sub": "ada",
        "aud": "shop-web",
        **NBF,
        "scope": ["openid", "orders:read", "orders:write"],
        "roles": ["ROLE_SUPPORT"],
        "iss": "https://auth.example",
        "jti": "f2b1c0d9-e8f7-4a6b-9c5d-4e3f2a1b0c9d",
    },
    machine={
        "sub": "shop-importer",
        "aud": "shop-importer",
        **NBF,
        "scope": ["orders:read", "orders:write"],
        "roles": ["ROLE_IMPORTER"],
        "iss": "https://auth.example",
        "jti": "0a9b8c7d-6e5f-4d4c-8b3a-29181706f5e4",
    },
    id_token={
        "sub": "ada",
        "aud": "shop-web",
        "azp": "shop-web",
        "auth_time": IAT,
        "iss": "https://auth.example",
        **TIMES,
        "nonce": "n-0S6_WzA2Mj",
        "jti": "7e6d5c4b-3a29-4817-8605-f4e3d2c1b0a9",
        "sid": "c1SpQ2rT3uV4wX5yZ6",
    },
    user_subject="ada",
    machine_subject="shop-importer",
    jwk=("kid",),
)

AUTH0: Final = Issuer(
    header={"alg": "RS256", "typ": "JWT", "kid": "k1"},
    user={
        "https://shop.example/roles": ["Shop Support"],
        "iss": "https://shop.eu.auth0.com/",
        "sub": "auth0|64f0c1",
        "aud": ["https://orders.example", "https://shop.eu.auth0.com/userinfo"],
        **TIMES,
        "scope": "openid profile orders:read orders:write",
        "azp": "shop-web",
        "permissions": ["orders:read", "orders:write"],
    },
    machine={
        "iss": "https://shop.eu.auth0.com/",
        "sub": "shop-importer@clients",
        "aud": "https://orders.example",
        **TIMES,
        "scope": "orders:read orders:write",
        "gty": "client-credentials",
        "azp": "shop-importer",
    },
    id_token={
        "https://shop.example/roles": ["Shop Support"],
        "nickname": "ada",
        "name": "ada@shop.example",
        "updated_at": "2026-11-30T10:00:00.000Z",
        "iss": "https://shop.eu.auth0.com/",
        "aud": "shop-web",
        **TIMES,
        "sub": "auth0|64f0c1",
        "sid": "kVXo7n-Yp2",
        "nonce": "n-0S6_WzA2Mj",
    },
    user_subject="auth0|64f0c1",
    machine_subject="shop-importer@clients",
)

OKTA: Final = Issuer(
    header={"kid": "k1", "alg": "RS256"},
    user={
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://shop.okta.com/oauth2/default",
        "aud": "api://orders",
        **TIMES,
        "cid": "shop-web",
        "uid": "00u1ada",
        "scp": ["openid", "orders:read", "orders:write"],
        "auth_time": IAT,
        "sub": "ada@shop.example",
        "groups": ["Everyone", "Shop Support"],
    },
    machine={
        "ver": 1,
        "jti": "AT.1nQ5KLBAY2jBDJU5wcFEG8MqwEWkyzqQNg1E8vY40SF",
        "iss": "https://shop.okta.com/oauth2/default",
        "aud": "api://orders",
        **TIMES,
        "cid": "shop-importer",
        "scp": ["orders:read", "orders:write"],
        "sub": "shop-importer",
    },
    id_token={
        "sub": "00u1ada",
        "name": "Ada Ex",
        "ver": 1,
        "iss": "https://shop.okta.com/oauth2/default",
        "aud": "shop-web",
        **TIMES,
        "jti": "ID.4eAWJOCMB3SX8XewDfVR",
        "amr": ["pwd"],
        "idp": "00o1bq",
        "nonce": "n-0S6_WzA2Mj",
        "preferred_username": "ada@shop.example",
        "auth_time": IAT,
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        "groups": ["Everyone", "Shop Support"],
    },
    user_subject="00u1ada",
    machine_subject="shop-importer",
)

_DIRECTORY: Final = "11111111-2222-3333-4444-555555555555"
_ENTRA_ID_TOKEN: Final[dict[str, Any]] = {
    **NBF,
    "aio": "AXQAi/8IAAAAFm",
    "name": "Ada Ex",
    "nonce": "n-0S6_WzA2Mj",
    "oid": "00000000-0000-0000-0000-00000000ada1",
    "preferred_username": "ada@shop.example",
    "rh": "0.AX0Au",
    "roles": ["Shop.Support"],
    "sub": "pairwise-of-this-client",
    "tid": _DIRECTORY,
    "uti": "bJ0gP1",
}

ENTRA_V2: Final = Issuer(
    header={"typ": "JWT", "alg": "RS256", "kid": "k1"},
    user={
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": f"https://login.microsoftonline.com/{_DIRECTORY}/v2.0",
        **NBF,
        "aio": "AXQAi/8IAAAAFm",
        "azp": "aaaaaaaa-0000-0000-0000-000000000001",
        "azpacr": "0",
        "name": "Ada Ex",
        "oid": "00000000-0000-0000-0000-00000000ada1",
        "preferred_username": "ada@shop.example",
        "rh": "0.AX0Au",
        "roles": ["Shop.Support"],
        "scp": "orders:read orders:write",
        "sub": "pairwise-of-this-client",
        "tid": _DIRECTORY,
        "uti": "bJ0gP1",
        "ver": "2.0",
    },
    machine={
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": f"https://login.microsoftonline.com/{_DIRECTORY}/v2.0",
        **NBF,
        "aio": "E2ZgYNi",
        "azp": "aaaaaaaa-0000-0000-0000-000000000002",
        "azpacr": "1",
        "oid": "00000000-0000-0000-0000-0000000000f2",
        "rh": "0.AX0Au",
        "roles": ["Orders.Import"],
        "sub": "00000000-0000-0000-0000-0000000000f2",
        "tid": _DIRECTORY,
        "uti": "cK1hQ2",
        "ver": "2.0",
    },
    id_token={
        **_ENTRA_ID_TOKEN,
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": f"https://login.microsoftonline.com/{_DIRECTORY}/v2.0",
        "ver": "2.0",
    },
    user_subject="00000000-0000-0000-0000-00000000ada1",
    machine_subject="00000000-0000-0000-0000-0000000000f2",
    jwk=("kid", "use"),
)

ENTRA_V1: Final = Issuer(
    header={"typ": "JWT", "alg": "RS256", "x5t": "k1", "kid": "k1"},
    user={
        "aud": "api://orders",
        "iss": f"https://sts.windows.net/{_DIRECTORY}/",
        **NBF,
        "acr": "1",
        "aio": "AXQAi/8IAAAAFm",
        "amr": ["pwd"],
        "appid": "aaaaaaaa-0000-0000-0000-000000000001",
        "appidacr": "0",
        "ipaddr": "192.0.2.1",
        "name": "Ada Ex",
        "oid": "00000000-0000-0000-0000-00000000ada1",
        "rh": "0.AX0Au",
        "roles": ["Shop.Support"],
        "scp": "orders:read orders:write",
        "sub": "pairwise-of-this-client",
        "tid": _DIRECTORY,
        "unique_name": "ada@shop.example",
        "upn": "ada@shop.example",
        "uti": "bJ0gP1",
        "ver": "1.0",
    },
    machine={
        "aud": "api://orders",
        "iss": f"https://sts.windows.net/{_DIRECTORY}/",
        **NBF,
        "aio": "E2ZgYNi",
        "appid": "aaaaaaaa-0000-0000-0000-000000000002",
        "appidacr": "1",
        "idp": f"https://sts.windows.net/{_DIRECTORY}/",
        "oid": "00000000-0000-0000-0000-0000000000f2",
        "rh": "0.AX0Au",
        "roles": ["Orders.Import"],
        "sub": "00000000-0000-0000-0000-0000000000f2",
        "tid": _DIRECTORY,
        "uti": "cK1hQ2",
        "ver": "1.0",
    },
    id_token={
        **_ENTRA_ID_TOKEN,
        "aud": "66666666-7777-8888-9999-000000000000",
        "iss": f"https://sts.windows.net/{_DIRECTORY}/",
        "ver": "1.0",
    },
    user_subject="00000000-0000-0000-0000-00000000ada1",
    machine_subject="00000000-0000-0000-0000-0000000000f2",
    jwk=("kid", "use"),
)

_POOL: Final = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ExampleAA"

COGNITO: Final = Issuer(
    header={"kid": "k1", "alg": "RS256"},
    user={
        "sub": "6a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
        "cognito:groups": ["shop-support"],
        "iss": _POOL,
        "version": 2,
        "client_id": "exampleshopwebclient",
        "origin_jti": "0f1e2d3c-4b5a-4697-8877-665544332211",
        "event_id": "11223344-5566-4778-899a-abbccddeeff0",
        "token_use": "access",
        "scope": "openid orders/read orders/write",
        "auth_time": IAT,
        **TIMES,
        "jti": "99887766-5544-4332-8110-0ffeeddccbba",
        "username": "6a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    },
    machine={
        "sub": "exampleimporterclient",
        "token_use": "access",
        "scope": "orders/read orders/write",
        "auth_time": IAT,
        "iss": _POOL,
        **TIMES,
        "version": 2,
        "jti": "a0b1c2d3-e4f5-4061-8728-39405a6b7c8d",
        "client_id": "exampleimporterclient",
    },
    id_token={
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        "sub": "6a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
        "cognito:groups": ["shop-support"],
        "email_verified": True,
        "iss": _POOL,
        "cognito:username": "ada",
        "origin_jti": "0f1e2d3c-4b5a-4697-8877-665544332211",
        "aud": "exampleshopwebclient",
        "event_id": "11223344-5566-4778-899a-abbccddeeff0",
        "token_use": "id",
        "auth_time": IAT,
        **TIMES,
        "jti": "b1c2d3e4-f506-4172-8394-a5b6c7d8e9f0",
        "email": "ada@shop.example",
    },
    user_subject="6a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    machine_subject="exampleimporterclient",
)

DUENDE: Final = Issuer(
    header={"alg": "RS256", "kid": "k1", "typ": "at+jwt"},
    user={
        "iss": "https://identity.example",
        **NBF,
        "aud": "orders",
        "scope": ["openid", "orders:read", "orders:write"],
        "amr": ["pwd"],
        "client_id": "shop-web",
        "sub": "ada-1",
        "auth_time": IAT,
        "idp": "local",
        "role": "Shop Support",
        "sid": "4D0A1B2C3D4E5F60718293A4B5C6D7E8",
        "jti": "8A7B6C5D4E3F2A1B0C9D8E7F6A5B4C3D",
    },
    machine={
        "iss": "https://identity.example",
        **NBF,
        "aud": "orders",
        "scope": ["orders:read", "orders:write"],
        "client_id": "importer-client",
        "client_role": "importer",
        "jti": "1A2B3C4D5E6F708192A3B4C5D6E7F809",
    },
    id_token={
        "iss": "https://identity.example",
        **NBF,
        "aud": "shop-web",
        "amr": ["pwd"],
        "nonce": "n-0S6_WzA2Mj",
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        "sid": "4D0A1B2C3D4E5F60718293A4B5C6D7E8",
        "sub": "ada-1",
        "auth_time": IAT,
        "idp": "local",
    },
    user_subject="ada-1",
    machine_subject="importer-client",
)

_PROJECT_ROLES: Final = "urn:zitadel:iam:org:project:273846190155337821:roles"

ZITADEL: Final = Issuer(
    header={"alg": "RS256", "kid": "k1", "typ": "JWT"},
    user={
        "iss": "https://shop.zitadel.cloud",
        "sub": "273846155337821001",
        "aud": ["273846213676995165", "273846190155337821"],
        **NBF,
        "jti": "V2_2738-at_2739",
        "client_id": "273846213676995165",
        _PROJECT_ROLES: {"shop-support": {"273846100000000001": "shop.example"}},
        "urn:zitadel:iam:org:project:roles": {
            "shop-support": {"273846100000000001": "shop.example"}
        },
    },
    machine={
        "iss": "https://shop.zitadel.cloud",
        "sub": "273846155337821002",
        "aud": ["273846190155337821"],
        **NBF,
        "jti": "V2_2740-at_2741",
        "client_id": "importer",
        _PROJECT_ROLES: {"importer": {"273846100000000001": "shop.example"}},
    },
    id_token={
        "iss": "https://shop.zitadel.cloud",
        "sub": "273846155337821001",
        "aud": ["273846213676995165", "273846190155337821"],
        **TIMES,
        "auth_time": IAT,
        "amr": ["pwd"],
        "azp": "273846213676995165",
        "client_id": "273846213676995165",
        "at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng",
        _PROJECT_ROLES: {"shop-support": {"273846100000000001": "shop.example"}},
    },
    user_subject="273846155337821001",
    machine_subject="273846155337821002",
)

ISSUERS: Final[dict[str, Issuer]] = {
    "Keycloak": KEYCLOAK,
    "Ory Hydra": HYDRA,
    "node oidc-provider": OIDC_PROVIDER,
    "Spring Authorization Server": SPRING,
    "Auth0": AUTH0,
    "Okta": OKTA,
    "Entra ID, v2 tokens": ENTRA_V2,
    "Entra ID, v1 tokens": ENTRA_V1,
    "Amazon Cognito": COGNITO,
    "Duende IdentityServer": DUENDE,
    "Zitadel": ZITADEL,
}
"""By the heading of the issuer's section in docs/auth.md."""
