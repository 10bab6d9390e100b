"""Load: requests over kept connections, as fast as they are answered or at a given rate."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from selectors import SelectSelector
from typing import Any, Final, TypeVar

T = TypeVar("T")

_END_OF_HEAD: Final = b"\r\n\r\n"


class LoadFailed(Exception):
    """An answer that was not asked for: what was measured would mean nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How a number of requests went: how long in all, and how long each."""

    seconds: float
    latencies: list[float] = field(repr=False)
    answers: list[bytes] = field(repr=False)

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """The latency in seconds that so many per cent stay below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Connection(asyncio.Protocol):
    """One connection with one request on its way at most."""

    def __init__(self) -> None:
        self._received = b""
        self._wanted = -1
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: Any) -> None:
        """Keep what to write to."""
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the answer as it came, with its head."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Wait for the whole of an answer."""
        self._received += data
        if self._wanted < 0:
            head, end, _ = self._received.partition(_END_OF_HEAD)
            if not end:
                return
            _, found, length = head.lower().partition(b"\r\ncontent-length:")
            size = int(length.partition(b"\r\n")[0]) if found else 0
            self._wanted = len(head) + len(end) + size
        if len(self._received) >= self._wanted and self._answer is not None:
            received, self._received, self._wanted = self._received, b"", -1
            self._answer.set_result(received)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LoadFailed("the connection was closed"))

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def connected(port: int, count: int) -> Any:
    """So many connections to a server on this machine."""
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


async def at_full_speed(
    connections: Sequence[Connection], requests: Iterable[bytes], count: int, *, status: int
) -> Measured:
    """Send so many requests, on each connection one after the other."""
    waiting = islice(requests, count)
    latencies: list[float] = []
    answers: list[bytes] = []

    async def one_by_one(connection: Connection) -> None:
        for request in waiting:
            began = time.perf_counter()
            answer = await connection.ask(request)
            latencies.append(time.perf_counter() - began)
            answers.append(_checked(answer, status))

    began = time.perf_counter()
    await asyncio.gather(*map(one_by_one, connections))
    return Measured(time.perf_counter() - began, latencies, answers)


def on_time(work: Coroutine[Any, Any, T]) -> T:
    """Run what sends at given times, without being late by itself.

    The timers of uvloop, and of epoll, are of whole milliseconds: requests would come in bunches,
    and wait for each other. Python's search for garbage would hold them up as well.
    """
    gc.freeze()
    gc.disable()
    try:
        with asyncio.Runner(
            loop_factory=lambda: asyncio.SelectorEventLoop(SelectSelector())
        ) as runner:
            return runner.run(work)
    finally:
        gc.enable()


async def at_a_rate(
    connections: Sequence[Connection],
    requests: Iterator[bytes],
    count: int,
    *,
    per_second: float,
    status: int,
) -> Measured:
    """Send so many requests at fixed times, whether answers come or not.

    A latency counts from the time a request was due, so one that had to wait for a connection
    has waited. For `on_time`.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for each in connections:
        free.put_nowait(each)
    latencies: list[float] = []
    answers: list[bytes] = []

    async def send(request: bytes, due: float) -> None:
        connection = await free.get()
        answer = await connection.ask(request)
        latencies.append(time.perf_counter() - due)
        free.put_nowait(connection)
        answers.append(_checked(answer, status))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(islice(requests, count)):
            due = began + number / per_second
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(send(request, due))
    return Measured(time.perf_counter() - began, latencies, answers)


def _checked(answer: bytes, status: int) -> bytes:
    if not answer.startswith(b"HTTP/1.1 %d " % status):
        raise LoadFailed(answer[:1_500].decode(errors="replace"))
    return answer
