"""Which kind of each adapter the settings ask for. The container has an adapter for each kind."""

from __future__ import annotations

from typing import Literal

from orders.entrypoints.settings.table import Settings


def catalogue(settings: Settings) -> Literal["none", "file", "http"]:
    """Where prices come from."""
    where = settings.price_list
    if where is None:
        return "none"
    return "http" if where.startswith(("http://", "https://")) else "file"


def keys(settings: Settings) -> Literal["jwks", "secret"]:
    """What access tokens are verified with."""
    return "jwks" if settings.jwt_hs256_secret is None else "secret"


def limiter(settings: Settings) -> Literal["memory", "redis"]:
    """Where rates are counted."""
    return "memory" if settings.redis_uri is None else "redis"


def brokers(settings: Settings) -> Literal["none", "rabbitmq", "kafka", "both"]:
    """Where events are published."""
    match settings.rabbitmq_uri is not None, bool(settings.kafka_bootstrap):
        case True, True:
            return "both"
        case True, False:
            return "rabbitmq"
        case False, True:
            return "kafka"
        case _:
            return "none"
