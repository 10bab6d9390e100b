"""`EventPublisher` on Kafka: a topic keyed by order, with an idempotent producer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, Self

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from orders.adapters.brokers.kafka_security import (
    PLAINTEXT,
    KafkaSecurity,
    why_not,
    why_unreachable,
)
from orders.adapters.brokers.kafka_topic import create_missing_topic
from orders.adapters.messages import CONTENT_TYPE, encode
from orders.application.errors import PublisherUnavailable
from orders.application.ordered_publishing import EventRefused, prepared, publish_in_order
from orders.application.ports import UNTRACED, LoggedEvent, Published, TraceContext

_HEADERS: Final = [("content-type", CONTENT_TYPE.encode())]
CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_REASON_SECONDS: Final = 3.0
_log = logging.getLogger(__name__)


class KafkaPublisher:
    """Sends events to a topic. The key is the order id, so an order's events are in one partition.

    An event is confirmed once all in-sync replicas have it.

    Every failure ends the producer, and the next call makes a new one: the old one would still
    send events in the background that the relay has sent again meanwhile.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        topic: str = "orders.events",
        security: KafkaSecurity = PLAINTEXT,
        declares: bool = True,
        partitions: int = 0,
        connect_seconds: float = CONNECT_SECONDS,
        publish_seconds: float = 10,
        trace_context: TraceContext = UNTRACED,
    ) -> None:
        """Take addresses of brokers, with commas.

        `publish_seconds` bounds a call, and `connect_seconds` what a call needs to connect before.
        A topic that is missing gets `partitions`, or with 0 the brokers' default number. Without
        `declares`, the topic must exist, unless the brokers create it by themselves.
        """
        self._bootstrap = bootstrap
        self._security = security
        self._connect_seconds = connect_seconds
        self._topic = topic
        self._declares = declares
        self._partitions = partitions
        self._publish_seconds = publish_seconds
        self._trace_context = trace_context
        self._producer: AIOKafkaProducer | None = None
        self._is_usable = False
        self._one_call = asyncio.Lock()
        self._failure_is_logged = False
        """Whether the failure of this producer is in the log: once, not for each event."""

    async def __aenter__(self) -> Self:
        """Return at once. The first call connects, so the brokers need not be up."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._disconnect()

    async def prepare(self) -> bool:
        """Connect, and create a missing topic. Returns False if no broker can be reached."""
        async with self._one_call:
            return await prepared(self)

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, those of each order in the sequence given. Returns the outcome."""
        async with self._one_call:
            return await publish_in_order(events, self, within_seconds=self._publish_seconds)

    async def ready(self) -> None:
        """Connect, get a producer id and create a missing topic, if the last producer failed."""
        if self._is_usable:
            return
        await self._disconnect()
        self._failure_is_logged = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="orders",
            enable_idempotence=True,
            acks="all",
            # If a response takes longer than half of the time, aiokafka requests it once more.
            request_timeout_ms=round(self._publish_seconds * 500),
            **self._security.options(),
        )
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._producer.start()
                if self._declares:
                    await create_missing_topic(self._producer.client, self._topic, self._partitions)
        except (KafkaConnectionError, OSError) as error:
            reason = await why_unreachable(
                self._bootstrap, self._security, within_seconds=_REASON_SECONDS
            )
            raise self._disconnected(reason) from error
        # aiokafka raises ValueError and TypeError for responses that it cannot read.
        except (KafkaError, ValueError, TypeError) as error:
            raise self._disconnected(why_not(error)) from error
        self._is_usable = True

    async def send(self, event: LoggedEvent) -> None:
        """Return once the brokers have confirmed the event."""
        if self._producer is None or not self._is_usable:
            raise PublisherUnavailable("the connection to Kafka is lost")
        try:
            with self._trace_context.delivering(
                event, broker="kafka", destination=self._topic
            ) as traceparent:
                await self._producer.send_and_wait(
                    self._topic,
                    encode(event),
                    key=str(event.order_id).encode(),
                    headers=_headers(traceparent),
                )
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            self._is_usable = False
            raise EventRefused("too-large-for-kafka") from error
        except (KafkaError, OSError) as error:
            raise self._disconnected(why_not(error)) from error
        except asyncio.CancelledError:
            # The time is over, but the producer still has the event.
            self._is_usable = False
            raise

    def _disconnected(self, reason: str) -> PublisherUnavailable:
        self._is_usable = False
        if not self._failure_is_logged:
            _log.warning("Kafka: %s", reason)
            self._failure_is_logged = True
        return PublisherUnavailable("Kafka did not confirm")

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        self._is_usable = False
        if producer is None:
            return
        # `AIOKafkaProducer.stop` first waits until all is sent: indefinitely if a broker is gone.
        # We do not wait for any event that is still here.
        producer._closed = True  # noqa: SLF001
        await producer.client.close()
        with contextlib.suppress(KafkaError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await producer._sender.close()  # noqa: SLF001


def _headers(traceparent: str | None) -> list[tuple[str, bytes]]:
    return [*_HEADERS, ("traceparent", traceparent.encode())] if traceparent else _HEADERS
