"""A server that is farther away: a proxy that delays what passes, and can be led elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Distance:
    """Passes bytes on after half of the round trip, each way; new connections lead to `port`."""

    def __init__(self, port: int, *, round_trip_seconds: float) -> None:
        self.port = port
        self.connected = 0
        """How many connections were made so far."""
        self.own_port = 0
        self._one_way = round_trip_seconds / 2
        self._wires: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection, as a router that restarts does."""
        for each in self._wires:
            each.transport.abort()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        self.connected += 1
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
                asyncio.create_task(self._pass_on(reader, there_writer)),
                asyncio.create_task(self._pass_on(there_reader, writer)),
            ]
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._wires -= wires
            for task in passing:
                task.cancel()
            for each in wires:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
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
            distance.cut()
