"""What goes over the wire to the database: a proxy that counts commands and bytes."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

_HEADER: Final = 16  # bytes of a message before its flags: length, ids, opcode
_NAME: Final = 10  # of a body before the command's name: flags, kind, document's length, type
_WATCHING: Final = frozenset({"hello", "isMaster", "ismaster", "ping", "endSessions"})


@dataclass(slots=True)
class Counted:
    """What was sent since the last look. Commands that only watch the server are left out."""

    commands: Counter[str] = field(default_factory=Counter)
    bytes_out: int = 0
    bytes_in: int = 0


class CountingProxy:
    """Passes everything on to a database on this machine, and counts it.

    It has a thread of its own: whoever measures may wait for what talks through it.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 27017)
        self._counted = Counted()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.uri = ""

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        port = server.sockets[0].getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def take(self) -> Counted:
        """What was counted since this was last called."""
        taken, self._counted = self._counted, Counted()
        return taken

    async def _end(self) -> None:
        served = asyncio.all_tasks() - {asyncio.current_task()}
        for each in served:
            each.cancel()
        await asyncio.gather(*served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        try:
            while True:  # a connection carries one command at a time
                question = await _message(reader)
                far_writer.write(question)
                answer = await _message(far_reader)
                self._count(question, answer)
                writer.write(answer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the streams' own callback would report a cancellation as a failure
        finally:
            writer.close()
            far_writer.close()

    def _count(self, question: bytes, answer: bytes) -> None:
        begin = _HEADER + _NAME
        name = question[begin : question.index(b"\0", begin)].decode("ascii", "replace")
        if name not in _WATCHING:
            self._counted.commands[name] += 1
            self._counted.bytes_out += len(question)
            self._counted.bytes_in += len(answer)


async def _message(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(_HEADER)
    (length,) = struct.unpack_from("<i", header)
    return header + await reader.readexactly(length - _HEADER)
