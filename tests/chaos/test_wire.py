"""A trap springs exactly where it says, and wires tell what MongoDB, HTTP and AMQP say."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from uuid import UUID

import bson
import pytest
from bson.binary import Binary

from orders.entrypoints.server.child_processes import free_ports
from tests.chaos.protocol_messages import AmqpTalk, HttpTalk, Message, MongoTalk
from tests.chaos.wire import Trap, When, Wire, marks

ORDER = UUID("6f1c7a52-9c1e-8d0b-a4c3-1f2e3d4c5b6a")
REQUEST = (
    b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 36\r\n\r\n" + str(ORDER).encode()
)
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


class Upstream:
    """Answers every request, and keeps what it got."""

    def __init__(self) -> None:
        self.got = b""
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            self.got += chunk
            if self.got.endswith(str(ORDER).encode()):
                writer.write(ANSWER)
        writer.close()
        self.closed.set()


async def through_a_trap(when: When, about: UUID = ORDER) -> tuple[bytes, bytes, bool]:
    """What the neighbour got, what the caller got, and whether the trap sprang."""
    upstream = Upstream()
    trap = Trap(lambda m: m.verb == "POST /v1/payments", when, marks(about, "key"), lambda w: None)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    wire = Wire(
        "api-0", "payments", free_ports(1)[0], server.sockets[0].getsockname(), HttpTalk, [trap]
    )
    await wire.open()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(REQUEST)
        answer = b""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            answer = await reader.readexactly(len(ANSWER))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        await upstream.closed.wait()
    finally:
        await wire.close()
        server.close()
    return upstream.got, answer, trap.sprung.is_set()


@pytest.mark.parametrize(
    ("when", "got", "answer"),
    [
        (When.BEFORE, b"", b""),
        (When.HALF, REQUEST[: len(REQUEST) // 2], b""),
        (When.PASSED, REQUEST, b""),
        (When.ANSWERED, REQUEST, b""),
        (When.RETURNED, REQUEST, ANSWER),
    ],
)
async def test_springs_at_its_moment(when: When, got: bytes, answer: bytes) -> None:
    assert await through_a_trap(when) == (got, answer, True)


async def test_lets_other_orders_pass() -> None:
    assert await through_a_trap(When.BEFORE, UUID(int=1)) == (REQUEST, ANSWER, False)


async def said(
    conversation: Callable[[asyncio.StreamReader], AsyncIterator[Message]], raw: bytes
) -> list[Message]:
    reader = asyncio.StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    messages = []
    with suppress(asyncio.IncompleteReadError):
        async for message in conversation(reader):
            messages.append(message)  # noqa: PERF401 - the end of the bytes ends it
    return messages


def op_msg(
    number: int, answers: int, command: dict[str, object], **more: list[dict[str, object]]
) -> bytes:
    sections = b"\0" + bson.encode(command)
    for name, documents in more.items():
        body = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
        sections += b"\1" + struct.pack("<i", len(body) + 4) + body
    return struct.pack("<5i", len(sections) + 20, number, answers, 2013, 0) + sections


async def test_tells_a_command_of_mongodb_with_its_documents_and_its_answer() -> None:
    talk = MongoTalk()
    document: dict[str, object] = {"_id": Binary.from_uuid(ORDER), "version": 1}
    asked = op_msg(7, 0, {"insert": "orders", "$db": "shop"}, documents=[document])
    (question,) = await said(talk.questions, asked)
    assert question.verb == "insert orders"
    assert question.body["documents"][0]["version"] == 1
    assert marks(ORDER, "key")[1] in question.raw
    (answer,) = await said(talk.answers, op_msg(8, 7, {"ok": 1}))
    assert answer.questions == (question,)


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"


async def test_tells_which_publishes_a_confirm_is_for() -> None:
    talk = AmqpTalk()
    bodies = [b"one", b"two", b"three"]
    raw = b"AMQP\0\0\x09\1" + frame(1, struct.pack(">HH", 85, 10) + b"\0")
    for body in bodies:
        raw += frame(1, struct.pack(">HH", 60, 40) + b"exchange")
        raw += frame(2, struct.pack(">HHQ", 60, 0, len(body))) + frame(3, body)
    published = [each for each in await said(talk.questions, raw) if each.verb == "publish"]
    assert [body in each.raw for each, body in zip(published, bodies, strict=True)] == [True] * 3
    one = frame(1, struct.pack(">HHQB", 60, 80, 2, 0))
    rest = frame(1, struct.pack(">HHQB", 60, 80, 3, 1))
    first, second = await said(talk.answers, one + rest)
    assert first.questions == (published[1],)
    assert set(second.questions) == {published[0], published[2]}
