"""Every setting of the service: one table, read once from `ORDERS_*`, complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, NamedTuple

from orders.entrypoints.failures import SettingsError
from orders.entrypoints.settings import addresses, tokens
from orders.entrypoints.settings.brokers import BrokerSettings
from orders.entrypoints.settings.kinds import (
    as_broker,
    as_credential,
    as_database,
    as_host,
    as_network,
    as_origin,
    as_topic,
    as_webhook_secret,
    choice,
    float_,
    integer,
    list_of,
    setting,
    text,
    url,
)
from orders.entrypoints.settings.proxies import ProxySettings
from orders.entrypoints.settings.reading import POOL_SIZE, file_variable, read_values, variable
from orders.entrypoints.settings.telemetry import as_collector
from orders.entrypoints.settings.tls import TlsSettings


class SettingRow(NamedTuple):
    """A line of the published table; `default` is None where the setting is required.

    `file` is the variable that may name a file with the value; None if there is none.
    """

    name: str
    default: str | None
    accepts: str
    meaning: str
    secret: bool
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(BrokerSettings, ProxySettings, TlsSettings):
    """The settings of a process, read once at its start. No repr shows a secret."""

    # Where things are
    host: str = setting(
        "address to listen on", "a host name or an IP address", as_host, default="127.0.0.1"
    )
    port: int = integer("port of the API", 8000, 0, 65_535)
    metrics_port: int = integer("port of /metrics; 0 turns it off", 9464, 0, 65_535)
    mongo_uri: str = url("MongoDB", addresses.as_mongo, "mongodb", "mongodb+srv", secret=True)
    database: str = setting(
        "database in MongoDB", "1 to 63 letters, digits, _ or -", as_database, default="orders"
    )
    stored_form: str = choice(
        "form of stored orders; 1 and both only during an upgrade", "2", "1", "both", "2"
    )
    mongo_pool_size: int = integer("connections to MongoDB per process", POOL_SIZE, 1, 500)
    mongo_timeout_seconds: float = float_(
        "time limit of a database call; half a second more while no server is found", 1.25, 0.1, 30
    )
    payment_url: str = url("payment service", addresses.as_http_base, "http", "https")
    payment_token: str | None = setting(
        "the service's credential at the payment service",
        "printable ASCII",
        as_credential,
        default=None,
        secret=True,
    )
    payment_webhook_secret: tuple[str, ...] = list_of(
        "keys that verify incoming webhooks", "whsec_<base64>", as_webhook_secret, secret=True
    )
    webhook_tolerance_seconds: int = integer("maximum age of a webhook", 300, 1, 3_600)
    price_list: str | None = setting(
        "price list: a JSON file, or an http(s) URL. Without one only callers with orders:price "
        "may place orders",
        "a file, or a URL",
        addresses.as_price_list,
        default=None,
        shown=False,
    )
    tax_rounding: str = choice(
        "tax is rounded half up: by line, or once for all that an order has at one rate. Placed "
        "orders keep their rounding",
        "line",
        "line",
        "order",
    )
    rabbitmq_uri: str | None = url(
        "RabbitMQ, for events; without a broker events are in the feed only",
        addresses.as_rabbit,
        "amqp",
        "amqps",
        default=None,
        secret=True,
    )
    kafka_bootstrap: tuple[str, ...] = list_of(
        "Kafka brokers, for events; RabbitMQ may be set too", "host:port", as_broker, default=()
    )
    kafka_topic: str = setting(
        "Kafka topic of the events",
        "1 to 249 letters, digits, ., _ or -",
        as_topic,
        default="orders.events",
    )
    kafka_partitions: int = integer("partitions of a new topic; 0: brokers' default", 0, 0, 1_000)
    broker_declare: str = choice(
        "missing: the worker declares the exchange and creates the topic, if they are missing; "
        "never: the account may not, and they must exist",
        "missing",
        "missing",
        "never",
    )
    redis_uri: str | None = url(
        "Redis, for rate limits across all processes; without it each process counts alone",
        addresses.as_redis,
        *addresses.REDIS_SCHEMES,
        default=None,
        secret=True,
    )
    otlp_endpoint: str | None = url(
        "OpenTelemetry collector (OTLP over HTTP; leave out /v1/traces); without it, and without "
        "OTEL_EXPORTER_OTLP_ENDPOINT: no spans",
        as_collector,
        "http",
        "https",
        default=None,
    )

    # Access
    issuer: str = text("the only accepted iss of a token")
    audience: tuple[str, ...] = tokens.AUDIENCE
    jwks_url: str | None = url(
        "signing keys of the issuer (JWKS); required without a shared secret",
        addresses.as_http,
        "http",
        "https",
        default=None,
    )
    jwt_algorithms: tuple[str, ...] = tokens.ALGORITHMS
    jwt_hs256_secret: str | None = tokens.HS256_SECRET
    jwt_types: tuple[str, ...] = tokens.TYPES
    jwt_required: tuple[str, ...] = tokens.REQUIRED
    jwt_audience_claims: tuple[str, ...] = tokens.AUDIENCE_CLAIMS
    jwt_subject_claims: tuple[str, ...] = tokens.SUBJECT_CLAIMS
    jwt_roles_claim: tuple[str, ...] = tokens.ROLES_CLAIM
    jwt_role_map: tuple[tuple[str, str], ...] = tokens.ROLE_MAP
    jwt_scope_claims: tuple[str, ...] = tokens.SCOPE_CLAIMS
    jwt_scope_map: tuple[tuple[str, str], ...] = tokens.SCOPE_MAP
    jwt_scopes: str = tokens.SCOPES
    jwt_bound_tokens: str = tokens.BOUND_TOKENS
    jwt_leeway_seconds: int = integer("tolerated clock difference in seconds", 10, 0, 30)
    jwt_max_lifetime_seconds: int = integer("maximum of exp - iat", 86_400, 60, 31_536_000)
    jwt_tenant_claim: str = tokens.TENANT_CLAIM
    default_tenant: str = tokens.DEFAULT_TENANT
    cors_origins: tuple[str, ...] = list_of(
        "browser origins that may call the API", "https://host", as_origin, default=()
    )
    trusted_proxies: tuple[str, ...] = list_of(
        "proxies whose forwarded addresses count, for rate limits and the audit trail only",
        "networks such as 10.0.0.0/8",
        as_network,
        default=(),
    )
    forwarded_header: str = choice(
        "header in which the trusted proxies write the client's address; no other is read",
        "X-Forwarded-For",
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
    )

    # Limits
    max_body_bytes: int = integer("maximum bytes of a request body", 1_048_576, 1_024, 16_777_216)
    max_depth: int = integer("maximum nesting of a body", 32, 4, 100)
    max_token_bytes: int = integer("maximum bytes of a token", 8_192, 1_024, 65_536)
    max_key_length: int = integer("maximum characters of an Idempotency-Key", 255, 16, 1_024)
    max_lines: int = integer("maximum lines of an order", 2_000, 1, 10_000)
    max_quantity: int = integer("maximum units of a line", 100_000, 1, 10_000_000)
    max_unit_price: int = integer("maximum price of one unit, in minor units", 10**10, 1, 10**12)
    max_declines: int = integer(
        "declined payments of one order within an hour, payments without an outcome included; more "
        "get 409",
        10,
        1,
        250,
    )
    max_customer_declines: int = integer(
        "declined payments of one customer in a burst, over all orders, and as many more in each "
        "hour; then payments get 429. Counted across processes with Redis; 0 turns the limit off",
        20,
        0,
        10_000,
    )
    max_page: int = integer("maximum items of a page", 100, 1, 1_000)
    rate_per_second: float = float_(
        "average requests per second of one caller; 0 turns the limit off", 20, 0, 100_000
    )
    rate_burst: int = integer("requests of one caller in a burst", 40, 1, 100_000)
    auth_failures_per_second: float = float_(
        "average refused tokens per second of one client address, three times as many in a burst; "
        "0 turns the limit off",
        50,
        0,
        100_000,
    )
    max_in_flight: int = integer(
        "requests per process that have a slot or wait for one; more get 503, lists already from "
        "60 % on. ORDERS_MONGO_POOL_SIZE requests have a slot at the same time. Requests that wait "
        "for a body, the payment service or the catalogue do not count",
        256,
        1,
        10_000,
    )

    # Times
    body_seconds: float = float_("limit for a request body to arrive", 10, 1, 60)
    request_seconds: float = float_(
        "limit of a request once it has a slot; later it starts no further work", 10, 1, 10
    )
    payment_connect_seconds: float = float_("limit to connect to the payment service", 1, 0.05, 10)
    payment_read_seconds: float = float_("limit for a response of the payment service", 5, 0.05, 20)
    payment_total_seconds: float = float_("limit of a payment call with its retries", 8, 0.1, 25)
    expire_after_seconds: int = integer(
        "time to pay before an order expires", 86_400, 1, 31_536_000
    )
    max_pay_within_seconds: int = integer(
        "longest time to pay that a new order may state, in seconds", 2_592_000, 1, 31_536_000
    )
    drain_seconds: float = float_("serves requests for this long after SIGTERM", 5, 0, 15)

    # The process
    workers: int = integer("API processes", 1, 1, 64)
    trace_ratio: float = float_(
        "share of traces to record if the caller has not decided", 0.1, 0, 1
    )
    log_level: str = choice("lowest level logged", "info", "debug", "info", "warning", "error")

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read all settings; an empty variable counts as not set.

        Raises:
            SettingsError: If any is missing, wrong or unknown. It names all of them.
        """
        values, problems = read_values(_declared(), environ)
        if problems:
            raise SettingsError(problems)
        return cls(**values)


def settings_table() -> tuple[SettingRow, ...]:
    """Every setting as published in the documentation, in the order of declaration."""
    return tuple(
        SettingRow(
            name=variable(each),
            default=None if each.default is MISSING else _shown(each.default),
            accepts=each.metadata["accepts"],
            meaning=each.metadata["meaning"],
            secret=each.metadata["secret"],
            file=file_variable(each),
        )
        for each in _declared()
    )


def _declared() -> list[Field[Any]]:
    """Return the settings in the order of the table: those that are inherited come last."""
    inherited = {each.name for base in Settings.__bases__ for each in fields(base)}
    return sorted(fields(Settings), key=lambda each: each.name in inherited)


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ", ".join(default) if isinstance(default, tuple) else str(default or "")
