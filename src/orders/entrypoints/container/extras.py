"""The adapters whose library is an extra: imported when the first of them is made."""

from __future__ import annotations

from ssl import SSLContext
from typing import TYPE_CHECKING

from orders.adapters.http_client import HttpRoute
from orders.adapters.in_memory.rate_limits import InMemoryRateLimiter
from orders.application.ports import TraceContext
from orders.entrypoints.settings.brokers import pairs
from orders.entrypoints.settings.table import Settings

if TYPE_CHECKING:
    from orders.adapters.brokers.kafka import KafkaPublisher
    from orders.adapters.brokers.kafka_security import KafkaSecurity
    from orders.adapters.brokers.rabbitmq import RabbitPublisher
    from orders.adapters.redis.rate_limiter import RedisRateLimiter


def redis_limiter(
    settings: Settings, fallback: InMemoryRateLimiter, tls: SSLContext
) -> RedisRateLimiter:
    """Make the limiter that all processes share."""
    from orders.adapters.redis.rate_limiter import RedisRateLimiter  # noqa: PLC0415  # an extra

    return RedisRateLimiter(
        settings.redis_uri or "",
        fallback=fallback,
        tls=tls,
        connect_seconds=settings.redis_connect_seconds,
        timeout_seconds=settings.redis_read_seconds,
    )


def rabbitmq(settings: Settings, trace_context: TraceContext, tls: SSLContext) -> RabbitPublisher:
    """Make the publisher to RabbitMQ."""
    from orders.adapters.brokers.rabbitmq import RabbitPublisher  # noqa: PLC0415  # an extra

    return RabbitPublisher(
        settings.rabbitmq_uri or "",
        tls=tls,
        declares=settings.broker_declare == "missing",
        trace_context=trace_context,
    )


def kafka(settings: Settings, trace_context: TraceContext, tls: SSLContext) -> KafkaPublisher:
    """Make the publisher to Kafka."""
    from orders.adapters.brokers.kafka import KafkaPublisher  # noqa: PLC0415  # an extra

    return KafkaPublisher(
        ",".join(settings.kafka_bootstrap),
        topic=settings.kafka_topic,
        security=_kafka_security(settings, tls),
        declares=settings.broker_declare == "missing",
        partitions=settings.kafka_partitions,
        trace_context=trace_context,
    )


def _kafka_security(settings: Settings, tls: SSLContext) -> KafkaSecurity:
    from orders.adapters.brokers.kafka_security import (  # noqa: PLC0415  # an extra
        ClientCredentials,
        KafkaSecurity,
    )

    username, password = settings.kafka_username or "", settings.kafka_password or ""
    return KafkaSecurity(
        tls=tls if settings.kafka_security_protocol.endswith("SSL") else None,
        mechanism=settings.kafka_sasl_mechanism,
        username=username,
        password=password,
        tokens=ClientCredentials(
            settings.kafka_token_url,
            client_id=username,
            client_secret=password,
            parameters=pairs(settings.kafka_token_parameters),
            extensions=pairs(settings.kafka_sasl_extensions),
            route=HttpRoute(tls=tls, proxy=settings.proxy_for(settings.kafka_token_url)),
        )
        if settings.kafka_token_url
        else None,
    )
