#!/bin/sh
# confluent-kafka 2.16.1 (librdkafka's mock cluster) read by aiokafka 0.14.0: the marker that ends a
# transaction has the checksum 0.
#
# Behaviour: the mock cluster accepts transactions and appends a control record when one ends, as a
# real broker does. The record's CRC-32C is not computed. librdkafka does not notice, because its
# own check (check.crcs) is off by default. aiokafka checks by default and stops at the marker.
# With check.crcs=true librdkafka refuses what its own mock wrote. Batches without a transaction,
# also those of an idempotent producer, are correct.
#
# Seen: aiokafka reads both records, then raises CorruptRecordException "Invalid CRC".
#   librdkafka with check.crcs=true: "failed CRC32C check (original 0x0 != calculated ...)".
#
# Why it matters: a test with a transactional producer and an aiokafka consumer against the mock
# cluster fails with an error that points to damaged data, and no data is damaged. Pass
# check_crcs=False to the consumer of such a test, and use a real broker for the rest.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    confluent-kafka==2.16.1 aiokafka==0.14.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys
import time
from importlib.metadata import version

import confluent_kafka
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException

QUIET = {"log_level": 0}


def produce(servers, topic, transactional):
    """Two records; the transaction, if any, is committed."""
    kind = {"transactional.id": "till"} if transactional else {"enable.idempotence": True}
    producer = confluent_kafka.Producer({"bootstrap.servers": servers, **kind, **QUIET})
    if transactional:
        producer.init_transactions(20)
        producer.begin_transaction()
    for value in (b"one", b"two"):
        producer.produce(topic, value, partition=0)
    if transactional:
        producer.commit_transaction(20)
    elif producer.flush(20):
        raise SystemExit("not delivered")


async def read_with_aiokafka(servers, topic, check_crcs):
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, check_crcs=check_crcs)
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    records = 0
    try:
        while True:
            await asyncio.wait_for(consumer.getone(), 3)
            records += 1
    except asyncio.TimeoutError:
        return records, "no error"
    except CorruptRecordException as error:
        return records, str(error)
    finally:
        await consumer.stop()


def read_with_librdkafka(servers, topic, check_crcs):
    settings = {"bootstrap.servers": servers, "group.id": topic, "check.crcs": check_crcs}
    consumer = confluent_kafka.Consumer({**settings, **QUIET})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    records, error, end = 0, "no error", time.monotonic() + 3
    while time.monotonic() < end and error == "no error":
        message = consumer.poll(0.2)
        if message is not None and message.error():
            error = message.error().str()
        elif message is not None:
            records += 1
    consumer.close()
    return records, error


mock = confluent_kafka.Producer(
    {"bootstrap.servers": "unused", "test.mock.num.brokers": 1, **QUIET}
)
brokers = mock.list_topics(timeout=20).brokers.values()
servers = ",".join(f"{each.host}:{each.port}" for each in brokers)
print("confluent-kafka", version("confluent-kafka"), "aiokafka", version("aiokafka"))
print("librdkafka", confluent_kafka.libversion()[0])
print("expected from every reader: 2 records, no error")
wrong = []
for topic in ("plain", "transactional"):
    produce(servers, topic, topic == "transactional")
    for check in (True, False):
        seen = {
            "aiokafka": asyncio.run(read_with_aiokafka(servers, topic, check)),
            "librdkafka": read_with_librdkafka(servers, topic, check),
        }
        for reader, (records, error) in seen.items():
            print(f"{topic:13} {reader:10} checks={check!s:5} seen: {records} records, {error}")
            refused = "CRC" in error
            if records != 2 or refused != (check and topic == "transactional"):
                wrong.append((topic, reader, check))
sys.exit(bool(wrong))
PYTHON
