"""`EventPublisher` on RabbitMQ: a topic exchange, with publisher confirms."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final, Self

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange, DeliveryMode, ExchangeType
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelPreconditionFailed

from orders.adapters.messages import CONTENT_TYPE, encode, event_name, message_type
from orders.application.errors import PublisherUnavailable
from orders.application.ports import LoggedEvent, Published
from orders.application.publishing import EventRefused, by_order, publish_in_order

UNROUTED_SUFFIX: Final = ".unrouted"
UNROUTED_AT_MOST: Final = 100_000
"""Messages that nobody has bound a queue for; beyond them the oldest go."""

_log = logging.getLogger(__name__)


class RabbitPublisher:
    """Sends events to a durable topic exchange; the routing key is the event's name.

    A message counts once the broker has confirmed it. What no queue is bound for goes to the
    queue `<exchange>.unrouted`, so it blocks nothing and is not lost unseen.

    Whatever goes wrong ends the connection; the next `publish` makes a new one, and declares
    anew what may be gone.
    """

    def __init__(
        self,
        uri: str,
        *,
        exchange: str = "orders.events",
        connect_seconds: float = 5,
        publish_seconds: float = 10,
    ) -> None:
        """Take the broker's address, and the limits of connecting and of one `publish`."""
        self._uri = uri
        self._exchange_name = exchange
        self._connect_seconds = connect_seconds
        self._publish_seconds = publish_seconds
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connect to nothing yet: the broker need not be up."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        await self._disconnect()

    async def publish(self, events: Sequence[LoggedEvent]) -> Published:
        """Send events, each order's in the order given, and tell what became of them."""
        async with self._turn:
            told = await self._publish(events, self._send)
            if not self._has_refused():
                return told
            # The broker refuses a message by closing the channel under all of them, and does
            # not say which it was. Sent by itself, each order's tells.
            for own in by_order(events).values():
                rest = [e for e in own if e.recorded.sequence > told.confirmed.get(e.order_id, 0)]
                alone = await self._publish(rest, self._send_alone)
                told = Published(
                    confirmed={**told.confirmed, **alone.confirmed},
                    refused={**told.refused, **alone.refused},
                )
            return told
