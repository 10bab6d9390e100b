"""What the publishers declare at brokers, and what they do with what others have declared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelNotFoundEntity
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped]
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

from orders.adapters.brokers.kafka import KafkaPublisher
from orders.adapters.brokers.rabbitmq import RabbitPublisher
from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.messages import encode
from orders.application.ports import Published
from tests.support.processes.brokers import (
    KAFKA_MISSING,
    KafkaMock,
    KafkaServer,
    RabbitServer,
    kafka_jars,
)

CONFIRMED = 3


@asynccontextmanager
async def channel_to(uri: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(uri) as connection:
        yield await connection.channel()


async def arrive(uri: str, exchange: str, **settings: Any) -> bool:
    """Whether a consumer with a queue at the exchange gets what a new publisher sends."""
    events = logged_events()[:CONFIRMED]
    async with (
        channel_to(uri) as channel,
        RabbitPublisher(uri, exchange=exchange, publish_seconds=5, **settings) as publisher,
    ):
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "#")
        outcome = await publisher.publish(events)
        got = [await queue.get(no_ack=True, fail=False) for _ in events]
    assert outcome == Published(confirmed={events[0].order_id: CONFIRMED})
    return [message and message.body for message in got] == [encode(each) for each in events]


# -- RabbitMQ ---------------------------------------------------------------------------------


async def test_a_consumer_finds_the_exchange_before_the_first_event(
    rabbit: RabbitServer, exchange: str
) -> None:
    async with RabbitPublisher(rabbit.uri, exchange=exchange) as publisher:
        assert await publisher.prepare()
    async with channel_to(rabbit.uri) as channel:
        await channel.declare_exchange(exchange, passive=True)


@pytest.mark.parametrize("first", ["service", "consumer"])
async def test_a_consumer_may_declare_the_exchange_as_the_contract_says(
    rabbit: RabbitServer, exchange: str, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with RabbitPublisher(rabbit.uri, exchange=exchange) as publisher:
        assert first != "service" or await publisher.prepare()
    async with channel_to(rabbit.uri) as channel:
        await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)

    assert await arrive(rabbit.uri, exchange)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("declared", "differs"),
    [
        ({"arguments": {"alternate-exchange": "amq.fanout"}}, "alternate-exchange"),
        ({"durable": False}, "durable"),
        ({"type": "headers"}, "type"),
        ({"auto_delete": True}, "auto_delete"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_exchange_that_was_declared_otherwise_is_used_and_the_broker_is_quoted(
    rabbit: RabbitServer,
    exchange: str,
    declared: Mapping[str, Any],
    differs: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with channel_to(rabbit.uri) as channel:
        await channel.declare_exchange(exchange, **{"type": "topic", "durable": True, **declared})

    assert await arrive(rabbit.uri, exchange)

    (warning,) = caplog.messages
    assert warning.startswith("RabbitMQ: the exchange is used as it is: ")
    assert f"inequivalent arg '{differs}' for exchange '{exchange}'" in warning


@pytest.fixture(scope="module")
def publishing_only(rabbit: RabbitServer) -> str:
    """The address for an account that may write and read, and declare nothing."""
    rabbit.evaluate(
        'rabbit_auth_backend_internal:add_user(<<"clerk">>, <<"clerk">>, <<"test">>), '
        'rabbit_auth_backend_internal:set_permissions(<<"clerk">>, <<"/">>, <<"^$">>, '
        '<<"^(orders-|amq.gen)">>, <<"^(orders-|amq.gen)">>, <<"test">>).'
    )
    return rabbit.uri.replace("guest:guest", "clerk:clerk")


@pytest.mark.parametrize("declares", [True, False])
async def test_an_account_that_may_not_declare_sends_all_the_same(
    rabbit: RabbitServer,
    publishing_only: str,
    exchange: str,
    declares: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = logged_events()[:CONFIRMED]
    async with channel_to(rabbit.uri) as channel:
        await channel.declare_exchange(exchange, aio_pika.ExchangeType.TOPIC, durable=True)
    async with RabbitPublisher(publishing_only, exchange=exchange, declares=declares) as publisher:
        outcome = await publisher.publish(events)

    assert outcome == Published(confirmed={events[0].order_id: CONFIRMED})
    assert len(caplog.messages) == declares
    assert ("ACCESS_REFUSED" in caplog.text) == declares


async def test_a_publisher_that_declares_nothing_says_that_the_exchange_is_missing(
    rabbit: RabbitServer, exchange: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with RabbitPublisher(rabbit.uri, exchange=exchange, declares=False) as publisher:
        assert not await publisher.prepare()
        assert await publisher.publish(logged_events()[:1]) == Published()
    assert f"no exchange '{exchange}' in vhost '/'" in caplog.messages[0]

    async with channel_to(rabbit.uri) as channel:
        with pytest.raises(ChannelNotFoundEntity):
            await channel.declare_exchange(exchange, passive=True)


async def test_l_rabbit_node(
    rabbit: RabbitServer, exchange: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Row 333: the node with the declarations and one queue is down; the other queue gets all."""
    other = RabbitServer(tmp_path_factory.mktemp("second"), beside=rabbit)
    try:
        other.start()
        async with RabbitPublisher(rabbit.uri, exchange=exchange) as publisher:
            assert await publisher.prepare()
        async with channel_to(rabbit.uri) as channel:
            lost = await channel.declare_queue(f"{exchange}.lost", durable=True)
            await lost.bind(exchange, "#")

        rabbit.kill()

        assert await arrive(other.uri, exchange)
    finally:
        rabbit.start()
        other.kill()


