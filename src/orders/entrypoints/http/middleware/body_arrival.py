"""Bodies on their way. Their requests have no turn, so memory is what they are bounded by."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar.types import Receive

LEAST_BYTES: Final = 65_536
"""What a request counts for at least that waits for its body: itself, and what is read ahead."""


class Arrivals:
    """Bodies that have not come in whole, the oldest first, with `most_bytes` in all.

    Beyond that the oldest are given up: whoever sends a body in one go is never among them.
    """

    def __init__(self, most_bytes: int = 64 * 2**20) -> None:
        """Take how much. Use it in one event loop only."""
        self._most_bytes = most_bytes
        self.held = 0
        self._arrivals: dict[Arrival, None] = {}

    def begin(self) -> Arrival:
        """Expect one more."""
        arrival = Arrival(self)
        self._arrivals[arrival] = None
        self.grow(LEAST_BYTES)
        return arrival

    def grow(self, count: int) -> None:
        """So many bytes more are held."""
        self.held += count
        while self.held > self._most_bytes and self._arrivals:
            next(iter(self._arrivals)).give_up()

    def forget(self, arrival: Arrival) -> None:
        """It has come in, or will not."""
        if arrival in self._arrivals:
            del self._arrivals[arrival]
            self.held -= arrival.bytes


class Arrival:
    """One body on its way."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.bytes = LEAST_BYTES
        self._arrivals = arrivals
        self._is_given_up = False
        self._waits: asyncio.Timeout | None = None

    async def next(self, receive: Receive) -> Any:
        """Wait for the next part.

        Raises:
            TimeoutError: If this body was given up for others.
        """
        if self._is_given_up:
            raise TimeoutError
        try:
            async with asyncio.timeout(None) as self._waits:
                message: Any = await receive()
        finally:
            self._waits = None
        if not message.get("more_body", False):
            self.end()
        elif not self._is_given_up:
            self.bytes += len(message["body"])
            self._arrivals.grow(len(message["body"]))
        return message

    def end(self) -> None:
        """Expect no more of it."""
        self._arrivals.forget(self)

    def give_up(self) -> None:
        """Let it be, for others."""
        self.end()
        self._is_given_up = True
        if self._waits is not None:
            self._waits.reschedule(asyncio.get_running_loop().time())
