"""Trace contexts keep what `TraceContext` promises: of spans, of one trace, and of none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orders.adapters.contracts.trace_context import TRACE_ID, TraceContextContract
from orders.adapters.in_memory import FixedTraceContext
from orders.application.ports import UNTRACED, TraceContext
from orders.entrypoints.observability import spans
from tests.support.spans import RecordedTrace


class TestSpanTraceContext(TraceContextContract):
    @pytest.fixture(params=[True, False], ids=["recorded", "not recorded"])
    def working(self, request: pytest.FixtureRequest) -> Iterator[str]:
        if request.param:
            headers = [(b"traceparent", RecordedTrace().traceparent.encode())]
        else:
            headers = [(b"traceparent", f"00-{TRACE_ID}-00f067aa0ba902b7-00".encode())]
        span = spans.request_span(headers)
        with spans.entered(span):
            yield f"{span.get_span_context().trace_id:032x}"

    @pytest.fixture
    def trace_context(self) -> TraceContext:
        return spans.SpanTraceContext()


class TestFixedTraceContext(TraceContextContract):
    @pytest.fixture
    def working(self) -> str:
        return TRACE_ID

    @pytest.fixture
    def trace_context(self) -> TraceContext:
        return FixedTraceContext(f"00-{TRACE_ID}-00f067aa0ba902b7-01")


class TestUntraced(TraceContextContract):
    @pytest.fixture
    def working(self) -> None:
        return None

    @pytest.fixture
    def trace_context(self) -> TraceContext:
        return UNTRACED
