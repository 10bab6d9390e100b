"""What a test records: the spans of its traces, by the service's own provider.

OpenTelemetry keeps one provider a process, so all tests of one share it. It records only what a
caller, or a link, asks for, and so nothing of the other tests.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orders.entrypoints.observability.span_exporter import provider_of


@cache
def _exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    trace.set_tracer_provider(provider_of(SimpleSpanProcessor(exporter), ratio=0))
    return exporter


@dataclass
class RecordedTrace:
    """A trace that is recorded, and what was recorded of it."""

    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        _exporter()

    @property
    def traceparent(self) -> str:
        """The W3C header that goes on with it."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    @property
    def headers(self) -> dict[str, str]:
        """That header."""
        return {"traceparent": self.traceparent}

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """The spans that have ended, in that order."""
        return [
            each
            for each in _exporter().get_finished_spans()
            if each.context and trace.format_trace_id(each.context.trace_id) == self.trace_id
        ]

    @property
    def linked(self) -> Sequence[ReadableSpan]:
        """The first spans of the traces that are linked to this one."""
        return [
            each
            for each in _exporter().get_finished_spans()
            for link in each.links
            if trace.format_trace_id(link.context.trace_id) == self.trace_id
        ]

    def of(self, name: str) -> ReadableSpan:
        """The one span of a name."""
        (found,) = (each for each in self.spans if each.name == name)
        return found

    @property
    def text(self) -> str:
        """All that a collector would get."""
        return "".join(each.to_json() for each in (*self.spans, *self.linked))
