"""The way of one process to its database: it may be long, or closed, for this process alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from orders.entrypoints.sandbox.database import database_uri

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536


class DatabaseWay:
    """Loopback from a port of its own to the database at `upstream`, which may be set later."""

    def __init__(self) -> None:
        self.upstream = 0
        self.port = 0
        self.answers_late_by_seconds = 0.0
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._served: set[asyncio.Task[None]] = set()

    @property
    def uri(self) -> str:
        """What the process is told instead of the database's own; it asks for no other way."""
        return f"{database_uri(self.port)}?directConnection=true"

    def cut(self) -> None:
        """End all connections, and take none until `mend`."""

        def end() -> None:
            self._closed = True
            for task in self._served:
                task.cancel()

        self._loop.call_soon_threadsafe(end)

    def mend(self) -> None:
        """Take connections again."""
        self._closed = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._pass_both_ways(reader, writer)
        finally:
            self._served.discard(task)
            writer.close()

    async def _pass_both_ways(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_there, to_there = await asyncio.open_connection(_HOST, self.upstream)
        try:
            questions = asyncio.ensure_future(self._pass(reader, to_there, late=False))
            answers = asyncio.ensure_future(self._pass(from_there, writer, late=True))
            both = {questions, answers}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in both:
                    each.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        finally:
            to_there.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            if late and self.answers_late_by_seconds:
                await asyncio.sleep(self.answers_late_by_seconds)
            writer.write(data)
            await writer.drain()

    async def _listen(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        ending = [*self._served]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


@contextmanager
def database_way() -> Iterator[DatabaseWay]:
    """A way that can be gone, until the block is left."""
    way, ready, stop = DatabaseWay(), threading.Event(), asyncio.Event()
    loop = way._loop
    thread = threading.Thread(target=loop.run_until_complete, args=(way._listen(ready, stop),))
    thread.start()
    ready.wait()
    try:
        yield way
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
