"""Counts of the connections to the database, from the driver's events."""

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
    """The connections of one client, to all of its servers."""

    def __init__(self) -> None:
        self.open = 0
        self.in_use = 0
        self.waiting = 0
        """Calls that wait for a connection."""

    def connection_created(self, _: ConnectionCreatedEvent) -> None:
        """A connection is being opened."""
        self.open += 1

    def connection_closed(self, _: ConnectionClosedEvent) -> None:
        """A connection was closed."""
        self.open -= 1

    def connection_check_out_started(self, _: ConnectionCheckOutStartedEvent) -> None:
        """A call waits for a connection."""
        self.waiting += 1

    def connection_check_out_failed(self, _: ConnectionCheckOutFailedEvent) -> None:
        """The call got no connection."""
        self.waiting -= 1

    def connection_checked_out(self, _: ConnectionCheckedOutEvent) -> None:
        """The call got a connection."""
        self.waiting -= 1
        self.in_use += 1

    def connection_checked_in(self, _: ConnectionCheckedInEvent) -> None:
        """The call returned its connection."""
        self.in_use -= 1

    def connection_ready(self, _: ConnectionReadyEvent) -> None:
        """Not counted."""

    def pool_created(self, _: PoolCreatedEvent) -> None:
        """Not counted."""

    def pool_ready(self, _: PoolReadyEvent) -> None:
        """Not counted."""

    def pool_cleared(self, _: PoolClearedEvent) -> None:
        """Not counted: the driver reports each connection as closed."""

    def pool_closed(self, _: PoolClosedEvent) -> None:
        """Not counted: the driver reports each connection as closed."""
