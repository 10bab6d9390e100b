"""One request on a connection, and its response: uvicorn's `RequestResponseCycle`, extended.

It reads the request line as HTTP/`version`, which uvicorn takes from its parser, and tells the
application whether the whole body has arrived.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from orders.entrypoints.admission import yield_slot
from orders.entrypoints.http.middleware.overload import WHOLE_BODY


class SlotYieldingFlowControl(FlowControl):
    """While a request waits for its client to read, it gives its admission slot to another."""

    async def drain(self) -> None:
        """Wait until the client has read."""
        with yield_slot():
            await super().drain()


class ResponseCycle(RequestResponseCycle):
    """A request that is being handled, or waits behind another one on its connection."""

    def __init__(self, connection: HttpToolsProtocol, version: str) -> None:
        """Take the request whose head the connection has just read. `version` is 1.0 or 1.1."""
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
        """Run the application, and tell it if the whole body has arrived."""
        if not self.more_body:
            self.scope["extensions"] = {WHOLE_BODY: {}}
        await super().run_asgi(app)

    def tell_of_the_end(self) -> None:
        """Tell the application, if it waits for more of the body, that the client is gone."""
        self.disconnected = True
        self.message_event.set()

    async def send(self, message: Any) -> None:
        """Send a part of the response.

        uvicorn finds a wrong header value only after it has noted that the response began. Then
        it closes the connection without one. Found here, the client gets a 500.

        Raises:
            RuntimeError: If a header value has a control character, or the part is out of order.
        """
        if message["type"] == "http.response.start":
            values = b"".join([value for _, value in message["headers"]])
            if HEADER_VALUE_RE.search(values):
                raise RuntimeError("a response header has a control character")
        await super().send(message)
