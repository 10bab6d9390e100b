"""Callers' connections: heads come in time and are of bounded size, refusals cost next to nothing.

uvicorn's protocol over llhttp (which is strict about framing: RFC 9112, 6.3), with what it lacks.
Whatever ends here is answered as everything else is: a problem (RFC 9457), with all headers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from orders.entrypoints.http.middleware.overload import OverloadProtection, trace_of
from orders.entrypoints.server.canned_responses import MALFORMED, OVERLOADED, TOO_LARGE, Whole
from orders.entrypoints.server.head_limits import MessageSize, Part
from orders.entrypoints.server.lingering_close import LingeringClose
from orders.entrypoints.server.response_cycle import ResponseCycle, SlotYieldingFlowControl
from orders.entrypoints.server.upgrades import head_without_offer, new_parser

HEAD_SECONDS: Final = 10.0
"""Within which a head has come in, counted from the connection, or the answer before it."""
MOST_AHEAD: Final = 64
"""Requests that a caller may send before the first of them is answered."""
LINGER_SECONDS: Final = 2.0
"""For which a caller who still sends may read why that is in vain."""
_LAG_SECONDS: Final = 0.05
"""Within which the event loop reads what has come in, also when it is busy."""


class _Refused(Exception):
    """Ends the parsing of what will not be answered otherwise."""


class Connection(HttpToolsProtocol):
    """One connection, with one request after the other."""

    def __init__(
        self,
        overload: OverloadProtection,
        is_draining: Callable[[], bool],
        *,
        _loop: asyncio.AbstractEventLoop | None = None,
        **uvicorns: Any,
    ) -> None:
        super().__init__(_loop=_loop, **uvicorns)
        self._overload = overload
        self._is_draining = is_draining
        self._watch: asyncio.TimerHandle | None = None
        self._waits_since: float | None = None  # for a head; None while a request is answered
        self._answered: ResponseCycle | None = None  # the last that was begun
        self._unsent = 0
        self._moved_at = 0.0
        self.url = b""
        self.headers = []
        self._size = MessageSize()
        self._is_passed_over = False
        self._ended = False
        self.lingers = False

    # What comes in.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self.flow = SlotYieldingFlowControl(transport)
        self.transport = cast("asyncio.Transport", LingeringClose(transport, self))
        self._waits_since = self.loop.time()
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who still works for this caller."""
        if self._watch is not None:
            self._watch.cancel()
        self._ended = True
        if self._answered is not None:  # uvicorn tells the last that came
            self._answered.tell_of_the_end()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whoever has said all may still hear: RFC 9112, 9.6."""
        hears = self._is_busy() and not self.cycle.more_body
        if hears:
            self.cycle.keep_alive = False
        return hears

    def data_received(self, data: bytes) -> None:
        """Cut requests out of what comes, or refuse it."""
        if self._ended:
            return
        self._size.chunk(len(data))
        try:
            self._feed(memoryview(data))
        except httptools.HttpParserError:
            is_too_large = self._size.is_head_too_large(self.url, self.headers)
            self._refuse(TOO_LARGE if is_too_large else MALFORMED)
        else:
            if self._size.is_chunk_too_much():
                self._refuse(TOO_LARGE)

    def _feed(self, data: memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self.parser = new_parser(self)
                self.parser.feed_data(head_without_offer(self.headers))
                data = data[offer.args[0] :]
            else:
                return

    # Behind an offer these are called for a second head, which is not the caller's.

    def on_message_begin(self) -> None:
        """Begin to count."""
        if self._size.part is Part.NONE:
            super().on_message_begin()
            self._size.begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. One behind the body must not pass for one before it: RFC 9110, 6.5.1."""
        if self._size.part is Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request answered, or refuse it at once."""
        if self._size.part is not Part.HEAD:
            return
        version = self.parser.get_http_version()
        if (
            self._size.is_head_too_large(self.url, self.headers)
            or len(self.pipeline) >= MOST_AHEAD
            or version not in {"1.0", "1.1"}
            or self.parser.get_method() == b"CONNECT"
        ):
            raise _Refused
        if self._is_refused_at_once():
            self._size.head_ended()
            self._is_passed_over = True
            self.transport.write(OVERLOADED(self._date(), trace_of(self.headers)))
            self._waits_since = self.loop.time()
            return
        self._waits_since = None
        self.expect_100_continue &= version == "1.1"
        self._take(version)
        self._size.head_ended()
        if self.expect_100_continue:
            # Whoever is answered without it may send the body, or may not: RFC 9110, 10.1.1.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass it on to whom it is for."""
        self._size.body(len(body))
        if not self._is_passed_over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Say that this was all; behind an offer of another protocol, it was not."""
        if self.parser.should_upgrade():
            return
        self._size.end()
        if not self._is_passed_over:
            super().on_message_complete()
        self._is_passed_over = False

    # What goes out.

    def on_response_complete(self) -> None:
        """Go on with the next request that is there, or wait for one."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._waits_since = self.loop.time()
            self.flow.resume_reading()

    def is_being_told(self) -> bool:
        """Whether something is on its way that is not looked at any more."""
        return self._size.part is not Part.NONE and not self.lingers

    def linger(self) -> None:
        """Overlook what comes, for a while."""
        self._ended = self.lingers = True
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _take(self, version: str) -> None:
        """Have the request answered, now or when those before it are."""
        exchange = ResponseCycle(self, version)
        is_busy, self.cycle = self._is_busy(), exchange
        if is_busy:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            self._start_asgi_task(exchange, self.app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cast("ResponseCycle", cycle)
        super()._start_asgi_task(cycle, app)

    def _is_refused_at_once(self) -> bool:
        return (
            not self._is_busy()
            and self._overload.refuses_some()
            and self.transport.get_write_buffer_size() <= HIGH_WATER_LIMIT  # they read
            and not self._is_draining()
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and self.parser.get_method() != b"HEAD"  # its answer has no body
            and self._overload.refuses(self.parser.get_method(), self.url, self.headers)
        )

    def _refuse(self, answer: Whole) -> None:
        """Answer what cannot be read, as well as that is possible, and end the connection."""
        self._ended = True
        if self._is_busy():
            unread = cast("ResponseCycle", self.cycle)
            if not unread.more_body:  # it is what follows that cannot be read
                self._end_after_answer()
                return
            if self.pipeline:  # those before it are answered
                self.pipeline.popleft()
                before = self.pipeline[0][0] if self.pipeline else self._answered
                self.cycle = cast("RequestResponseCycle", before)
                self._end_after_answer()
                return
            unread.tell_of_the_end()
            if unread.response_started:
                self.transport.close()
                return
        elif (
            self._size.part is Part.BODY
        ):  # of what was answered: they would take this for the next
            self.transport.close()
            return
        self.transport.write(answer(self._date(), secrets.token_hex(16).encode()))
        self.transport.close()

    def _end_after_answer(self) -> None:
        self._ended = True
        if self._is_busy():
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _is_busy(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _date(self) -> bytes:
        return b"".join(b"%b: %b\r\n" % each for each in self.server_state.default_headers)

    def _look(self) -> None:
        """Close a connection whose next head does not come, or whose answers nobody reads."""
        since = self._idle_since()
        left = HEAD_SECONDS if since is None else since + HEAD_SECONDS - self.loop.time()
        if since is None or left > 0:
            self._watch = self.loop.call_later(left, self._look)
        else:
            # What has come in meanwhile, and waits for us, is read first.
            self._watch = self.loop.call_later(_LAG_SECONDS, self._give_up, since)

    def _give_up(self, since: float) -> None:
        if self._idle_since() == since:
            self.transport.abort()
        else:
            self._look()

    def _idle_since(self) -> float | None:
        """Since when nothing was read of an answer or, with none, a head is waited for."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._moved_at = unsent, self.loop.time()
        return self._moved_at if unsent else self._waits_since
