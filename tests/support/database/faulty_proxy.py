"""A way to a database on which things go wrong: answers get lost, the server forgets, all is cut.

It passes the driver's own bytes to the real server; only what a test asks for is different.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.database.uris import host_and_port, through

# `readConcern: {level: "majority"}`, and the `find` that carries it.
_OF_A_MAJORITY = b"\x02level\x00\x09\x00\x00\x00majority\x00"
_FIND_ORDERS = b"\x02find\x00\x07\x00\x00\x00orders\x00"
_FIND_NOTHING = b"\x02find\x00\x07\x00\x00\x00absent\x00"
# `lsid: {id: <UUID>}` in BSON, as every message of a session carries it.
_SESSION = re.compile(rb"(\x05id\x00\x10\x00\x00\x00\x04)(.{16})", re.DOTALL)


class ForgetfulProxy:
    """Loopback, on a port of its own until it is closed."""

    def __init__(self, upstream: str) -> None:
        """Keep the address of the database, with its credentials and options."""
        self._upstream = upstream
        self._server_address = host_and_port(upstream)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._losing = b""
        self._times = 0
        self._forgotten = False
        self._hidden = 0
        self._retold: dict[bytes, bytes] = {}
        self._reasked: dict[bytes, bytes] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.lost = 0
        """How many answers were lost."""

    @property
    def uri(self) -> str:
        return through(self._port, self._upstream)

    def lose_next_answers(self, command: str, times: int = 1) -> None:
        """Let the server carry out the next `command`s, such as `update`, and lose their answers.

        From the last on the server knows none of the sessions before, as after a restart that did
        not keep them: it cannot tell a repeated write from a new one.
        """
        self._losing = b"\x02" + command.encode() + b"\x00"
        self._times = times

    def hide_from_majority(self, times: int = 1_000_000) -> None:
        """Answer the next questions about what a majority has of orders: nothing."""
        self._hidden = times

    def retell(self, said: bytes, told: bytes) -> None:
        """Pass on other bytes for some of those that the server says, as many."""
        assert len(said) == len(told)
        self._retold[said] = told

    def reask(self, asked: bytes, instead: bytes) -> None:
        """Pass on other bytes for some of those that the client sends, as many."""
        assert len(asked) == len(instead)
        self._reasked[asked] = instead

    async def cut(self) -> None:
        """Refuse all connections and end those there are."""
        assert self._server is not None
        self._server.close()
        for connection in [*self._connections]:
            connection.transport.abort()
        await asyncio.gather(*self._served)

    async def restore(self) -> None:
        """Take connections again, on the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cut()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._served.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._server_address)
        self._connections |= {writer, up_writer}
        try:
            # Until now nobody could end it: all may have been cut meanwhile.
            while self._server is not None and self._server.is_serving():
                message = self._altered(await _message(reader))
                up_writer.write(message)
                answer = await _message(up_reader)
                if self._times and self._losing in message:
                    self._times -= 1
                    self._forgotten |= not self._times
                    self.lost += 1
                    return
                for said, told in self._retold.items():
                    answer = answer.replace(said, told)
                writer.write(answer)
                # A monitor's stream: many answers to one question.
                while answer[16] & 2:
                    answer = await _message(up_reader)
                    writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._connections -= {writer, up_writer}
            for each in (writer, up_writer):
                each.close()
                # Or its socket would outlive the event loop of the test.
                with suppress(ConnectionError):
                    await each.wait_closed()

    def _altered(self, message: bytes) -> bytes:
        if self._hidden and _OF_A_MAJORITY in message and _FIND_ORDERS in message:
            self._hidden -= 1
            message = message.replace(_FIND_ORDERS, _FIND_NOTHING)
        for asked, instead in self._reasked.items():
            message = message.replace(asked, instead)
        if not self._forgotten:
            return message
        return _SESSION.sub(lambda found: found[1] + os.urandom(16), message)


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "little") - 4)
