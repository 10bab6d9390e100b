"""Every setting of the service: one table, read once from `ORDERS_*`, complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, NamedTuple

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings import addresses
from orders.entrypoints.settings.kinds import (
    as_algorithm,
    as_broker,
    as_claim,
    as_claim_and_value,
    as_credential,
    as_database,
    as_host,
    as_network,
    as_origin,
    as_shared_secret,
    as_token_type,
    as_topic,
    as_webhook_secret,
    choice,
    float_,
    integer,
    list_of,
    parsed,
    setting,
    text,
    url,
)

PREFIX = "ORDERS_"
_POOL_SIZE = 16


class SettingRow(NamedTuple):
    """A line of the published table; `default` is None where the setting is required."""

    name: str
    default: str | None
    accepts: str
    meaning: str
    secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service was told at its start. Secrets are in no repr."""

    # Where things are
    host: str = setting(
        "address to listen on", "a host name or an IP address", as_host, default="127.0.0.1"
    )
    port: int = integer("port of the API", 8000, 0, 65_535)
    metrics_port: int = integer("port of /metrics; 0 turns it off", 9464, 0, 65_535)
    mongo_uri: str = url("MongoDB", addresses.as_mongo, "mongodb", "mongodb+srv", secret=True)
    database: str = setting(
        "database in MongoDB",
        "1 to 63 letters, digits, _ or -",
        as_database,
        default="orders",
    )
    mongo_pool_size: int = integer("connections to MongoDB per process", _POOL_SIZE, 1, 500)
    mongo_timeout_seconds: float = float_(
        "limit of a database call; one more half second while no server is found", 1.25, 0.1, 30
    )
    payment_url: str = url("payment service", addresses.as_http_base, "http", "https")
    payment_token: str | None = setting(
        "our own credential at the payment service",
        "printable ASCII",
        as_credential,
        default=None,
        secret=True,
    )
    payment_webhook_secret: tuple[str, ...] = list_of(
        "keys of incoming webhooks", "whsec_<base64>", as_webhook_secret, secret=True
    )
    webhook_tolerance_seconds: int = integer("age of a webhook at most", 300, 1, 3_600)
    price_list: str | None = setting(
        "catalogue: a JSON file, or an http(s) URL. Without one only callers with orders:price "
        "may place",
        "a file, or a URL",
        addresses.as_price_list,
        default=None,
        shown=False,
    )
    rabbitmq_uri: str | None = url(
        "RabbitMQ, for events; without a broker they stay in the feed",
        addresses.as_rabbit,
        "amqp",
        "amqps",
        default=None,
        secret=True,
    )
    kafka_bootstrap: tuple[str, ...] = list_of(
        "Kafka brokers, for events; both kinds may be set", "host:port", as_broker, default=()
    )
    kafka_topic: str = setting(
        "topic of the events",
        "1 to 249 letters, digits, ., _ or -",
        as_topic,
        default="orders.events",
    )
    redis_uri: str | None = url(
        "Redis, for rate limits over all processes; without it each process counts for itself",
        addresses.as_redis,
        "redis",
        "rediss",
        default=None,
        secret=True,
    )
    otlp_endpoint: str | None = url(
        "OpenTelemetry collector that takes OTLP over HTTP, without /v1/traces; without it no "
        "span is recorded",
        addresses.as_http_base,
        "http",
        "https",
        default=None,
    )

    # Who may
    issuer: str = text("the one accepted iss of a token")
    audience: str = text("the one accepted aud of a token")
    jwks_url: str | None = url(
        "keys of the issuer; required without a shared secret",
        addresses.as_http,
        "http",
        "https",
        default=None,
    )
    jwt_algorithms: tuple[str, ...] = list_of(
        "accepted signatures",
        "RS256, PS256, ES256, EdDSA or HS256",
        as_algorithm,
        default=("RS256", "PS256", "ES256", "EdDSA"),
    )
    jwt_hs256_secret: str | None = setting(
        "shared secret, needed for HS256 only",
        "at least 32 bytes",
        as_shared_secret,
        default=None,
        secret=True,
    )
    jwt_types: tuple[str, ...] = list_of(
        "accepted typ of a token; one other than at+jwt must name scopes, if only none, or meet "
        "ORDERS_JWT_REQUIRED",
        "at+jwt, JWT or none",
        as_token_type,
        default=("at+jwt",),
    )
    jwt_required: tuple[str, ...] = list_of(
        "what every token must say besides, such as token_use=access; a list must hold it",
        "claim=value",
        as_claim_and_value,
        default=(),
    )
    jwt_scope_claims: tuple[str, ...] = list_of(
        "claims that name a token's scopes, as text or as a list; they must not contradict "
        "each other",
        "a claim's name",
        as_claim,
        default=("scope", "scp"),
    )
    jwt_scopes: str = choice(
        "required: no scope of ours, no right; ignored: roles alone decide",
        "required",
        "required",
        "ignored",
    )
    jwt_leeway_seconds: int = integer("clock difference allowed", 10, 0, 30)
    jwt_max_lifetime_seconds: int = integer("exp - iat at most", 86_400, 60, 31_536_000)
    default_tenant: str = text("tenant of a token that names none", "main")
    cors_origins: tuple[str, ...] = list_of(
        "browsers' origins that may call", "https://host", as_origin, default=()
    )
    trusted_proxies: tuple[str, ...] = list_of(
        "proxies whose forwarded addresses count, for rate limits and the audit trail only",
        "networks such as 10.0.0.0/8",
        as_network,
        default=(),
    )

    # How much
    max_body_bytes: int = integer("bytes of a request body", 1_048_576, 1_024, 16_777_216)
    max_depth: int = integer("nesting of a body", 32, 4, 100)
    max_token_bytes: int = integer("bytes of a token", 8_192, 1_024, 65_536)
    max_key_length: int = integer("characters of an Idempotency-Key", 255, 16, 1_024)
    max_lines: int = integer("lines of an order", 2_000, 1, 10_000)
    max_quantity: int = integer("units of a line", 100_000, 1, 10_000_000)
    max_unit_price: int = integer("minor units a unit may cost", 10**10, 1, 10**12)
    max_page: int = integer("items of a page", 100, 1, 1_000)
    rate_per_second: float = float_(
        "requests of a principal on average; 0 turns the limit off", 20, 0, 100_000
    )
    rate_burst: int = integer("requests of a principal at once", 40, 1, 100_000)
    auth_failures_per_second: float = float_(
        "refused tokens of a client address on average, thrice as many at once; 0 turns the "
        "limit off",
        50,
        0,
        100_000,
    )
    max_in_flight: int = integer(
        "requests per process that are worked for or wait for their turn, then 503; lists may be "
        "60 % of them. ORDERS_MONGO_POOL_SIZE are worked for at once. Who waits for a body, the "
        "payment service or the catalogue is none of them",
        256,
        1,
        10_000,
    )

    # How long
    body_seconds: float = float_("until a body has come in", 10, 1, 60)
    request_seconds: float = float_(
        "from when a request has come in: nothing is begun for it later", 10, 1, 10
    )
    payment_connect_seconds: float = float_("connecting to the payment service", 1, 0.05, 10)
    payment_read_seconds: float = float_("waiting for its answer", 5, 0.05, 20)
    payment_total_seconds: float = float_("one payment call with its retries", 8, 0.1, 25)
    expire_after_seconds: int = integer("until an unpaid order expires", 86_400, 1, 31_536_000)
    drain_seconds: float = float_("serving on after SIGTERM", 5, 0, 15)

    # The process
    workers: int = integer("processes that serve", 1, 1, 64)
    trace_ratio: float = float_(
        "share of the traces that is recorded, where the caller has not decided", 0.1, 0, 1
    )
    log_level: str = choice("what is logged", "info", "debug", "info", "warning", "error")

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read all settings; an empty variable counts as not set.

        Raises:
            SettingsError: If any is missing or wrong. It names all of them, not just the first.
        """
        values: dict[str, Any] = {}
        problems: list[str] = []
        for each in fields(cls):
            name, text = _variable(each.name), environ.get(_variable(each.name), "").strip()
            if not text and each.default is MISSING:
                problems.append(f"{name} is missing: {each.metadata['meaning']}")
            elif text:
                problem, values[each.name] = parsed(text, **each.metadata)
                problems += [f"{name} {problem}"] if problem else []
        problems += _contradictions(environ)
        problems += [f"{_variable(name)} {need}" for name, need in addresses.missing(values)]
        if problem := addresses.mongo_problem(
            values.get("mongo_uri"), pool_size=values.get("mongo_pool_size") or _POOL_SIZE
        ):
            problems.append(f"ORDERS_MONGO_URI cannot be used: {problem}")
        if problems:
            raise SettingsError(problems)
        return cls(**values)


def settings_table() -> tuple[SettingRow, ...]:
    """Every setting as published in the documentation, in the order of declaration."""
    return tuple(
        SettingRow(
            name=_variable(each.name),
            default=None if each.default is MISSING else _shown(each.default),
            accepts=each.metadata["accepts"],
            meaning=each.metadata["meaning"],
            secret=each.metadata["secret"],
        )
        for each in fields(Settings)
    )


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ", ".join(default) if isinstance(default, tuple) else str(default or "")


def _contradictions(environ: Mapping[str, str]) -> list[str]:
    """What is wrong only together, each as one line that names the settings."""
    algorithms, secret, keys = (
        environ.get(name, "").strip()
        for name in ("ORDERS_JWT_ALGORITHMS", "ORDERS_JWT_HS256_SECRET", "ORDERS_JWKS_URL")
    )
    wants_shared = "HS256" in algorithms
    problems = []
    if not keys and not secret:
        problems.append("ORDERS_JWKS_URL is missing: where the issuer publishes its keys")
    if wants_shared and not secret:
        problems.append("ORDERS_JWT_HS256_SECRET is missing: ORDERS_JWT_ALGORITHMS names HS256")
    if secret and not wants_shared:
        problems.append("ORDERS_JWT_ALGORITHMS must name HS256 to use ORDERS_JWT_HS256_SECRET")
    return problems
