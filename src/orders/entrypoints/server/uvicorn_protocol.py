"""One HTTP/1.1 connection: uvicorn's httptools protocol, with what uvicorn 0.54 lacks.

`serve` uses this module only with the versions that it was tested with; with any other version it
runs stock uvicorn.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from orders.entrypoints.http.middleware.overload import WHOLE_BODY, OverloadProtection, trace_of
from orders.entrypoints.server import canned_responses as canned
from orders.entrypoints.server.body_parser import parser_of_body
from orders.entrypoints.server.head_limits import IncomingRequest, Part
from orders.entrypoints.server.transport import LingeringClose, SlotYieldingFlowControl, disconnect

HEAD_TIMEOUT_SECONDS: Final = 10.0
"""For a request head, from the connection or the response before it; also for unread responses."""
MAX_PIPELINED: Final = 64
"""Requests that a client may send ahead of the response to its first one."""
UNREAD_SECONDS: Final = 0.25
"""How long a connection without a request stays open when the server stops."""
_EVENT_LOOP_LAG_SECONDS: Final = 0.05


class _Refused(Exception):
    """Makes the parser stop at a request that the connection refuses."""


class Connection(HttpToolsProtocol):
    """One connection, with one request after the other.

    Faults of uvicorn, each with the method that corrects it; the class can go when all are mended:

    - No time limit for a head, nor for reading a response (Kludex/uvicorn#157): `_check_timeout`.
    - The body behind `Connection: Upgrade` is lost (Kludex/uvicorn#2722): `_parse`.
    - A half-closed client gets no response (Kludex/uvicorn#1264): `eof_received`.
    - A trailer passes for a header (RFC 9110, 6.5.1): `on_header`.
    - The connection is kept although the client need not send the body that it announced with
      `Expect` (RFC 9110, 10.1.1): `on_headers_complete`.
    - No limit for pipelined requests, and the first ones do not notice that the client has gone:
      `on_headers_complete`, `on_response_complete`, `connection_lost`.
    - A request that has arrived unread when the server stops is reset: `shutdown`.
    - Refusing a request under overload costs as much as starting one: `_refuse_early`.
    """

    def __init__(
        self,
        overload: OverloadProtection,
        is_draining: Callable[[], bool],
        *,
        _loop: asyncio.AbstractEventLoop | None = None,
        **uvicorn_arguments: Any,
    ) -> None:
        super().__init__(_loop=_loop, **uvicorn_arguments)
        self._overload = overload
        self._is_draining = is_draining
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_since: float | None = None  # for a head; None while a request is processed
        self._running: RequestResponseCycle | None = None  # self.cycle is the last in the pipeline
        self._unread = 0  # bytes that the client has not read yet
        self._unread_since = 0.0
        self._incoming = IncomingRequest()
        self._refusal = canned.MALFORMED
        self._skips_body = False
        self._discards = False
        self._is_last = False  # the connection ends after the next response

    # What uvicorn and the parser call.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self.flow = SlotYieldingFlowControl(transport)
        self.transport = cast("asyncio.Transport", LingeringClose(transport, self))
        self._waiting_since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self._check_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the running request notice that its client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._discards = True
        if self._running is not None:
            disconnect(self._running)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open for the response if the request is complete."""
        expects_response = self._is_busy() and not self.cycle.more_body
        if expects_response:
            self.cycle.keep_alive = False
        return expects_response

    def data_received(self, data: bytes) -> None:
        """Parse requests, or refuse them."""
        if self._discards:
            return
        self._incoming.start_read(len(data))
        try:
            self._parse(memoryview(data))
        except httptools.HttpParserError:
            self._refuse(self._refusal)
        else:
            if self._incoming.is_too_large_after_read():
                self._refuse(canned.TOO_LARGE)

    # The second head that `_parse` makes calls the next three, too: they ignore it.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._incoming.part is Part.NONE:
            super().on_message_begin()
            self._incoming.begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; ignore a trailer."""
        if self._incoming.part is Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request or queue it behind the running one, unless it is refused."""
        if self._incoming.part is not Part.HEAD:
            return
        version = self.parser.get_http_version()
        if self._incoming.is_head_too_large(self.url, self.headers):
            self._refusal = canned.TOO_LARGE
            raise _Refused
        if (
            len(self.pipeline) >= MAX_PIPELINED
            or version not in {"1.0", "1.1"}
            or self.parser.get_method() == b"CONNECT"
        ):
            raise _Refused
        if not self._refuse_early(version):
            self._waiting_since = None
            self.expect_100_continue &= version == "1.1"
            super().on_headers_complete()
            if self.expect_100_continue or self._is_last:
                self.cycle.keep_alive = False
        self._incoming.part = Part.BODY

    def on_body(self, body: bytes) -> None:
        """Give a part of the body to the request that it belongs to."""
        self._incoming.add_body(len(body))
        if not self._skips_body:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, except where the parser stops at an offer of another protocol."""
        if self.parser.should_upgrade():
            return
        self._incoming.part = Part.NONE
        if not self._skips_body:
            self.cycle.scope["extensions"] = {WHOLE_BODY: {}}
            super().on_message_complete()
        self._skips_body = False

    def on_response_complete(self) -> None:
        """Start the next request of the pipeline, or wait for a head."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._waiting_since = self.loop.time()
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """End the connection after its requests; one that comes in `UNREAD_SECONDS` is served."""
        self._is_last = True
        if self._is_busy():
            self.cycle.keep_alive = False
        else:
            # After a busy moment, the event loop first reads what has arrived.
            lag = _EVENT_LOOP_LAG_SECONDS
            self.loop.call_later(UNREAD_SECONDS, self.loop.call_later, lag, self._close_if_unused)

    def _close_if_unused(self) -> None:
        if not (self._is_busy() or self.is_receiving() or self.transport.is_closing()):
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # What `LingeringClose` calls.

    def is_receiving(self) -> bool:
        """Whether a request has begun that is not complete."""
        return self._incoming.part is not Part.NONE

    def discard_input(self) -> None:
        """Read and ignore whatever the client sends from now on."""
        self._discards = True
        self.flow.resume_reading()

    def _parse(self, data: memoryview) -> None:
        """Parse requests; ignore offers of another protocol, as RFC 9110, 7.8 allows.

        llhttp stops there and leaves the body unread. Every JDK `HttpClient` offers h2c.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                parser_of_body(self, self.headers)
                data = data[offer.args[0] :]
            else:
                return

    def _refuse_early(self, version: str) -> bool:
        """Refuse a request from its head alone, if the service is overloaded.

        A request takes the longer way to the same refusal if this response could be wrong for it.
        """
        if (
            self._is_busy()
            or not self._overload.refuses_some()
            or self.transport.get_write_buffer_size() > HIGH_WATER_LIMIT  # the client does not read
            or self._is_draining()
            or self._is_last
            or self.expect_100_continue
            or version != "1.1"
            or not self.parser.should_keep_alive()
            or self.parser.get_method() == b"HEAD"  # its response has no body
            or not self._overload.refuses(self.parser.get_method(), self.url, self.headers)
        ):
            return False
        self._skips_body = True
        self.transport.write(canned.OVERLOADED(self._date_header(), trace_of(self.headers)))
        self._waiting_since = self.loop.time()
        return True

    def _refuse(self, response: canned.CannedResponse) -> None:
        """End the connection, after the responses to the requests before."""
        self._discards = True
        if not self._is_busy():
            # After the response to this very request, the client would take a second one for its
            # next request.
            is_readable = self._incoming.part is not Part.BODY
        elif not self.cycle.more_body:
            self.cycle.keep_alive = False
            return
        elif self.pipeline:
            self._drop_last_request()
            return
        else:
            is_readable = not self.cycle.response_started
            disconnect(self.cycle)
        if is_readable:
            self.transport.write(response(self._date_header(), secrets.token_hex(16).encode()))
        self.transport.close()

    def _drop_last_request(self) -> None:
        self.pipeline.popleft()
        before = self.pipeline[0][0] if self.pipeline else self._running
        self.cycle = cast("RequestResponseCycle", before)
        self.cycle.keep_alive = False

    def _is_busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _date_header(self) -> bytes:
        return b"".join(b"%b: %b\r\n" % each for each in self.server_state.default_headers)

    def _check_timeout(self) -> None:
        """Abort a connection that waits for `HEAD_TIMEOUT_SECONDS`, or check again later."""
        since = self._idle_since()
        left = HEAD_TIMEOUT_SECONDS
        if since is not None:
            left -= self.loop.time() - since
        if since is None or left > 0:
            self._timer = self.loop.call_later(left, self._check_timeout)
        else:
            # After a busy moment, the event loop first reads what has arrived.
            self._timer = self.loop.call_later(_EVENT_LOOP_LAG_SECONDS, self._abort_if_idle, since)

    def _abort_if_idle(self, since: float) -> None:
        if self._idle_since() == since:
            self.transport.abort()
        else:
            self._check_timeout()

    def _idle_since(self) -> float | None:
        """Since when the client has read nothing of a response, or else has sent no head."""
        unread = self.transport.get_write_buffer_size()
        if unread != self._unread:
            self._unread, self._unread_since = unread, self.loop.time()
        return self._unread_since if unread else self._waiting_since
