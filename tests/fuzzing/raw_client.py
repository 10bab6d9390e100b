"""Bare connections that send bytes as they are, and read what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tests.fuzzing.raw_mutations import Header, Raw

PATIENCE_SECONDS: Final = 30.0
SHORT_SECONDS: Final = 0.3
"""For requests that do not end: then there may be no answer."""
_LIMIT: Final = 2**24

Judge = Callable[[int, Raw, "Answer | None"], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header."""
        return [value for each, value in self.headers if each.lower() == name]


class Unreadable(Exception):
    """What came back is no HTTP."""


async def exchange_all(
    port: int, requests: Iterable[tuple[int, Raw]], judge: Judge, *, lanes: int = 8
) -> None:
    """Send every request once, over a few kept connections, and have every answer judged."""
    waiting = iter(requests)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(lanes):
            tasks.create_task(_Lane(port).work(waiting, judge))


class _Lane:
    """One connection at a time, opened anew where the last one was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def work(self, waiting: Iterable[tuple[int, Raw]], judge: Judge) -> None:
        try:
            for number, raw in waiting:
                try:
                    answer = await self._exchange(raw) if raw.framed else await self._try(raw)
                    judge(number, raw, answer)
                except Exception as error:
                    error.add_note(f"request {number}, made by {raw.story}: {raw.text()[:3_000]!r}")
                    raise
        finally:
            self._close()

    async def _exchange(self, raw: Raw) -> Answer | None:
        """Send a request that ends; once more where the kept connection was closed just then."""
        for _ in range(2):
            is_new = self._streams is None
            reader, writer = self._streams or await self._open()
            try:
                answer = await self._said(reader, writer, raw)
            except (ConnectionError, asyncio.IncompleteReadError):
                self._close()
                if is_new:
                    return None
                continue
            if b"close" in answer.values(b"connection"):
                self._close()
            return answer
        return None

    async def _try(self, raw: Raw) -> Answer | None:
        """Send a request that may not end, over a connection of its own."""
        self._close()
        reader, writer = await self._open()
        try:
            async with asyncio.timeout(SHORT_SECONDS):
                return await self._said(reader, writer, raw)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            return None
        finally:
            self._close()

    async def _said(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: Raw
    ) -> Answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            writer.write(raw.text())
            await _gone(writer.drain())
            return await read_answer(reader, to_head=raw.method == b"HEAD")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=_LIMIT)
        return self._streams

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _gone(sending: Awaitable[None]) -> None:
    """Send; who has answered early and closed may still be read."""
    try:
        await sending
    except ConnectionError:
        return


async def read_answer(reader: asyncio.StreamReader, *, to_head: bool = False) -> Answer:
    """Read one answer, interim ones left out.

    Raises:
        Unreadable: If it is none.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    version, _, rest = first.partition(b" ")
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not rest[:3].isdigit():
        raise Unreadable(first)
    status = int(rest[:3])
    if 100 <= status < 200:
        return await read_answer(reader, to_head=to_head)
    headers = tuple((name, value.strip()) for name, _, value in (s.partition(b":") for s in lines))
    answer = Answer(status, headers, b"")
    if to_head or status in {204, 304}:
        return answer
    if answer.values(b"transfer-encoding") == [b"chunked"]:
        return Answer(status, headers, await _chunks(reader))
    length = int(next(iter(answer.values(b"content-length")), b"0"))
    return Answer(status, headers, await reader.readexactly(length))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return body
