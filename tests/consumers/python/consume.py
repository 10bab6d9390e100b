"""Read events from a broker with CloudEvents' SDK, and print each as a line of JSON.

Usage: consume.py kafka|rabbitmq ADDRESS PLACE COUNT; the place is a topic or a queue.
"""

import json
import sys
from collections.abc import Iterator
from itertools import islice

import pika
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, KafkaException


def kafka(address: str, topic: str) -> Iterator[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "python", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        while True:
            if (message := consumer.poll(1)) is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            yield message.value()
    finally:
        consumer.close()


def rabbitmq(address: str, queue: str) -> Iterator[bytes]:
    with pika.BlockingConnection(pika.URLParameters(address)) as connection:
        channel = connection.channel()
        for method, _, body in channel.consume(queue):
            yield body
            channel.basic_ack(method.delivery_tag)


def main() -> None:
    kind, address, place, count = sys.argv[1:]
    messages = {"kafka": kafka, "rabbitmq": rabbitmq}[kind](address, place)
    for message in islice(messages, int(count)):
        event = JSONFormat().read(CloudEvent, message)
        line = {**event.get_attributes(), "data": event.get_data()}
        print(json.dumps(line, default=lambda time: time.isoformat()))
    messages.close()


main()
