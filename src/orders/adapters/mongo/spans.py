"""Commands to the database as spans: which operation, on which collection, and nothing of it."""

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
)

MOST_UNDER_WAY: Final = 1_000
"""Commands whose end is waited for: one that never tells does not stay for ever."""

_TRACER: Final = trace.get_tracer("orders.mongo")


class CommandSpans(CommandListener):
    """One span a command, where the work that sends it is recorded."""

    def __init__(self) -> None:
        self._under_way: OrderedDict[int, Span] = OrderedDict()

    def started(self, event: CommandStartedEvent) -> None:
        """A command was sent."""
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
        self._under_way[event.request_id] = span
        if len(self._under_way) > MOST_UNDER_WAY:
            self._under_way.popitem(last=False)[1].end()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """A command was answered."""
        if span := self._under_way.pop(event.request_id, None):
            span.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """A command was refused, or had no answer. Its text may quote what was written."""
        if span := self._under_way.pop(event.request_id, None):
            failure: Any = event.failure
            span.set_attribute("error.type", str(failure.get("code", failure.get("errtype"))))
            span.set_status(Status(StatusCode.ERROR))
            span.end()


def _collection_of(operation: str, command: Any) -> str | None:
    named = command.get("collection" if operation == "getMore" else operation)
    return named if isinstance(named, str) else None
