"""Publishers in memory, to RabbitMQ and to Kafka keep what `EventPublisher` promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing

import aio_pika
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord  # type: ignore[import-untyped]

from orders.adapters.brokers.kafka import KafkaPublisher
from orders.adapters.brokers.rabbitmq import RabbitPublisher
from orders.adapters.contracts.events.event_publisher import EventPublisherContract
from orders.adapters.contracts.events.event_samples import logged_events
from orders.adapters.in_memory import InMemoryPublisher
from orders.adapters.messages import CONTENT_TYPE, encode
from orders.application.ports import Published
from tests.support.processes.brokers import (
    KAFKA_MISSING,
    KafkaMock,
    KafkaServer,
    RabbitServer,
    kafka_jars,
)


async def restore_for_the_next_test(broker: RabbitBroker | KafkaBroker) -> None:
    """Bring a broker back that a test has lost and, as it failed, not restored."""
    if broker.is_lost:
        await broker.restore()


class MemoryBroker:
    def __init__(self, publisher: InMemoryPublisher) -> None:
        self._publisher = publisher

    async def received(self) -> Sequence[bytes]:
        return [encode(event) for event in self._publisher.published]

    async def lose(self) -> None:
        self._publisher.unavailable = True

    async def restore(self) -> None:
        self._publisher.unavailable = False


class TestInMemoryPublisher(EventPublisherContract):
    @pytest.fixture
    def publisher(self) -> InMemoryPublisher:
        return InMemoryPublisher()

    @pytest.fixture
    def broker(self, publisher: InMemoryPublisher) -> MemoryBroker:
        return MemoryBroker(publisher)


# -- RabbitMQ ---------------------------------------------------------------------------------


class RabbitBroker:
    """A durable queue for all that an exchange gets. Losing it is a power cut."""

    is_lost = False

    def __init__(self, server: RabbitServer, exchange: str) -> None:
        self.server = server
        self._exchange = exchange
        self._received: list[bytes] = []

    async def bind(self, *, key: str = "#") -> None:
        async with await aio_pika.connect(self.server.uri) as connection:
            queue = await (await connection.channel()).declare_queue(self._exchange, durable=True)
            await queue.bind(self._exchange, key)

    async def received(self) -> Sequence[bytes]:
        self._received += [message.body for message in await self.messages(self._exchange)]
        return self._received

    async def messages(self, queue_name: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
        """What is in a queue; it is taken out."""
        found = []
        async with await aio_pika.connect(self.server.uri) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(queue_name, passive=True)
            while message := await queue.get(no_ack=True, fail=False):
                found.append(message)
        return found

    async def lose(self) -> None:
        self.is_lost = True
        self.server.kill()

    async def restore(self) -> None:
        self.server.start()
        self.is_lost = False


class FrozenBroker(RabbitBroker):
    """Losing this one is a hang: connections stay open, and nothing answers."""

    async def lose(self) -> None:
        self.is_lost = True
        self.server.freeze()

    async def restore(self) -> None:
        self.server.thaw()
        self.is_lost = False


class TestRabbitPublisher(EventPublisherContract):
    @pytest.fixture
    async def publisher(
        self, rabbit: RabbitServer, exchange: str
    ) -> AsyncIterator[RabbitPublisher]:
        async with RabbitPublisher(rabbit.uri, exchange=exchange, publish_seconds=5) as opened:
            yield opened

    @pytest.fixture(params=[RabbitBroker, FrozenBroker], ids=["killed", "frozen"])
    async def broker(
        self,
        request: pytest.FixtureRequest,
        rabbit: RabbitServer,
        publisher: RabbitPublisher,
        exchange: str,
    ) -> AsyncIterator[RabbitBroker]:
        await publisher.ready()
        broker: RabbitBroker = request.param(rabbit, exchange)
        await broker.bind()
        yield broker
        await restore_for_the_next_test(broker)

    async def test_a_message_says_what_it_is(
        self, publisher: RabbitPublisher, rabbit: RabbitServer, exchange: str
    ) -> None:
        await publisher.ready()
        broker = RabbitBroker(rabbit, exchange)
        await broker.bind(key="OrderCreated")
        (event, *_) = events = logged_events()[:2]

        await publisher.publish(events)

        (message,) = await broker.messages(exchange)
        assert (message.content_type, message.routing_key) == (CONTENT_TYPE, "OrderCreated")
        assert (message.message_id, message.type) == (event.id, "orders.OrderCreated.v1")
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        told = msgspec.json.decode(message.body)
        assert told["id"] == event.id
        assert message.headers == {"traceparent": told["traceparent"]}

    async def test_what_nobody_has_bound_is_confirmed(self, publisher: RabbitPublisher) -> None:
        events = logged_events()[:3]
        assert await publisher.publish(events) == Published(confirmed={events[0].order_id: 3})

    async def test_heals_when_the_exchange_was_deleted(
        self, publisher: RabbitPublisher, rabbit: RabbitServer, exchange: str
    ) -> None:
        events = logged_events()[:2]
        await publisher.publish(events[:1])
        async with await aio_pika.connect(rabbit.uri) as connection:
            await (await connection.channel()).exchange_delete(exchange)

        assert await publisher.publish(events[1:]) == Published()
        told = await publisher.publish(events[1:])
        assert told == Published(confirmed={events[0].order_id: 2})

    async def test_a_wrong_password_is_told_without_it(
        self, rabbit: RabbitServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        uri = rabbit.uri.replace("guest:guest", "guest:hunter2")
        async with RabbitPublisher(uri, publish_seconds=5) as publisher:
            assert await publisher.publish(logged_events()[:1]) == Published()

        assert "RabbitMQ: it refuses the user name or the password" in caplog.messages
        assert "hunter2" not in caplog.text


# -- Kafka ------------------------------------------------------------------------------------


@pytest.fixture(params=["mock", "apache"])
def kafka(request: pytest.FixtureRequest) -> Iterator[KafkaMock | KafkaServer]:
    """A mock of the test's own, or the one Apache Kafka of this module."""
    if request.param == "apache":
        yield request.getfixturevalue("apache_kafka")
        return
    with closing(KafkaMock()) as mock:
        yield mock


