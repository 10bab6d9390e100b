"""How a connection ends while the other side still sends."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol


class Receiver(Protocol):
    """Who may still be sending when we have said all."""

    lingers: bool

    def is_being_told(self) -> bool:
        """Whether something is on its way that is not looked at any more."""
        ...

    def linger(self) -> None:
        """Overlook what comes, for a while."""
        ...


class LingeringClose:
    """A transport whose end the other side can read.

    Closed with anything unread, a socket forgets what it has sent: RFC 9112, 9.6.
    """

    def __init__(self, transport: asyncio.Transport, connection: Receiver) -> None:
        self._transport = transport
        self._connection = connection
        self.write = transport.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing may be written any more."""
        return self._connection.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Send what was written, and no more; for a while, overlook what comes."""
        if not self._connection.is_being_told():
            self._transport.close()
        elif not self.is_closing():
            self._connection.linger()
            self._transport.write_eof()
