"""`EventPublisher` on RabbitMQ: a topic exchange, with publisher confirms."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Sequence
from typing import Final, Self

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import (
    CONNECTION_EXCEPTIONS,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from aiormq.exceptions import ChannelAccessRefused

from orders.adapters.brokers.rabbitmq_servers import (
    CONNECT_SECONDS,
    RabbitServers,
    RabbitUnavailable,
    why_not,
)
from orders.adapters.messages import (
    CONTENT_TYPE,
    encode,
    event_name,
    message_type,
)
from orders.application.errors import PublisherUnavailable
from orders.application.ordered_publishing import EventRefused, prepared, publish_in_order
from orders.application.ports import UNTRACED, LoggedEvent, Published, TraceContext

EXCHANGE: Final = "orders.events"
_CLOSE_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class RabbitPublisher:
    """Sends events to a durable topic exchange. The routing key is the name of the event.

    An event is confirmed once the broker says so, also if no queue is bound to it. No queue is
    declared: one whose node is down would hold up every event.

    Every failure ends the connection. The next call makes a new one, and declares the exchange
    again.
    """

    def __init__(
        self,
        uri: str,
        *,
        exchange: str = EXCHANGE,
        tls: ssl.SSLContext | None = None,
        declares: bool = True,
        connect_seconds: float = CONNECT_SECONDS,
        publish_seconds: float = 10,
        trace_context: TraceContext = UNTRACED,
    ) -> None:
        """Take the nodes, as `RabbitServers` does.

        `publish_seconds` bounds a call, and `connect_seconds` a try to connect to a node before.
        Without `declares`, the exchange must exist.
        """
        self._servers = RabbitServers(uri, tls=tls, connect_seconds=connect_seconds)
        self._name = exchange
        self._declares = declares
        self._publish_seconds = publish_seconds
        self._trace_context = trace_context
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._one_call = asyncio.Lock()
        self._failure_is_logged = False
        """Whether the failure of this connection is in the log: once, not for each event."""

    async def __aenter__(self) -> Self:
        """Return at once. The first call connects, so the broker need not be up."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._disconnect()

    async def prepare(self) -> bool:
        """Connect, and declare the exchange. Returns False if the broker cannot be reached."""
        async with self._one_call:
            return await prepared(self)

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, those of each order in the sequence given. Returns the outcome."""
        async with self._one_call:
            return await publish_in_order(events, self, within_seconds=self._publish_seconds)

    async def ready(self) -> None:
        """Connect and declare the exchange, if the last connection has failed."""
        if self._exchange is not None:
            return
        await self._disconnect()
        self._failure_is_logged = False
        try:
            self._connection = await self._servers.connect()
            async with asyncio.timeout(self._publish_seconds):
                self._exchange = await self._open_exchange(self._connection)
        except (RabbitUnavailable, *CONNECTION_EXCEPTIONS) as error:
            raise self._disconnected(error) from error

    async def send(self, event: LoggedEvent) -> None:
        """Return once the broker has confirmed the event."""
        if self._exchange is None:
            raise PublisherUnavailable("the connection to RabbitMQ is lost")
        try:
            with self._trace_context.delivering(
                event, broker="rabbitmq", destination=self._name
            ) as traceparent:
                await self._exchange.publish(
                    _message(event, traceparent),
                    routing_key=event_name(event.recorded),
                    mandatory=False,
                )
        except ChannelPreconditionFailed as error:
            self._exchange = None
            raise EventRefused("refused-by-rabbitmq") from error
        except CONNECTION_EXCEPTIONS as error:
            raise self._disconnected(error) from error
        except asyncio.CancelledError:
            # The time is over, and the channel may be in an unknown state.
            self._exchange = None
            raise

    async def _open_exchange(self, connection: AbstractConnection) -> AbstractExchange:
        """Declare the exchange. One that was declared otherwise is used as it is."""
        if self._declares:
            channel = await connection.channel()
            try:
                return await channel.declare_exchange(
                    self._name, aio_pika.ExchangeType.TOPIC, durable=True
                )
            except (ChannelPreconditionFailed, ChannelAccessRefused) as refusal:
                # Other arguments, or an account that may not declare. The channel is closed.
                _log.warning("RabbitMQ: the exchange is used as it is: %s", refusal)
        channel = await connection.channel()
        try:
            return await channel.declare_exchange(self._name, passive=True)
        except ChannelNotFoundEntity as refusal:
            _log.warning("RabbitMQ: the exchange must be declared first: %s", refusal)
            self._failure_is_logged = True
            raise

    def _disconnected(self, error: BaseException) -> PublisherUnavailable:
        self._exchange = None
        if not self._failure_is_logged:
            _log.warning("RabbitMQ: %s", why_not(error))
            self._failure_is_logged = True
        return PublisherUnavailable("RabbitMQ did not confirm")

    async def _disconnect(self) -> None:
        self._exchange = None
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*CONNECTION_EXCEPTIONS):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.close()


def _message(event: LoggedEvent, traceparent: str | None) -> aio_pika.Message:
    return aio_pika.Message(
        encode(event),
        content_type=CONTENT_TYPE,
        headers={"traceparent": traceparent} if traceparent else None,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=event.id,
        timestamp=event.recorded.occurred_at,
        type=message_type(event_name(event.recorded)),
    )
