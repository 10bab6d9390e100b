"""One trace from the caller's request to the events, payment calls and webhooks that it causes.

A request joins its caller's trace (W3C Trace Context) or starts one, so that problems, logs,
events and calls to the payment service name the same trace. Whether its spans are recorded is
decided once, at its start: see `span_exporter`. Below a span that is not recorded, no span is
created.

Attributes are ids, templates and codes, never texts of clients or exceptions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orders.adapters.messages import event_name
from orders.application.errors import ApplicationError
from orders.application.ports import LoggedEvent
from orders.domain.errors import OrderError

Attributes = Mapping[str, str | int]

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACER: Final = trace.get_tracer("orders")
_NOWHERE: Final = Context()


def request_span(headers: Iterable[tuple[bytes, bytes]]) -> Span:
    """Return the span of a request with these headers.

    The caller names and ends it if it is recorded. Several `traceparent` headers are ignored.
    """
    given = [value for name, value in headers if name == b"traceparent"]
    caller = _span_of(given[0].decode("latin-1") if len(given) == 1 else None)
    if _is_known(caller) and not caller.get_span_context().trace_flags.sampled:
        return caller
    span = _TRACER.start_span(
        "request", context=trace.set_span_in_context(caller, _NOWHERE), kind=SpanKind.SERVER
    )
    return span if _is_known(span) else _new_span()


@contextmanager
def entered(span: Span) -> Iterator[Span]:
    """Make a span the current one. Does not end it."""
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield span
    finally:
        context.detach(token)


def is_recorded() -> bool:
    """Whether the current span is recorded."""
    return trace.get_current_span().is_recording()


@contextmanager
def recorded(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None
) -> Iterator[Span]:
    """Run a block in a new span. Call it only if `is_recorded`."""
    with _ending(_TRACER.start_span(name, kind=kind, attributes=attributes)) as span:
        yield span


@contextmanager
def due_work(cause: str | None, attributes: Attributes) -> Iterator[None]:
    """Run scheduled work in a new trace, linked to the trace that caused it."""
    links = [trace.Link(of.get_span_context())] if _is_known(of := _span_of(cause)) else []
    span = _TRACER.start_span("due work", context=_NOWHERE, attributes=attributes, links=links)
    with _ending(span if _is_known(span) else _new_span()):
        yield


class SpanTraceContext:
    """`TraceContext` by OpenTelemetry. A delivery has a span if its cause is recorded."""

    def current(self) -> str | None:
        """The traceparent of the current span."""
        return current_traceparent()

    @contextmanager
    def delivering(
        self, event: LoggedEvent, *, broker: str, destination: str
    ) -> Iterator[str | None]:
        """Send an event within a span of its cause's trace. Gives the traceparent of that span."""
        cause = _span_of(event.traceparent)
        if not cause.get_span_context().trace_flags.sampled:
            yield event.traceparent
            return
        name = event_name(event.recorded)
        span = _TRACER.start_span(
            f"publish {name}",
            context=trace.set_span_in_context(cause, _NOWHERE),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": broker,
                "messaging.operation.name": "publish",
                "messaging.operation.type": "send",
                "messaging.destination.name": destination,
                "messaging.message.id": event.id,
                "orders.event": name,
                "orders.order_id": str(event.order_id),
            },
        )
        with _ending(span):
            yield current_traceparent()


def current_traceparent() -> str | None:
    """Return the current trace as a W3C header; None outside a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def current_ids() -> tuple[str | None, str | None]:
    """Return the ids of the current trace, and of the span if it is recorded, in hex."""
    span = trace.get_current_span()
    found = span.get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else None, span_id_of(span)


def span_id_of(span: Span) -> str | None:
    """Return the id of a span in hex, if it is recorded."""
    return trace.format_span_id(span.get_span_context().span_id) if span.is_recording() else None


@contextmanager
def _ending(span: Span) -> Iterator[Span]:
    with entered(span):
        try:
            yield span
        except BaseException as error:
            _note(span, error)
            raise
        finally:
            span.end()


def _note(span: Span, error: BaseException) -> None:
    """Record what ended a span: a refusal's code, or an exception's type; never its text."""
    if isinstance(error, OrderError | ApplicationError):
        span.set_attribute("orders.refusal", error.code)
        return
    span.set_attribute("error.type", f"{type(error).__module__}.{type(error).__qualname__}")
    span.set_status(Status(StatusCode.ERROR))


def _span_of(traceparent: str | None) -> Span:
    if traceparent is None:
        return trace.INVALID_SPAN
    found = _PROPAGATOR.extract({"traceparent": traceparent}, _NOWHERE)
    return trace.get_current_span(found)


def _is_known(span: Span) -> bool:
    return span.get_span_context().is_valid


def _new_span() -> Span:
    """Return a span that only carries a trace id."""
    return NonRecordingSpan(
        SpanContext(
            # As the SDK does: ids are no secrets. Forked processes get different ones.
            trace_id=random.getrandbits(128) or 1,
            span_id=random.getrandbits(64) or 1,
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.DEFAULT),
        )
    )
