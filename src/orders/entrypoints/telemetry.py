"""One trace from the caller's request to the events and payment calls that it causes.

Nothing is recorded or sent here: a request joins the caller's trace (W3C Trace Context), or
starts one, so that problems, events and calls to the payment service name the same trace.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orders.entrypoints.http.problems import set_trace_id

_PROPAGATOR = TraceContextTextMapPropagator()


class JoinTrace(ASGIMiddleware):
    """Runs every request within its caller's trace, or within a new one."""

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Join the trace for as long as the request takes."""
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        carrier = {"traceparent": given[0].decode("latin-1")} if len(given) == 1 else {}
        caller = trace.get_current_span(_PROPAGATOR.extract(carrier, context.Context()))
        span = caller if caller.get_span_context().is_valid else _new_span()
        set_trace_id(scope, trace.format_trace_id(span.get_span_context().trace_id))
        token = context.attach(trace.set_span_in_context(span))
        try:
            await next_app(scope, receive, send)
        finally:
            context.detach(token)


@contextmanager
def new_trace() -> Iterator[None]:
    """Work within a trace of its own: what no request has asked for."""
    token = context.attach(trace.set_span_in_context(_new_span()))
    try:
        yield
    finally:
        context.detach(token)


def current_traceparent() -> str | None:
    """The trace that is being worked for, as a W3C header; None outside of one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def _new_span() -> trace.Span:
    span_context = SpanContext(
        trace_id=secrets.randbits(128) or 1,
        span_id=secrets.randbits(64) or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.DEFAULT),
    )
    return NonRecordingSpan(span_context)
