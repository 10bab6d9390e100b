"""`EventPublisher` on Kafka: a topic keyed by order, with an idempotent producer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, Self

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import (  # type: ignore[import-untyped]
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from orders.adapters.messages import CONTENT_TYPE, encode
from orders.application.errors import PublisherUnavailable
from orders.application.ordered_publishing import EventRefused, publish_in_order
from orders.application.ports import UNTRACED, LoggedEvent, Published, TraceContext

_HEADERS: Final = [("content-type", CONTENT_TYPE.encode())]
_CLOSE_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class KafkaPublisher:
    """Sends events to a topic, keyed by order, so that an order's are in one partition.

    A message counts once all replicas in sync have it. The topic must be there.

    Any failure ends the producer; the next call creates a new one. The old one would otherwise
    retry events that the relay has sent again since.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        topic: str = "orders.events",
        publish_seconds: float = 10,
        trace_context: TraceContext = UNTRACED,
    ) -> None:
        """Take some brokers' addresses; `publish_seconds` bounds a call, connecting included."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._publish_seconds = publish_seconds
        self._trace_context = trace_context
        self._producer: AIOKafkaProducer | None = None
        self._works = False
        self._turn = asyncio.Lock()
        self._is_reported = False
        """Whether the log has what ended this producer: once, not for each event."""

    async def __aenter__(self) -> Self:
        """Connect to nothing yet: the brokers need not be up."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._disconnect()

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, each order's in the order given, and tell what became of them."""
        async with self._turn:
            return await publish_in_order(events, self, within_seconds=self._publish_seconds)

    async def ready(self) -> None:
        """Be connected, with a producer id."""
        if self._works:
            return
        await self._disconnect()
        self._is_reported = False
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="orders",
            enable_idempotence=True,
            acks="all",
            # An answer that takes longer than half of the time is asked for once more.
            request_timeout_ms=round(self._publish_seconds * 500),
        )
        try:
            await self._producer.start()
        except (KafkaError, OSError) as error:
            raise self._doubt(error) from error
        self._works = True

    async def send(self, event: LoggedEvent) -> None:
        """Return once the brokers have confirmed the event."""
        if self._producer is None or not self._works:
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
            self._works = False
            raise EventRefused("too-large-for-kafka") from error
        except (KafkaError, OSError) as error:
            raise self._doubt(error) from error
        except asyncio.CancelledError:
            # Out of time: the producer still holds the event.
            self._works = False
            raise

    def _doubt(self, error: BaseException) -> PublisherUnavailable:
        self._works = False
        if not self._is_reported:
            _log.warning("Kafka: %s", type(error).__name__)
            self._is_reported = True
        return PublisherUnavailable("Kafka did not confirm")

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        self._works = False
        if producer is None:
            return
        # Its `stop` waits until everything is sent, without limit if a broker is gone. No caller
        # waits for anything here.
        producer._closed = True  # noqa: SLF001
        await producer.client.close()
        with contextlib.suppress(KafkaError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await producer._sender.close()  # noqa: SLF001


def _headers(traceparent: str | None) -> list[tuple[str, bytes]]:
    return [*_HEADERS, ("traceparent", traceparent.encode())] if traceparent else _HEADERS
