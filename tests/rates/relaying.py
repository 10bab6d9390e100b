"""The worker's relay, here, so that it can be asked when the broker confirmed each event."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from orders.adapters.brokers.rabbitmq import RabbitPublisher
from orders.adapters.mongo.connection import Database, open_mongo
from orders.adapters.mongo.event_log import MongoEventLog
from orders.adapters.mongo.outbox import MongoOutbox
from orders.application.ports import LoggedEvent
from orders.application.relay_events import RelayEvents
from orders.entrypoints import clock

DATABASE = "orders"


class TimedPublisher(RabbitPublisher):
    """Notes when each event was confirmed."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.confirmed: list[tuple[LoggedEvent, datetime]] = []

    async def send(self, event: LoggedEvent) -> None:
        """Send, and note when that is done."""
        await super().send(event)
        self.confirmed.append((event, clock.now()))


@asynccontextmanager
async def relaying(
    mongo_uri: str, broker_uri: str
) -> AsyncIterator[tuple[Database, RelayEvents, TimedPublisher]]:
    """A relay as the worker has it, its database, and what it publishes to."""
    async with (
        open_mongo(mongo_uri, database=DATABASE, timeout_seconds=30) as database,
        TimedPublisher(broker_uri) as publisher,
    ):
        outbox, log = MongoOutbox(database), MongoEventLog(database)
        yield database, RelayEvents(outbox, log, {"rabbitmq": publisher}, clock.now), publisher
