"""Settings: read once, complete or not at all, and no secret shown."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields

import pytest

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings.table import Settings, settings_table

COMPLETE = {
    "ORDERS_MONGO_URI": "mongodb://writer:hunter2@db/",
    "ORDERS_PAYMENT_URL": "https://payments.internal",
    "ORDERS_PAYMENT_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # not a secret
    "ORDERS_ISSUER": "https://auth.internal",
    "ORDERS_AUDIENCE": "orders",
    "ORDERS_JWKS_URL": "https://auth.internal/keys",
}
SHARED = "a shared secret of 32 bytes or more"


def problems(**changed: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        Settings.read({**COMPLETE, **changed})
    return refused.value.problems


def test_a_complete_environment_is_read() -> None:
    settings = Settings.read(
        {
            **COMPLETE,
            "ORDERS_PORT": "9000",
            "ORDERS_DRAIN_SECONDS": "0.5",
            "ORDERS_JWT_TYPES": "at+jwt, JWT,none",
            "ORDERS_JWT_REQUIRED": "typ=Bearer,realm=a=b, azp",
            "ORDERS_JWT_SCOPE_CLAIMS": "permissions",
            "ORDERS_JWT_ROLES_CLAIM": "/realm_access/roles, /https:~1~1a.b~1r~0s,cognito:groups",
            "ORDERS_JWT_ROLE_MAP": r"Shop Admins = admin, CN=Lager\, Süd=fulfillment,x=orders:read",
            "ORDERS_JWT_SCOPE_MAP": "shop/read=orders:read",
            "ORDERS_JWT_SUBJECT_CLAIMS": "sub,client_id",
            "ORDERS_AUDIENCE": "orders, https://orders.example",
            "ORDERS_JWT_ALGORITHMS": "Ed25519,RS256",
            "ORDERS_JWT_SCOPES": "ignored",
            "ORDERS_CORS_ORIGINS": "https://shop.example, https://admin.example:8443",
            "ORDERS_TRUSTED_PROXIES": "10.0.0.0/8,::1",
            "ORDERS_FORWARDED_HEADER": "Forwarded",
        }
    )
    assert settings.mongo_uri == "mongodb://writer:hunter2@db/"
    assert settings.port == 9000
    assert settings.drain_seconds == 0.5
    assert settings.jwt_types == ("at+jwt", "jwt", "none")
    assert settings.jwt_required == ("typ=Bearer", "realm=a=b", "azp")
    assert settings.jwt_roles_claim == (
        "/realm_access/roles",
        "/https:~1~1a.b~1r~0s",
        "cognito:groups",
    )
    assert settings.jwt_role_map == (
        ("Shop Admins", "admin"),
        ("CN=Lager, Süd", "fulfillment"),
        ("x", "orders:read"),
    )
    assert settings.jwt_scope_map == (("shop/read", "orders:read"),)
    assert settings.jwt_subject_claims == ("sub", "client_id")
    assert settings.audience == ("orders", "https://orders.example")
    assert settings.jwt_algorithms == ("EdDSA", "RS256")
    assert settings.jwt_scope_claims == ("permissions",)
    assert settings.jwt_scopes == "ignored"
    assert settings.cors_origins == ("https://shop.example", "https://admin.example:8443")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.forwarded_header == "Forwarded"


def test_a_token_has_no_right_without_a_scope_unless_told_otherwise() -> None:
    settings = Settings.read(COMPLETE)
    assert settings.jwt_scopes == "required"
    assert settings.jwt_scope_claims == ("scope", "scp")
    assert (settings.jwt_types, settings.jwt_required) == (("at+jwt",), ())
    assert (settings.jwt_role_map, settings.jwt_scope_map) == ((), ())
    assert settings.jwt_bound_tokens == "refused"


def test_the_limits_are_those_of_the_documentation() -> None:
    settings = Settings.read(COMPLETE)
    assert settings.max_body_bytes == 1024 * 1024
    assert settings.max_lines == 2000
    assert settings.max_quantity == 100_000
    assert settings.max_unit_price == 10_000_000_000
    assert settings.max_depth == 32
    assert settings.max_key_length == 255
    assert settings.max_page == 100
    assert settings.max_token_bytes == 8192
    assert (settings.rate_per_second, settings.rate_burst) == (20, 40)


@pytest.mark.parametrize("name", COMPLETE)
def test_a_missing_setting_is_named(name: str) -> None:
    [problem] = problems(**{name: ""})
    assert problem.startswith(f"{name} is missing: ")


def test_all_problems_are_told_at_once() -> None:
    told = problems(ORDERS_ISSUER=" ", ORDERS_PORT="http", ORDERS_MAX_PAGE="0")
    assert [line.split()[0] for line in told] == [
        "ORDERS_PORT",
        "ORDERS_ISSUER",
        "ORDERS_MAX_PAGE",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERS_PORT", "65536"),
        ("ORDERS_PORT", "-1"),
        ("ORDERS_PORT", "8000.0"),
        ("ORDERS_PORT", "٨٠٠٠"),
        ("ORDERS_PORT", "tcp://10.0.0.1:80"),
        ("ORDERS_MAX_PAGE", "9" * 5000),
        ("ORDERS_BODY_SECONDS", "nan"),
        ("ORDERS_BODY_SECONDS", "inf"),
        ("ORDERS_BODY_SECONDS", "0.99"),
        ("ORDERS_JWT_LEEWAY_SECONDS", "31"),
        ("ORDERS_JWT_TYPES", "at+jwt,logout+jwt"),
        ("ORDERS_JWT_TYPES", "ID"),
        ("ORDERS_JWT_REQUIRED", "typ="),
        ("ORDERS_JWT_REQUIRED", "/=a"),
        ("ORDERS_JWT_ROLES_CLAIM", "/"),
        ("ORDERS_JWT_ROLES_CLAIM", "/realm_access/"),
        ("ORDERS_JWT_ROLES_CLAIM", "//roles"),
        ("ORDERS_JWT_ROLES_CLAIM", "roles,/a~2b"),
        ("ORDERS_JWT_ROLES_CLAIM", "/a~"),
        ("ORDERS_JWT_ROLES_CLAIM", "my roles"),
        ("ORDERS_JWT_SUBJECT_CLAIMS", "/sub/"),
        ("ORDERS_JWT_AUDIENCE_CLAIMS", ","),
        ("ORDERS_JWT_TENANT_CLAIM", "/"),
        ("ORDERS_JWT_ROLE_MAP", "admin"),
        ("ORDERS_JWT_ROLE_MAP", "=admin"),
        ("ORDERS_JWT_ROLE_MAP", "a\0b=admin"),
        ("ORDERS_JWT_ROLE_MAP", "x" * 256 + "=admin"),
        ("ORDERS_JWT_SCOPE_MAP", ","),
        ("ORDERS_JWT_BOUND_TOKENS", "accepted"),
        ("ORDERS_DEFAULT_TENANT", "two words"),
        ("ORDERS_JWT_REQUIRED", "=Bearer"),
        ("ORDERS_JWT_SCOPE_CLAIMS", "scope scp"),
        ("ORDERS_JWT_SCOPES", "optional"),
        ("ORDERS_JWT_ALGORITHMS", "RS256,none"),
        ("ORDERS_JWT_ALGORITHMS", ","),
        ("ORDERS_LOG_LEVEL", "loud"),
        ("ORDERS_MONGO_URI", "db.internal:27017"),
        ("ORDERS_PAYMENT_URL", "ftp://payments.internal"),
        ("ORDERS_JWKS_URL", "https://"),
        ("ORDERS_PAYMENT_WEBHOOK_SECRET", "whsec_short"),
        ("ORDERS_CORS_ORIGINS", "*"),
        ("ORDERS_CORS_ORIGINS", "https://shop.example/"),
        ("ORDERS_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("ORDERS_ISSUER", "two\nlines"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(name: str, value: str) -> None:
    [problem] = problems(**{name: value})
    assert problem.startswith(f"{name} must be ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERS_JWT_ROLE_MAP", "hunter2=boss"),
        ("ORDERS_JWT_ROLE_MAP", "hunter2=Admin"),
        ("ORDERS_JWT_ROLE_MAP", "hunter2="),
        ("ORDERS_JWT_ROLE_MAP", "staff=admin,hunter2=operator"),
        ("ORDERS_JWT_ROLE_MAP", "hunter2=orders:operate"),
        ("ORDERS_JWT_SCOPE_MAP", "hunter2=admin"),
        ("ORDERS_JWT_SCOPE_MAP", "hunter2=orders:operate"),
    ],
)
def test_a_map_leads_to_roles_and_scopes_that_a_token_can_give(name: str, value: str) -> None:
    [problem] = problems(**{name: value})
    assert problem.startswith(f"{name} cannot be used: a name is mapped to something else than ")
    assert "orders:refund" in problem
    assert "hunter2" not in problem
    assert "operat" not in problem


PEM = f"-----BEGIN PUBLIC KEY-----\n{'A' * 64}\n-----END PUBLIC KEY-----\n"


def test_a_shared_secret_needs_its_algorithm_and_the_other_way_round() -> None:
    [unused] = problems(ORDERS_JWT_HS256_SECRET=SHARED)
    assert unused.startswith("ORDERS_JWT_ALGORITHMS must name HS256")
    [missing] = problems(ORDERS_JWT_ALGORITHMS="HS256")
    assert missing.startswith("ORDERS_JWT_HS256_SECRET is missing")
    [short] = problems(ORDERS_JWT_ALGORITHMS="HS256", ORDERS_JWT_HS256_SECRET="x" * 31)
    assert short == "ORDERS_JWT_HS256_SECRET must be at least 32 bytes"
    for key in (PEM, f'{{"kty": "oct", "k": "{SHARED}"}}'):
        [no_secret] = problems(ORDERS_JWT_ALGORITHMS="HS256", ORDERS_JWT_HS256_SECRET=key)
        assert no_secret.startswith("ORDERS_JWT_HS256_SECRET cannot be used: it is a key in PEM")


def test_a_shared_secret_alone_needs_no_key_set() -> None:
    settings = Settings.read(
        {
            **COMPLETE,
            "ORDERS_JWKS_URL": "",
            "ORDERS_JWT_ALGORITHMS": "HS256",
            "ORDERS_JWT_HS256_SECRET": SHARED,
        }
    )
    assert settings.jwks_url is None


def test_no_secret_is_in_a_repr() -> None:
    settings = Settings.read(
        {
            **COMPLETE,
            "ORDERS_PAYMENT_TOKEN": "hunter2",
            "ORDERS_REDIS_URI": "redis://:hunter2@cache/0",
            "ORDERS_RABBITMQ_URI": "amqps://orders:hunter2@broker/",
            "ORDERS_JWT_ALGORITHMS": "ES256,HS256",
            "ORDERS_JWT_HS256_SECRET": f"hunter2 {SHARED}",
        }
    )
    assert "hunter2" not in repr(settings)
    assert "whsec_" not in repr(settings)


def test_no_value_is_in_a_problem() -> None:
    told = problems(
        ORDERS_MONGO_URI="mysql://root:hunter2@db", ORDERS_PAYMENT_WEBHOOK_SECRET="hunter2"
    )
    assert len(told) == 2
    assert "hunter2" not in "".join(told)


def test_the_table_tells_of_every_setting_once() -> None:
    rows = {row.name: row for row in settings_table()}
    assert len(rows) == len(settings_table()) == len(fields(Settings))
    assert {name for name, row in rows.items() if row.default is None} == {
        "ORDERS_MONGO_URI",
        "ORDERS_PAYMENT_URL",
        "ORDERS_PAYMENT_WEBHOOK_SECRET",
        "ORDERS_ISSUER",
        "ORDERS_AUDIENCE",
    }
    assert rows["ORDERS_MAX_PAGE"].default == "100"
    assert rows["ORDERS_MAX_PAGE"].accepts == "a whole number from 1 to 1000"
    assert rows["ORDERS_JWT_ALGORITHMS"].default == "RS256, PS256, ES256, EdDSA"
    assert all(row.meaning and row.accepts for row in rows.values())


def test_every_published_default_is_accepted() -> None:
    given = {row.name: row.default for row in settings_table() if row.default}
    assert Settings.read({**COMPLETE, **given}) == Settings.read(COMPLETE)


def test_serving_without_settings_is_refused_with_their_names() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    refused = subprocess.run(
        [sys.executable, "-m", "orders", "serve"],
        env={**bare, "ORDERS_MONGO_URI": "mysql://root:hunter2@db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "orders: ORDERS_MONGO_URI must be a URL" in refused.stderr
    assert "orders: ORDERS_AUDIENCE is missing" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "extra"),
    [
        ("ORDERS_REDIS_URI", "redis://cache/0", "redis"),
        ("ORDERS_RABBITMQ_URI", "amqp://broker/", "rabbitmq"),
        ("ORDERS_KAFKA_BOOTSTRAP", "broker:9092", "kafka"),
    ],
)
def test_a_setting_whose_package_is_not_installed_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, extra: str
) -> None:
    assert Settings.read({**COMPLETE, name: value})
    monkeypatch.setattr("orders.entrypoints.settings.addresses.find_spec", lambda module: None)
    assert problems(**{name: value}) == (f"{name} needs an extra: pip install 'orders[{extra}]'",)
