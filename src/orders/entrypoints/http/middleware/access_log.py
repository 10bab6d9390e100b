"""Access log, metrics, audit record and span of each request.

The middleware is the outermost one. So it also sees requests that end before a route, and the
responses of the exception handlers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from opentelemetry.trace import Span, Status, StatusCode, format_trace_id

from orders.application.access import Caller
from orders.entrypoints.http.middleware.audit import (
    Change,
    audit,
    expect_change,
    is_change,
    operation_of,
    order_of,
)
from orders.entrypoints.http.middleware.client_address import ClientAddresses
from orders.entrypoints.http.middleware.rate_limits import limit_fields, note_client
from orders.entrypoints.http.problems import code_of, set_trace_id
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.spans import entered, request_span

GONE: Final = 499
"""The status in logs if the client disconnected before there was a response."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log: Final = logging.getLogger("orders.access")


class Observed:
    """The middleware. Requests for `quiet_paths` are logged at debug level, unless they fail."""

    def __init__(
        self, app: ASGIApp, *, addresses: ClientAddresses, quiet_paths: Collection[str] = ()
    ) -> None:
        self._app = app
        self._addresses = addresses
        self._quiet_paths = frozenset(quiet_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, add its rate limit fields to the response, and record its outcome."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = GONE

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *limit_fields(scope)]
            await send(message)

        note_client(scope, self._addresses.client_of(scope))
        change = expect_change()
        metrics.in_flight.enter()
        with entered(request_span(scope["headers"])) as span:
            set_trace_id(scope, format_trace_id(span.get_span_context().trace_id))
            try:
                await self._app(scope, receive, observed_send)
            finally:
                metrics.in_flight.leave()
                self._record(scope, status, change, time.perf_counter() - began)
                if span.is_recording():
                    _complete(span, scope, status, change)

    def _record(self, scope: HTTPScope, status: int, change: Change, seconds: float) -> None:
        method, route = _method(scope), _route(scope)
        code = code_of(scope)
        metrics.observe_request(method, route, status, seconds)
        metrics.count_refusal(code)
        if status < 400 and not change.replayed and is_change(scope):
            metrics.count_change(operation_of(scope))
        audit(scope, status, change)
        is_quiet = status < 400 and route in self._quiet_paths
        caller: Caller | None = scope.get("user")
        line: dict[str, Any] = {
            "code": code,
            "duration_ms": round(seconds * 1_000, 2),
            "method": method,
            "route": route,
            "status": status,
            "tenant": caller.tenant if caller else None,
        }
        _log.log(logging.DEBUG if is_quiet else logging.INFO, "request", extra=line)


def _method(scope: HTTPScope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: HTTPScope) -> str:
    """Return the template of the path, never the path itself."""
    route: str = scope.get("path_template", "unmatched")
    return route


def _complete(span: Span, scope: HTTPScope, status: int, change: Change) -> None:
    """Name the request's span by its route, add the outcome, and end the span."""
    method, route = _method(scope), _route(scope)
    span.update_name(f"{method} {route}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route)
    if status != GONE:
        span.set_attribute("http.response.status_code", status)
    if (code := code_of(scope)) is not None:
        span.set_attribute("error.type", code)
    if (order_id := order_of(scope, change)) is not None:
        span.set_attribute("orders.order_id", order_id)
    if status >= 500 or status == GONE:
        span.set_status(Status(StatusCode.ERROR))
    span.end()
