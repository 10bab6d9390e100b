"""One request and its answer on a connection.

uvicorn's own, but for the head of the answer: uvicorn runs two regular expressions over each of
its headers, and there are seventeen.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from orders.entrypoints.admission import yield_slot
from orders.entrypoints.http.middleware.overload import WHOLE_BODY

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""All but those that lines, and some values, are made with."""
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class SlotYieldingFlowControl(FlowControl):
    """Whoever waits for a caller to read works for nobody: it is others' turn."""

    async def drain(self) -> None:
        """Wait until the caller has read."""
        with yield_slot():
            await super().drain()


class ResponseCycle(RequestResponseCycle):
    """A request that is answered, or waits for that behind another one."""

    def __init__(self, connection: HttpToolsProtocol, version: str) -> None:
        """Take the request whose head the connection has just read, of HTTP/`version`."""
        parser, scope = connection.parser, connection.scope
        url = httptools.parse_url(connection.url)
        path = url.path.decode("ascii")
        scope["http_version"] = version
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = url.path
        scope["query_string"] = url.query or b""
        super().__init__(
            scope=scope,
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.access_logger,
            access_log=False,
            default_headers=connection.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=connection.expect_100_continue,
            keep_alive=version == "1.1" and parser.should_keep_alive(),
            on_response=connection.on_response_complete,
        )

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Have it answered, and say whether all of it is here."""
        if not self.more_body:
            self.scope["extensions"] = {WHOLE_BODY: {}}
        await super().run_asgi(app)

    def tell_of_the_end(self) -> None:
        """Let who waits for more of the request know that there is no caller any more."""
        self.disconnected = True
        self.message_event.set()

    async def send(self, message: Any) -> None:
        """Send a part of the answer.

        Raises:
            RuntimeError: If it is not what an answer may go on with, or no header.
        """
        is_head = message["type"] == "http.response.start" and not self.response_started
        if is_head and not self.flow.write_paused and not self.disconnected:
            self._send_head(message["status"], [*self.default_headers, *message["headers"]])
        else:
            await super().send(message)

    def _send_head(self, status: int, fields: Sequence[tuple[bytes, bytes]]) -> None:
        lines = b"".join([b"%b: %b\r\n" % field for field in fields])
        ends = len(fields)
        if lines.count(b"\n") != ends or lines.count(b"\r") != ends or _CONTROL.search(lines):
            raise RuntimeError("an answer has a header that is not one line")
        known = dict(fields)
        end = b"\r\n"
        if b"connection" in known:
            self.keep_alive &= known[b"connection"] != b"close"
        elif not self.keep_alive:
            end = b"connection: close\r\n\r\n"
        if b"content-length" in known:
            self.expected_content_length = int(known[b"content-length"])
            self.chunked_encoding = False
        elif self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            end = b"transfer-encoding: chunked\r\n" + end
        self.response_started = True
        self.waiting_for_100_continue = False
        self.transport.write(b"%b%b%b" % (STATUS_LINE[status], lines, end))
