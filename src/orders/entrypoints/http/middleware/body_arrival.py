"""Bounds the memory of bodies that are still arriving: their requests have no slot yet."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar.types import Receive

MIN_COUNTED_BYTES: Final = 65_536
"""Counted for each arriving request: the request itself and what is read ahead."""


class Arrivals:
    """The incomplete bodies, the oldest first, of at most `max_bytes` together.

    Above that, the oldest are given up. A client that sends its body without pausing is never the
    oldest for long.
    """

    def __init__(self, max_bytes: int = 64 * 2**20) -> None:
        self._max_bytes = max_bytes
        self.held = 0
        self._arrivals: dict[Arrival, None] = {}

    def begin(self) -> Arrival:
        """Start to receive a body."""
        arrival = Arrival(self)
        self._arrivals[arrival] = None
        self.grow(MIN_COUNTED_BYTES)
        return arrival

    def grow(self, count: int) -> None:
        """Count `count` more bytes."""
        self.held += count
        while self.held > self._max_bytes and self._arrivals:
            next(iter(self._arrivals)).give_up()

    def forget(self, arrival: Arrival) -> None:
        """Stop counting a body."""
        if arrival in self._arrivals:
            del self._arrivals[arrival]
            self.held -= arrival.bytes


class Arrival:
    """One body that is arriving."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.bytes = MIN_COUNTED_BYTES
        self._arrivals = arrivals
        self._is_given_up = False
        self._timeout: asyncio.Timeout | None = None

    async def next(self, receive: Receive) -> Any:
        """Wait for the next part.

        Raises:
            TimeoutError: If this body was given up in favour of others.
        """
        if self._is_given_up:
            raise TimeoutError
        try:
            async with asyncio.timeout(None) as self._timeout:
                message: Any = await receive()
        finally:
            self._timeout = None
        if not message.get("more_body", False):
            self.end()
        elif not self._is_given_up:
            self.bytes += len(message["body"])
            self._arrivals.grow(len(message["body"]))
        return message

    def end(self) -> None:
        """The body is complete, or not needed any more."""
        self._arrivals.forget(self)

    def give_up(self) -> None:
        """Give the body up in favour of others."""
        self.end()
        self._is_given_up = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time())
