"""How Kafka and Redis are spoken to. Addresses stand with the others in `table`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from orders.entrypoints.settings import addresses
from orders.entrypoints.settings.kinds import choice, float_, list_of, setting, url

_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_NEEDED: Final = ("kafka_sasl_mechanism", "kafka_username", "kafka_password")
_OAUTH: Final = ("kafka_token_url", "kafka_token_parameters", "kafka_sasl_extensions")


def as_mechanism(text: str) -> str:
    if text not in _MECHANISMS:
        raise ValueError
    return text


def as_kafka_credential(text: str) -> str:
    """Accept what SASL PLAIN can send: it ends a name with the character NUL."""
    if "\0" in text or len(text) > 1_024:
        raise ValueError
    return text


def as_pair(text: str) -> str:
    """Accept a form field, or an extension of RFC 7628."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,255}=[\x20-\x7e]{1,1024}", text):
        raise ValueError
    return text


def pairs(texts: tuple[str, ...]) -> Mapping[str, str]:
    """Return what such settings hold, by name."""
    return {name: value for name, _, value in (each.partition("=") for each in texts)}


def problems(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Return the settings of Kafka that do not fit together, and why."""
    protocol = str(values.get("kafka_security_protocol", "PLAINTEXT"))
    mechanism = values.get("kafka_sasl_mechanism")
    if protocol.startswith("SASL_"):
        for name in _NEEDED:
            if name not in values:
                variable = f"ORDERS_{name.upper()}"
                yield "kafka_security_protocol", f"is {protocol}, and {variable} is missing"
    else:
        for name in {*_NEEDED, *_OAUTH} & values.keys():
            yield name, "needs ORDERS_KAFKA_SECURITY_PROTOCOL=SASL_SSL (or SASL_PLAINTEXT)"
    if mechanism == "OAUTHBEARER" and "kafka_token_url" not in values:
        yield "kafka_sasl_mechanism", "is OAUTHBEARER, and ORDERS_KAFKA_TOKEN_URL is missing"
    if mechanism not in {None, "OAUTHBEARER"}:
        for name in {*_OAUTH} & values.keys():
            yield name, "needs ORDERS_KAFKA_SASL_MECHANISM=OAUTHBEARER"


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """The settings of Kafka's security, and of the distance to Redis."""

    kafka_security_protocol: str = choice(
        "how Kafka is spoken to; with SSL, ORDERS_CA_FILE and ORDERS_CLIENT_CERT_FILE hold",
        "PLAINTEXT",
        "PLAINTEXT",
        "SSL",
        "SASL_PLAINTEXT",
        "SASL_SSL",
    )
    kafka_sasl_mechanism: str | None = setting(
        "how the service logs in to Kafka",
        f"one of {', '.join(_MECHANISMS)}",
        as_mechanism,
        default=None,
    )
    kafka_username: str | None = setting(
        "user name at Kafka; with OAUTHBEARER the client's id at the token endpoint",
        "up to 1024 characters",
        as_kafka_credential,
        default=None,
        shown=False,
    )
    kafka_password: str | None = setting(
        "password of that user, or the client's secret",
        "up to 1024 characters",
        as_kafka_credential,
        default=None,
        secret=True,
    )
    kafka_token_url: str | None = url(
        "token endpoint for OAUTHBEARER, with the grant client_credentials",
        addresses.as_http,
        "http",
        "https",
        default=None,
    )
    kafka_token_parameters: tuple[str, ...] = list_of(
        "further fields of a request for a token, such as scope=kafka",
        "name=value",
        as_pair,
        default=(),
    )
    kafka_sasl_extensions: tuple[str, ...] = list_of(
        "what Kafka wants to know with the token, such as logicalCluster=lkc-123",
        "name=value",
        as_pair,
        default=(),
    )
    redis_connect_seconds: float = float_(
        "limit to connect to one Redis server; no request waits for that", 1, 0.05, 10
    )
    redis_read_seconds: float = float_(
        "limit of a call to Redis, which a request waits for: several round trips", 0.04, 0.005, 1
    )
