"""The Kafka topic of the events."""

from __future__ import annotations

import logging
from typing import Any, Final

from aiokafka.errors import (  # type: ignore[import-untyped]
    IncompatibleBrokerVersion,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import CreateTopicsRequest  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]

_BROKERS_DEFAULT: Final = -1
_TIMEOUT_MS: Final = 3_000
# Compaction would keep one event of each order: the key is the order.
_CONFIGURATION: Final = [("cleanup.policy", "delete")]
_log = logging.getLogger(__name__)


async def create_missing_topic(client: Any, topic: str, partitions: int) -> None:
    """Create a topic if it is missing; one that exists stays as it is. May be repeated.

    It gets `partitions`, or with 0 the brokers' default number, and the brokers' default number of
    replicas. If the brokers refuse, the log says why.

    Raises:
        KafkaError: If the brokers give no answer.
    """
    try:
        some_node = client.get_random_node()
        known = await client.send(
            some_node, MetadataRequest([topic], allow_auto_topic_creation=False)
        )
        if known.topics[0][0] != UnknownTopicOrPartitionError.errno:
            return
        sizes = partitions or _BROKERS_DEFAULT, _BROKERS_DEFAULT
        wanted: tuple[Any, ...] = (topic, *sizes, [], _CONFIGURATION)
        # Brokers without a controller that clients can reach forward the request.
        is_reachable = client.cluster.broker_metadata(known.controller_id) is not None
        answer = await client.send(
            known.controller_id if is_reachable else some_node,
            CreateTopicsRequest([wanted], _TIMEOUT_MS, validate_only=False),
        )
    except IncompatibleBrokerVersion:  # some that speak the protocol create topics by themselves
        return
    ((_, code, text),) = answer.topic_errors
    if code and code != TopicAlreadyExistsError.errno:
        reason = for_code(code).message
        _log.warning(
            "Kafka: the topic %s is missing and was not created: %s %s", topic, reason, text
        )
