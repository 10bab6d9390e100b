"""What every `TraceContext` promises. Subclass this suite and provide your adapter:

class TestMyTraceContext(TraceContextContract):
    @pytest.fixture
    def trace_context(self) -> TraceContext: ...

    @pytest.fixture
    def working(self) -> Iterator[str | None]: ...
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from orders.adapters.contracts.events.event_samples import logged_events

if TYPE_CHECKING:
    from orders.application.ports import TraceContext

TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a traceparent. Fails if the text is not a traceparent."""
    if traceparent is None:
        return None
    found = _TRACEPARENT.fullmatch(traceparent)
    assert found, traceparent
    return found[1]


class TraceContextContract:
    """The suite."""

    @pytest.fixture
    def trace_context(self) -> TraceContext:
        """The trace context under test."""
        raise NotImplementedError("override the fixture `trace_context`")

    @pytest.fixture
    def working(self) -> str | None:
        """Work in a trace during the test, and yield its id. None if your adapter has no traces."""
        raise NotImplementedError("override the fixture `working`")

    def test_returns_the_trace_of_the_work_in_progress(
        self, working: str | None, trace_context: TraceContext
    ) -> None:
        assert trace_id_of(trace_context.current()) == working

    @pytest.mark.parametrize("flags", ["00", "01"])
    def test_delivers_an_event_in_the_trace_of_its_cause(
        self, trace_context: TraceContext, flags: str
    ) -> None:
        cause = f"00-{TRACE_ID}-b7ad6b7169203331-{flags}"
        event = replace(logged_events()[0], traceparent=cause)
        with trace_context.delivering(event, broker="kafka", destination="orders") as sent:
            assert trace_id_of(sent) == TRACE_ID

    def test_delivers_an_event_without_a_cause_in_no_trace(
        self, working: str | None, trace_context: TraceContext
    ) -> None:
        event = replace(logged_events()[0], traceparent=None)
        with trace_context.delivering(event, broker="kafka", destination="orders") as sent:
            assert sent is None
        assert trace_id_of(trace_context.current()) == working

    def test_a_failed_delivery_does_not_change_the_current_trace(
        self, working: str | None, trace_context: TraceContext
    ) -> None:
        cause = f"00-{TRACE_ID}-b7ad6b7169203331-01"
        event = replace(logged_events()[0], traceparent=cause)
        with (
            pytest.raises(ConnectionError, match="lost"),
            trace_context.delivering(event, broker="kafka", destination="orders"),
        ):
            raise ConnectionError("lost")
        assert trace_id_of(trace_context.current()) == working
