"""How a connection waits for a client that reads slowly, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from orders.entrypoints.admission import yield_slot

LINGER_SECONDS: Final = 2.0
"""How long a client that still sends can read the last response."""


class SlotYieldingFlowControl(FlowControl):
    """Yields the admission slot of a request while its client does not read the response.

    Fault of uvicorn: it waits for the client inside `send`, where the application cannot tell
    waiting from working. Can go when `send` never waits.
    """

    async def drain(self) -> None:
        """Wait until the client has read."""
        with yield_slot():
            await super().drain()


class Receiver(Protocol):
    """The connection that `LingeringClose` ends."""

    def is_receiving(self) -> bool:
        """Whether a request has begun that is not complete."""
        ...

    def discard_input(self) -> None:
        """Read and ignore whatever the client sends from now on."""
        ...


class LingeringClose:
    """A transport that lets the client read the last response before the connection ends.

    Fault of uvicorn: it closes the socket while request bytes are unread. The kernel then resets
    the connection, and the client may lose the response (RFC 9112, 9.6). Can go when uvicorn closes
    in two steps.
    """

    def __init__(self, transport: asyncio.Transport, connection: Receiver) -> None:
        self._transport = transport
        self._connection = connection
        self._is_lingering = False
        self.write = transport.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing may be written any more."""
        return self._is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Send what was written, then discard what the client sends for `LINGER_SECONDS`."""
        if self._is_lingering or not self._connection.is_receiving():
            self._transport.close()
        elif not self._transport.is_closing():
            self._is_lingering = True
            self._connection.discard_input()
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)


def disconnect(cycle: RequestResponseCycle) -> None:
    """Let a request notice that its client has gone."""
    cycle.disconnected = True
    cycle.message_event.set()