# -- Kafka ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Brokers that create no topic by themselves; a topic has 3 partitions by default."""
    jars = kafka_jars()
    if jars is None:
        pytest.skip(KAFKA_MISSING)
    directory = tmp_path_factory.mktemp("kafka")
    with closing(KafkaServer(directory, jars, "auto.create.topics.enable=false")) as server:
        server.restore()
        yield server


async def partitions(kafka: KafkaServer | KafkaMock, topic: str) -> int:
    """How many partitions a topic has; 0 if there is none. Creates no topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        found = [each for each in await admin.describe_topics() if each["topic"] == topic]
        return sum(len(each["partitions"]) for each in found)
    finally:
        await admin.close()


@pytest.mark.parametrize(("wanted", "found"), [(0, 3), (7, 7)])
async def test_a_missing_topic_is_created_and_never_compacted(
    kafka: KafkaServer, exchange: str, wanted: int, found: int
) -> None:
    async with KafkaPublisher(kafka.bootstrap, topic=exchange, partitions=wanted) as publisher:
        assert await publisher.prepare()
        assert await partitions(kafka, exchange) == found
        assert await publisher.prepare()

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    resource = ConfigResource(ConfigResourceType.TOPIC, exchange, {"cleanup.policy": ""})
    ((answer,),) = [each.resources for each in await admin.describe_configs([resource])]
    await admin.close()
    assert [(each[0], each[1]) for each in answer[4]] == [("cleanup.policy", "delete")]


async def test_a_topic_that_exists_stays_as_it_is(
    kafka: KafkaServer, exchange: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (2, 5):
        publisher = KafkaPublisher(kafka.bootstrap, topic=exchange, partitions=number)
        async with publisher:
            assert await publisher.prepare()
    assert await partitions(kafka, exchange) == 2
    assert not caplog.messages


async def test_a_topic_that_brokers_do_not_create_is_told(
    kafka: KafkaServer, exchange: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The names of two topics may not differ by . and _ alone.
    for topic in (f"{exchange}.events", f"{exchange}_events"):
        async with KafkaPublisher(kafka.bootstrap, topic=topic) as publisher:
            assert await publisher.prepare()
    (warning,) = caplog.messages
    assert f"{topic} is missing and was not created: INVALID_TOPIC Topic" in warning
    assert "collides" in warning


async def test_without_leave_no_topic_is_created(kafka: KafkaServer, exchange: str) -> None:
    async with KafkaPublisher(
        kafka.bootstrap, topic=exchange, declares=False, publish_seconds=3
    ) as publisher:
        assert await publisher.prepare()
        assert await publisher.publish(logged_events()[:1]) == Published()
    assert await partitions(kafka, exchange) == 0


# Computed with `Utils.murmur2` and `Utils.toPositive` of kafka-clients 4.4.0, as its default
# partitioner does.
JAVA = {
    "6f1c7a52-9c1e-8d0b-a4c3-1f2e3d4c5b6a": 219_157_721,
    "00000000-0000-4000-8000-000000000000": 810_443_525,
    "f0e1d2c3-b4a5-4697-8879-6a5b4c3d2e1f": 1_576_922_727,
}


@pytest.mark.parametrize(("order_id", "java"), JAVA.items())
def test_the_partitioner_is_that_of_java(order_id: str, java: int) -> None:
    assert murmur2(order_id.encode()) & 0x7FFFFFFF == java


async def test_an_order_is_in_the_partition_where_java_would_put_it(exchange: str) -> None:
    wanted = {order_id: java % 4 for order_id, java in JAVA.items()}
    with closing(KafkaMock()) as kafka:
        async with KafkaPublisher(kafka.bootstrap, topic=exchange) as publisher:
            for each in wanted:
                await publisher.publish(logged_events(order_id=UUID(each))[:1])
        consumer = AIOKafkaConsumer(
            exchange, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            assert await partitions(kafka, exchange) == 4
            found: dict[str, int] = {}
            while len(found) < len(wanted):
                record = await consumer.getone()
                found[record.key.decode()] = record.partition
        finally:
            await consumer.stop()
    assert found == wanted
