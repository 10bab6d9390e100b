"""A wire that we hold: everything a process says to one of its neighbours goes through here.

A trap waits for one message about one order. It springs before the message is passed on, in the
middle of it, right after it, or at its answer; what dies then is dead before any other byte
passes, as all wires are held by one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from tests.chaos.protocol_messages import Conversation, Message

_LONGEST = 2**24


class When(Enum):
    """Where a trap springs, seen from the message it waits for."""

    BEFORE = "seen, not passed on"
    HALF = "half of it passed on"
    PASSED = "passed on, whatever becomes of it"
    ANSWERED = "carried out, the answer not passed back"
    RETURNED = "the answer passed back"


@dataclass(slots=True)
class Trap:
    """Springs once, at the first message that is `seen` and about `order`."""

    seen: Callable[[Message], bool]
    when: When
    about: tuple[bytes, ...]
    spring: Callable[[Wire], None]
    """What happens: it must not wait."""
    cuts: bool = True
    """Whether the connection ends with it; else it only tells, and the message goes its way."""
    sprung: asyncio.Event = field(default_factory=asyncio.Event)

    def waits_for(self, message: Message) -> bool:
        """Whether this is the message."""
        return (
            not self.sprung.is_set()
            and any(mark in message.raw for mark in self.about)
            and self.seen(message)
        )


def marks(order_id: UUID, key: str) -> tuple[bytes, ...]:
    """How an order is named on any wire: as text, in BSON, or by the key that places it."""
    return str(order_id).encode(), order_id.bytes, key.encode()


class Fault(Enum):
    """What the network does to a call."""

    LOST = "never arrives"
    TORN = "arrives in half"
    UNANSWERED = "is answered to nobody"


class _Cut(Exception):
    """The connection is over."""


class Wire:
    """Loopback from `owner` to a neighbour, or to `owner` from its callers; on its own port."""

    def __init__(
        self,
        owner: str,
        way: str,
        port: int,
        upstream: tuple[str, int],
        talk: Callable[[], Conversation],
        traps: list[Trap],
    ) -> None:
        """`traps` is shared: a trap springs on whichever wire its message comes first."""
        self.owner = owner
        self.way = way
        self.port = port
        self.fault_share = 0.0
        """How many of the questions meet a fault, from 0 to 1."""
        self.faults = 0
        self._upstream = upstream
        self._talk = talk
        self._traps = traps
        self._chance = random.Random(port)
        self._server: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in [*self._served]:
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream, limit=_LONGEST)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        talk = self._talk()
        pumps = [
            asyncio.create_task(self._ask(talk, reader, up_writer)),
            asyncio.create_task(self._answer(talk, up_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.close()
            up_writer.close()

    async def _ask(
        self, talk: Conversation, reader: asyncio.StreamReader, to: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, _Cut):
            async for message in talk.questions(reader):
                half = message.raw[: len(message.raw) // 2]
                trap = self._trap(message, When.BEFORE, When.HALF, When.PASSED)
                if trap is not None:
                    if trap.when is not When.BEFORE:
                        to.write(half if trap.when is When.HALF else message.raw)
                    self._spring(trap)
                    if trap.when is When.PASSED:
                        continue
                elif (fault := self._fault(message)) is not None:
                    to.write({Fault.LOST: b"", Fault.TORN: half}.get(fault, message.raw))
                    raise _Cut
                to.write(message.raw)
                await to.drain()

    async def _answer(
        self, talk: Conversation, reader: asyncio.StreamReader, to: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, _Cut):
            async for message in talk.answers(reader):
                for question in message.questions:
                    trap = self._trap(question, When.ANSWERED, When.RETURNED)
                    if trap is not None:
                        if trap.when is When.RETURNED:
                            to.write(message.raw)
                        self._spring(trap)
                to.write(message.raw)
                await to.drain()

    def _trap(self, message: Message, *moments: When) -> Trap | None:
        for trap in self._traps:
            if trap.when in moments and trap.waits_for(message):
                return trap
        return None

    def _spring(self, trap: Trap) -> None:
        trap.sprung.set()
        trap.spring(self)
        if trap.cuts:
            raise _Cut

    def _fault(self, message: Message) -> Fault | None:
        if not message.verb or self._chance.random() >= self.fault_share:
            return None
        self.faults += 1
        fault: Fault = self._chance.choice([*Fault])
        return fault