@pytest.fixture(scope="module")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    jars = kafka_jars()
    if jars is None:
        pytest.skip(KAFKA_MISSING)
    with closing(KafkaServer(tmp_path_factory.mktemp("kafka"), jars)) as server:
        server.restore()
        yield server


class KafkaBroker:
    """All that a topic holds."""

    is_lost = False

    def __init__(self, server: KafkaMock | KafkaServer, topic: str) -> None:
        self._server = server
        self._topic = topic

    async def received(self) -> Sequence[bytes]:
        return [record.value for record in await self.records()]

    async def records(self) -> Sequence[ConsumerRecord]:
        records: list[ConsumerRecord] = []
        consumer = AIOKafkaConsumer(
            self._topic, bootstrap_servers=self._server.bootstrap, auto_offset_reset="earliest"
        )
        try:
            # Not `async with`: a consumer whose start fails would stay open.
            await consumer.start()
            for each, end in (await consumer.end_offsets(consumer.assignment())).items():
                while await consumer.position(each) < end:
                    records += (await consumer.getmany(each, timeout_ms=1_000)).get(each, [])
        finally:
            await consumer.stop()
        return records

    async def lose(self) -> None:
        self.is_lost = True
        self._server.lose()

    async def restore(self) -> None:
        self._server.restore()
        self.is_lost = False


class TestKafkaPublisher(EventPublisherContract):
    @pytest.fixture
    async def publisher(
        self, kafka: KafkaMock | KafkaServer, exchange: str
    ) -> AsyncIterator[KafkaPublisher]:
        async with KafkaPublisher(kafka.bootstrap, topic=exchange, publish_seconds=5) as opened:
            yield opened

    @pytest.fixture
    async def broker(
        self, kafka: KafkaMock | KafkaServer, exchange: str
    ) -> AsyncIterator[KafkaBroker]:
        broker = KafkaBroker(kafka, exchange)
        yield broker
        await restore_for_the_next_test(broker)

    async def test_a_record_says_what_it_is(
        self, publisher: KafkaPublisher, broker: KafkaBroker
    ) -> None:
        orders = [logged_events()[:2] for _ in range(10)]

        await publisher.publish([event for events in orders for event in events])

        partitions = defaultdict(set)
        for record in await broker.records():
            told = msgspec.json.decode(record.value)
            assert dict(record.headers) == {
                "content-type": CONTENT_TYPE.encode(),
                **({"traceparent": t.encode()} if (t := told.get("traceparent")) else {}),
            }
            assert told["partitionkey"] == record.key.decode()
            partitions[record.key].add(record.partition)
        assert set(partitions) == {str(events[0].order_id).encode() for events in orders}
        assert all(len(each) == 1 for each in partitions.values())
