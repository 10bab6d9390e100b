"""How the connections to the database are used, as the driver tells it."""

from __future__ import annotations

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)


class PoolUse(ConnectionPoolListener):
    """Counts the connections of a client, over all of its servers."""

    def __init__(self) -> None:
        self.open = 0
        self.in_use = 0
        self.waiting = 0
        """Calls that want a connection and have none yet."""

    def connection_created(self, _: ConnectionCreatedEvent) -> None:
        """A connection is there, or on its way."""
        self.open += 1

    def connection_closed(self, _: ConnectionClosedEvent) -> None:
        """A connection is gone."""
        self.open -= 1

    def connection_check_out_started(self, _: ConnectionCheckOutStartedEvent) -> None:
        """A call wants a connection."""
        self.waiting += 1

    def connection_check_out_failed(self, _: ConnectionCheckOutFailedEvent) -> None:
        """It gets none."""
        self.waiting -= 1

    def connection_checked_out(self, _: ConnectionCheckedOutEvent) -> None:
        """It has one."""
        self.waiting -= 1
        self.in_use += 1

    def connection_checked_in(self, _: ConnectionCheckedInEvent) -> None:
        """It gave it back."""
        self.in_use -= 1

    def connection_ready(self, _: ConnectionReadyEvent) -> None:
        """Counts for nothing."""

    def pool_created(self, _: PoolCreatedEvent) -> None:
        """Counts for nothing."""

    def pool_ready(self, _: PoolReadyEvent) -> None:
        """Counts for nothing."""

    def pool_cleared(self, _: PoolClearedEvent) -> None:
        """Counts for nothing: each connection is told of by itself."""

    def pool_closed(self, _: PoolClosedEvent) -> None:
        """Counts for nothing: each connection is told of by itself."""
