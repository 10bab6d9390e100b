"""The outermost middleware: refuse requests under overload, and set the deadline of the others."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from orders.application.deadline import Deadline, within
from orders.entrypoints.admission import AdmissionQueue, Slot
from orders.entrypoints.http.middleware.body_arrival import Arrivals
from orders.entrypoints.http.problems import (
    MEDIA_TYPE,
    NO_TRACE,
    RETRY_AFTER_SECONDS,
    RequestRefused,
    problem_of,
)
from orders.entrypoints.observability import metrics

Headers = Iterable[tuple[bytes, bytes]]

OVERLOADED: Final = problem_of(503, "overloaded", "The service is overloaded. Retry the request.")
RETRY_AFTER: Final = (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)
WHOLE_BODY: Final = "orders.whole_body"
"""ASGI extension of a request whose whole body has arrived: reading it does not wait."""
WITH_BODY: Final = frozenset({"POST", "PATCH", "PUT"})
"""Methods whose handlers read the body before anything else."""
_READING: Final = frozenset({"GET", "HEAD"})
_PLAIN: Final = re.compile(rb"/[A-Za-z0-9/_.:~-]*")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class OverloadProtection:
    """Runs a request of `app` once it has a slot, or refuses it with 503 and Retry-After.

    A refusal must cost almost nothing, or refusing would overload the service. So a refusal from
    the head comes before routing, before the token is verified and before the body is read, and has
    no log line. `metrics.overload` counts all refusals, and `metrics.sampled` publishes the number.
    GET and HEAD of the paths `lists` wait behind everything else; requests to the paths `exempt`
    need no slot.

    A request whose body is still arriving has no slot. Its head alone decides whether it is refused
    at once. If not, it waits for a slot when its body is complete; a refusal then has a log line.
    `arrivals` bounds the memory of such bodies.

    The deadline of a request is `request_seconds` after it gets its slot.
    """

    def __init__(
        self,
        app: ASGIApp,
        queue: AdmissionQueue,
        *,
        request_seconds: float,
        arrivals: Arrivals | None = None,
        lists: Collection[str] = (),
        exempt: Collection[str] = (),
    ) -> None:
        self._app = app
        self._arrivals = arrivals or Arrivals()
        self._request_seconds = request_seconds
        self._queue = queue
        self._lists = frozenset(lists)
        self._exempt = frozenset(exempt)
        self._raw_exempt = frozenset(each.encode() for each in self._exempt)
        self._raw_lists = frozenset(each.encode() for each in self._lists)
        body = msgspec.json.encode(OVERLOADED)
        self._before, self._after = body.split(NO_TRACE.encode())
        self._headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            RETRY_AFTER,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a request, or refuse it."""
        if scope["type"] != ScopeType.HTTP or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        is_list = scope["path"] in self._lists and scope["method"] in _READING
        is_whole = _is_whole(scope)
        with Slot(self._queue, is_list=is_list) as slot:
            if is_whole:
                is_admitted = await slot.acquire()
            else:
                is_admitted = not self._queue.refuses(is_list=is_list)
            if not is_admitted:
                await self._refuse(scope, send)
                return
            with within(Deadline(self._request_seconds)) as deadline:
                if is_whole:
                    await self._app(scope, receive, send)
                else:
                    await self._run_with_late_body(scope, receive, send, slot, deadline)

    async def _run_with_late_body(
        self, scope: Scope, receive: Receive, send: Send, slot: Slot, deadline: Deadline
    ) -> None:
        """Run a request that waits for a slot when its body is complete."""
        arrival = self._arrivals.begin()

        async def receive_and_wait() -> Any:
            message = await arrival.next(receive)
            if message["type"] == "http.request" and not message.get("more_body", False):
                if not await slot.acquire():
                    metrics.overload.refused += 1
                    raise _overloaded()
                deadline.set()
            return message

        try:
            await self._app(scope, receive_and_wait, send)
        finally:
            arrival.end()

    def refuses_some(self) -> bool:
        """Whether `refuses` needs to be called. It does not while the queue has capacity."""
        return not self._queue.has_capacity()

    def refuses(self, method: bytes, target: bytes, headers: Headers) -> bool:
        """Whether a request is refused by its head alone; if so, the refusal is counted.

        The server calls this before it builds a request: most refusals under overload happen here.
        It never refuses a request whose URL path has unusual characters, or that has an Origin
        header (any value): `__call__` decides about those.
        """
        path = target.partition(b"?")[0]
        if path in self._raw_exempt or not _PLAIN.fullmatch(path):
            return False
        is_list = method == b"GET" and path in self._raw_lists
        if not self._queue.refuses(is_list=is_list) or b"origin" in dict(headers):
            return False
        metrics.overload.refused += 1
        return True

    async def _refuse(self, scope: HTTPScope, send: Send) -> None:
        # `response_headers` adds the other headers.
        await send({"type": "http.response.start", "status": 503, "headers": self._headers})
        body = b"%b%b%b" % (self._before, trace_of(scope["headers"]), self._after)
        await send({"type": "http.response.body", "body": body, "more_body": False})
        metrics.overload.refused += 1


def _is_whole(scope: HTTPScope) -> bool:
    """Whether the whole request has arrived."""
    return scope["method"] not in WITH_BODY or WHOLE_BODY in (scope.get("extensions") or ())


def _overloaded() -> RequestRefused:
    name, value = (each.decode() for each in RETRY_AFTER)
    status, code = HTTPStatus.SERVICE_UNAVAILABLE, OVERLOADED.code
    return RequestRefused(status, code, OVERLOADED.detail, headers={name: value})


def trace_of(headers: Headers) -> bytes:
    """Return the trace id in a request's headers, or a new one; 32 hexadecimal digits."""
    for name, value in headers:
        if name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)):
            return found[1]
    return secrets.token_hex(16).encode()


class CloseWhileDraining:
    """Adds `Connection: close` to every response while the process drains.

    Otherwise a client could send a request over an idle connection just as it is closed, and could
    not know whether the request was processed.
    """

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool]) -> None:
        self._app = app
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_draining():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_and_close)
