"""What is said on a wire: the messages of MongoDB, HTTP and AMQP, whole ones, in both directions.

A conversation is one connection. It splits the bytes into messages and knows which question an
answer belongs to; it never changes a byte.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import bson

_OP_MSG: Final = 2013
_DOCUMENTS: Final = 1
_CHECKSUM: Final = 1
_METHOD, _HEADER = 1, 2
_PUBLISH: Final = (60, 40)
_ACK: Final = (60, 80)
_CONFIRM_SELECT: Final = (85, 10)


@dataclass(frozen=True)
class Message:
    """What one side has said. `questions` is what an answer answers; a confirm may answer many."""

    raw: bytes
    questions: tuple[Message, ...] = ()

    @cached_property
    def verb(self) -> str:
        """What it asks for, such as `insert orders`, `POST /v1/payments`, `publish`."""
        return ""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The command, where it is one of MongoDB's."""
        return {}


class Conversation(Protocol):
    """One connection, from the first byte to the last."""

    def questions(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        """What the process says that we watch."""
        ...

    def answers(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        """What it is told."""
        ...


class MongoCommand(Message):
    """A message of MongoDB's wire protocol. It is decoded only when someone asks."""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The command with its documents, as OP_MSG carries it."""
        length, _, _, code, flags = struct.unpack_from("<5i", self.raw)
        if code != _OP_MSG:
            return {}
        command: dict[str, Any] = {}
        at, end = 20, length - (4 if flags & _CHECKSUM else 0)
        while at < end:
            kind, size = self.raw[at], struct.unpack_from("<i", self.raw, at + 1)[0]
            section = self.raw[at + 1 : at + 1 + size]
            if kind == _DOCUMENTS:
                name, _, documents = section[4:].partition(b"\0")
                command[name.decode()] = bson.decode_all(documents)
            else:
                command = bson.decode(section) | command
            at += 1 + size
        return command

    @cached_property
    def verb(self) -> str:
        """The command and its collection."""
        for name in ("insert", "update", "find"):
            if name in self.body:
                return f"{name} {self.body[name]}"
        return ""


class MongoTalk:
    """MongoDB's wire protocol."""

    def __init__(self) -> None:
        self._asked: dict[int, Message] = {}

    async def questions(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        while True:
            raw = await _mongo_message(reader)
            message = MongoCommand(raw)
            self._asked[struct.unpack_from("<i", raw, 4)[0]] = message
            yield message

    async def answers(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        while True:
            raw = await _mongo_message(reader)
            question = self._asked.pop(struct.unpack_from("<i", raw, 8)[0], None)
            yield Message(raw, () if question is None else (question,))


class HttpRequest(Message):
    """A request. Its verb is the method and the path, without ids and query."""

    @cached_property
    def verb(self) -> str:
        method, target, _ = self.raw.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        return f"{method} {target}"


class HttpTalk:
    """HTTP/1.1 as our clients speak it: one request after another, of known length."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[Message] = asyncio.Queue()

    async def questions(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        while True:
            message = HttpRequest(await _http_message(reader))
            self._asked.put_nowait(message)
            yield message

    async def answers(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        while True:
            raw = await _http_message(reader)
            yield Message(raw, (await self._asked.get(),))


class Publish(Message):
    """A message on its way to the broker, with all its frames."""

    @cached_property
    def verb(self) -> str:
        return "publish"


@dataclass
class AmqpTalk:
    """AMQP 0-9-1 with publisher confirms, on channels of their own."""

    _tags: dict[int, int] = field(default_factory=dict)
    _unconfirmed: dict[tuple[int, int], Message] = field(default_factory=dict)

    async def questions(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        yield Message(await reader.readexactly(8))
        while True:
            frame = await _frame(reader)
            channel, method = _method_of(frame)
            if method == _CONFIRM_SELECT:
                self._tags[channel] = 0
            if method != _PUBLISH:
                yield Message(frame)
                continue
            header = await _frame(reader)
            left = struct.unpack_from(">Q", header, 11)[0]
            raw = frame + header
            while left > 0:
                body = await _frame(reader)
                left -= len(body) - 8
                raw += body
            message = Publish(raw)
            self._tags[channel] = self._tags.get(channel, 0) + 1
            self._unconfirmed[channel, self._tags[channel]] = message
            yield message

    async def answers(self, reader: asyncio.StreamReader) -> AsyncIterator[Message]:
        while True:
            frame = await _frame(reader)
            channel, method = _method_of(frame)
            yield Message(frame, self._confirmed(channel, frame) if method == _ACK else ())

    def _confirmed(self, channel: int, frame: bytes) -> tuple[Message, ...]:
        tag, multiple = struct.unpack_from(">QB", frame, 11)
        tags = [
            known
            for known in self._unconfirmed
            if known[0] == channel and (known[1] == tag or (multiple and known[1] < tag))
        ]
        return tuple(self._unconfirmed.pop(each) for each in tags)


async def _mongo_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head, "little") - 4)


async def _http_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        return head + await _chunks(reader)
    _, found, length = fields.partition(b"\r\ncontent-length:")
    return head + (await reader.readexactly(int(length.split(b"\r\n")[0])) if found else b"")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    raw, size = b"", 1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        raw += line + await reader.readexactly(size + 2)
    return raw


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(7)
    return head + await reader.readexactly(int.from_bytes(head[3:], "big") + 1)


def _method_of(frame: bytes) -> tuple[int, tuple[int, int] | None]:
    kind, channel = struct.unpack_from(">BH", frame)
    if kind != _METHOD:
        return channel, None
    return channel, struct.unpack_from(">HH", frame, 7)
