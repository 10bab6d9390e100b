"""What stands in front of the whole application: refuse early, drain, and set the deadline."""

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
from orders.entrypoints.http.errors import RETRY_AFTER_SECONDS
from orders.entrypoints.http.middleware.body_arrival import Arrivals
from orders.entrypoints.http.problems import MEDIA_TYPE, NO_TRACE, RequestRefused, problem_of
from orders.entrypoints.observability import metrics

Fields = Iterable[tuple[bytes, bytes]]

OVERLOADED: Final = problem_of(503, "overloaded", "The service is overloaded. Retry the request.")
RETRY_AFTER: Final = (b"retry-after", b"%d" % RETRY_AFTER_SECONDS)
WHOLE_BODY: Final = "orders.whole_body"
"""Among a scope's extensions: the body has come in, so it need not be waited for."""
WITH_BODY: Final = frozenset({"POST", "PATCH", "PUT"})
"""Methods whose handlers read the body before they do anything."""
_PLAIN: Final = re.compile(rb"/[A-Za-z0-9/_.:~-]*")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class OverloadProtection:
    """Lets a request into `app` when its turn comes, or refuses it with 503 and Retry-After.

    A refusal must cost next to nothing, or refusing would be what the service is busy with. So
    it is made here, before routes, tokens and bodies are looked at, and is neither a line in the
    log nor a metric of its own: `metrics.sampled` tells of all together. `lists` are the
    addresses whose GETs wait behind everything else; at `exempt` addresses nobody waits.

    Whose body is still on its way has no turn, and is judged by the head alone; the turn is taken
    when all of it is here. `arrivals` bounds what such bodies hold.

    A request has `request_seconds` from when it has come in: nothing is begun for it later.
    """

    def __init__(
        self,
        app: ASGIApp,
        turns: AdmissionQueue,
        *,
        request_seconds: float,
        arrivals: Arrivals | None = None,
        lists: Collection[str] = (),
        exempt: Collection[str] = (),
    ) -> None:
        self._app = app
        self._arrivals = arrivals or Arrivals()
        self._request_seconds = request_seconds
        self._turns = turns
        self._lists = frozenset(lists)
        self._exempt = frozenset(exempt)
        self._unread = frozenset(each.encode() for each in self._exempt)
        self._unread_lists = frozenset(each.encode() for each in self._lists)
        body = msgspec.json.encode(OVERLOADED)
        self._before, self._after = body.split(NO_TRACE.encode())
        self._fields = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            RETRY_AFTER,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != ScopeType.HTTP or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        is_list = scope["method"] == "GET" and scope["path"] in self._lists
        is_whole, turn = _is_whole(scope), Slot(self._turns, is_list=is_list)
        with turn.given_back():
            if not await turn.take() if is_whole else self._turns.refuses(is_list=is_list):
                await self._refuse(scope, send)
                return
            with within(Deadline(self._request_seconds)) as deadline:
                if is_whole:
                    await self._app(scope, receive, send)
                else:
                    await self._with_a_late_body(scope, receive, send, turn, deadline)

    async def _with_a_late_body(
        self, scope: Scope, receive: Receive, send: Send, turn: Slot, deadline: Deadline
    ) -> None:
        """Have a request answered whose turn comes behind its body."""
        arrival = self._arrivals.begin()

        async def received() -> Any:
            message = await arrival.next(receive)
            if message["type"] == "http.request" and not message.get("more_body", False):
                if not await turn.take():
                    metrics.overload.refused += 1
                    raise _overloaded()
                deadline.set()
            return message

        try:
            await self._app(scope, received, send)
        finally:
            arrival.end()

    def refuses_some(self) -> bool:
        """Whether there is any need to ask `refuses`: for most requests there is none."""
        return not self._turns.has_capacity()

    def refuses(self, method: bytes, target: bytes, fields: Fields) -> bool:
        """Whether a request that has just come is refused at once, and counted.

        The server asks before it makes anything of a request: this is where overload is worked
        off. Those it could misjudge, and those of pages of other origins, it sends on.
        """
        path = target.partition(b"?")[0]
        if path in self._unread or not _PLAIN.fullmatch(path):
            return False
        is_list = method == b"GET" and path in self._unread_lists
        if not self._turns.refuses(is_list=is_list) or b"origin" in dict(fields):
            return False
        metrics.overload.refused += 1
        return True

    async def _refuse(self, scope: HTTPScope, send: Send) -> None:
        # `headers` completes what is sent here, too.
        await send({"type": "http.response.start", "status": 503, "headers": self._fields})
        body = b"%b%b%b" % (self._before, trace_of(scope["headers"]), self._after)
        await send({"type": "http.response.body", "body": body, "more_body": False})
        metrics.overload.refused += 1


def _is_whole(scope: HTTPScope) -> bool:
    """Whether nothing of the request is waited for."""
    return scope["method"] not in WITH_BODY or WHOLE_BODY in (scope.get("extensions") or ())


def _overloaded() -> RequestRefused:
    name, value = (each.decode() for each in RETRY_AFTER)
    status, code = HTTPStatus.SERVICE_UNAVAILABLE, OVERLOADED.code
    return RequestRefused(status, code, OVERLOADED.detail, headers={name: value})


def trace_of(fields: Fields) -> bytes:
    """The trace that a request belongs to, by its headers, or a new one; 32 hexadecimal digits."""
    for name, value in fields:
        if name == b"traceparent" and (found := _TRACEPARENT.fullmatch(value)):
            return found[1]
    return secrets.token_hex(16).encode()


class CloseWhileDraining:
    """Says `Connection: close` on every answer while draining: clients go elsewhere in time.

    Otherwise a request could come over an idle connection at the moment it is closed, and its
    sender could not know whether it was carried out.
    """

    def __init__(self, app: ASGIApp, is_draining: Callable[[], bool]) -> None:
        self._app = app
        self._is_draining = is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and close its connection behind it if we go."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def last_send(message: Message) -> None:
            if message["type"] == "http.response.start" and self._is_draining():
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, last_send)
