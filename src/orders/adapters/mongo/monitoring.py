"""What the driver reports: commands as spans, and how its connections are used."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
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

MAX_OPEN_SPANS: Final = 1_000
"""Commands whose spans are open at once. The oldest is ended when there are more."""

_TRACER: Final = trace.get_tracer("orders.mongo")


class CommandSpans(CommandListener):
    """Makes one span per command, if the span of the caller is recorded: the operation and the
    collection, never the content.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, Span] = OrderedDict()

    def started(self, event: CommandStartedEvent) -> None:
        """Start the span of a command."""
        if not trace.get_current_span().is_recording():
            return
        operation = event.command_name
        collection = _collection_of(operation, event.command)
        attributes = {
            "db.system.name": "mongodb",
            "db.namespace": event.database_name,
            "db.operation.name": operation,
        }
        if collection is not None:
            attributes["db.collection.name"] = collection
        name = f"{operation} {collection}" if collection else operation
        span = _TRACER.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        self._open[event.request_id] = span
        if len(self._open) > MAX_OPEN_SPANS:
            self._open.popitem(last=False)[1].end()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """End the span of a command."""
        if span := self._open.pop(event.request_id, None):
            span.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """End the span with the error code. The error's text may quote what was written."""
        if span := self._open.pop(event.request_id, None):
            failure: Any = event.failure
            span.set_attribute("error.type", str(failure.get("code", failure.get("errtype"))))
            span.set_status(Status(StatusCode.ERROR))
            span.end()


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


def _collection_of(operation: str, command: Any) -> str | None:
    named = command.get("collection" if operation == "getMore" else operation)
    return named if isinstance(named, str) else None
