"""Publish every event to a real Kafka and RabbitMQ, read them in each language, write the report.

ORDERS_TEST_KAFKA names the jars of Apache Kafka 4 (infra/setup/kafka.sh).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aio_pika
import pytest

from orders.adapters.brokers.kafka import KafkaPublisher
from orders.adapters.brokers.rabbitmq import EXCHANGE, RabbitPublisher
from orders.adapters.contracts.events.event_samples import EVERY_EVENT
from tests.clients.generated.exercise import StepFailed, install, step, working_folder
from tests.clients.programs import NO_PROXY, need
from tests.consumers.consumers import CONSUMERS, Consumer
from tests.consumers.messages import ORDERS, difference, publish
from tests.support.processes.brokers import (
    KAFKA_MISSING,
    RABBITMQ_MISSING,
    KafkaServer,
    RabbitServer,
    kafka_jars,
    rabbit_server,
    rabbitmq_is_installed,
)

REPORT: Final = Path(__file__).parents[2] / "docs" / "reports" / "consumers.md"
_HEAD: Final = """# Consumers of events

`make consumers` starts {brokers} on this machine.
The service's own publishers send each of the {events} events for {orders} orders, in turn, and one
more message with an added member at each level, as a newer version of the service would. A short
program in each language reads the topic, of three partitions, and a queue. It parses each message
with CloudEvents' SDK, and prints all attributes and the data. The script compares both with what
was sent, amounts of 2^53 - 1 included, and checks that the events of each order come in order.

[The programs](../../tests/consumers) may serve as examples. None had to be adapted to the service;
kafkajs 2.2.4, which is older than Kafka 4, reads from it.

| Language | SDK | Client of Kafka | Client of RabbitMQ | Kafka | RabbitMQ |
| --- | --- | --- | --- | --- | --- |
"""
_TOPIC: Final = "orders.events"


class Sent(NamedTuple):
    """A broker's address, and the messages that were sent to it."""

    address: str
    messages: list[dict[str, Any]]


def main() -> int:
    """Return 1 if a broker is missing, a consumer was skipped, or anything failed."""
    arguments = argparse.ArgumentParser(prog="python -m tests.consumers")
    arguments.add_argument("--only", nargs="*", default=[each.folder for each in CONSUMERS])
    chosen = arguments.parse_args()
    consumers = [each for each in CONSUMERS if each.folder in chosen.only]
    jars = kafka_jars()
    if jars is None or not rabbitmq_is_installed():
        _tell(RABBITMQ_MISSING if jars else KAFKA_MISSING)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="orders-consumers-") as folder,
        _brokers(Path(folder), jars) as (kafka, rabbit),
    ):
        sent = asyncio.run(_send(kafka, rabbit))
        rows = [_row(number, each, sent) for number, each in enumerate(consumers, 1)]
        brokers = _versions(jars, rabbit)
    if None in rows:
        return 1
    if len(rows) == len(CONSUMERS):
        head = _HEAD.format(brokers=brokers, events=len(EVERY_EVENT), orders=ORDERS)
        REPORT.write_text(head + "".join(f"{row}\n" for row in rows))
    return 0


@contextmanager
def _brokers(folder: Path, jars: Path) -> Iterator[tuple[KafkaServer, RabbitServer]]:
    (folder / "kafka").mkdir()
    with (
        closing(KafkaServer(folder / "kafka", jars)) as kafka,
        rabbit_server(folder / "rabbit") as rabbit,
    ):
        kafka.restore()
        yield kafka, rabbit


async def _send(kafka: KafkaServer, rabbit: RabbitServer) -> dict[str, Sent]:
    """Publish to both brokers, with a queue of RabbitMQ for each consumer."""
    async with await aio_pika.connect(rabbit.uri) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, "topic", durable=True)
        for each in CONSUMERS:
            await (await channel.declare_queue(each.folder, durable=True)).bind(exchange, "#")
    async with KafkaPublisher(kafka.bootstrap, topic=_TOPIC) as publisher:
        to_kafka = Sent(kafka.bootstrap, await publish(publisher))
    async with RabbitPublisher(rabbit.uri) as publisher:
        return {"kafka": to_kafka, "rabbitmq": Sent(f"{rabbit.uri}%2f", await publish(publisher))}


def _row(number: int, consumer: Consumer, sent: Mapping[str, Sent]) -> str | None:
    """The consumer's row in the report; None if it did not pass."""
    _tell(f"{number}. {consumer.language}")
    try:
        results = _read(consumer, sent)
    except StepFailed as failed:
        _tell(f"   failed: {failed}")
    except pytest.skip.Exception as skipped:
        _tell(f"   skipped: {skipped}")
    else:
        _tell(f"   passed: {results}")
        packages = [consumer.sdk, *(consumer.clients[kind] for kind in sent)]
        cells = [consumer.language, *map(consumer.versioned, packages), *results.values()]
        return f"| {' | '.join(cells)} |"
    return None


def _read(consumer: Consumer, sent: Mapping[str, Sent]) -> dict[str, str]:
    """Build the consumer, and let it read both brokers.

    Raises:
        StepFailed: If it fails, or reads anything but what was sent.
    """
    for each in consumer.needs:
        need(each.program, each.argument, each.pattern, each.what)
    results = {}
    with working_folder(f"consumers/{consumer.folder}", consumer.files()) as home:
        install(consumer.language, consumer.pins, consumer.install, home)
        step("compile", consumer.compile, home)
        for kind, (address, messages) in sent.items():
            place = _TOPIC if kind == "kafka" else consumer.folder
            command = f"{consumer.run} {kind} {address} {place} {len(messages)}"
            _, printed = step(kind, command, home, **NO_PROXY)
            read = [json.loads(line) for line in printed.splitlines()]
            if problem := difference(messages, read):
                raise StepFailed(f"{kind}: {problem}")
            results[kind] = f"{len(read)} of {len(messages)}"
    return results


def _versions(jars: Path, rabbit: RabbitServer) -> str:
    (core,) = jars.glob("kafka_2.13-*.jar")
    version = rabbit.evaluate("io:put_chars(rabbit_misc:version()).").removesuffix("ok\n").strip()
    return f"Apache Kafka {core.stem.removeprefix('kafka_2.13-')} and RabbitMQ {version}"


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
