"""A server that is farther away: a proxy that delays what passes, and can be led elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial


class Distance:
    """Passes bytes on after half of the round trip, each way; new connections lead to `port`."""

    def __init__(self, port: int, *, round_trip_seconds: float) -> None:
        self.port = port
        self.connected = 0
        """How many connections were made so far."""
        self.most_waiting = 0
        """How many connections waited for an answer at once, at most."""
        self.own_port = 0
        self._one_way = round_trip_seconds / 2
        self._wires: set[asyncio.StreamWriter] = set()
        self._waiting: set[asyncio.StreamReader] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break every connection, as a router that restarts does."""
        for each in self._wires:
            each.transport.abort()

    async def end(self) -> None:
        """Break every connection, and return when nothing is left of them."""
        while self._serving:
            self.cut()
            await asyncio.wait(self._serving, timeout=0.01)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self.connected += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            # A connection is there after one round trip: the client believes in it earlier, but
            # its first bytes wait.
            await asyncio.sleep(2 * self._one_way)
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        wires = {writer, there_writer}
        self._wires |= wires
        try:
            passing = [
                asyncio.create_task(
                    self._pass_on(reader, there_writer, partial(self._waiting.add, reader))
                ),
                asyncio.create_task(
                    self._pass_on(there_reader, writer, partial(self._waiting.discard, reader))
                ),
            ]
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wires -= wires
            self._waiting.discard(reader)
            for each_way in passing:
                each_way.cancel()
            for each in wires:
                each.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: Callable[[], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                note()
                self.most_waiting = max(self.most_waiting, len(self._waiting))
                loop.call_later(self._one_way, _write, writer, data)
        await asyncio.sleep(self._one_way)


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


@asynccontextmanager
async def at_a_distance(port: int, *, round_trip_seconds: float) -> AsyncIterator[Distance]:
    """A way to a port of this machine that takes a round trip of so many seconds."""
    distance = Distance(port, round_trip_seconds=round_trip_seconds)
    server = await asyncio.start_server(distance.connect, "127.0.0.1", 0)
    distance.own_port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield distance
        finally:
            await distance.end()
