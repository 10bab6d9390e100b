"""Load: requests over kept connections, as fast as they are answered or at a given rate."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

from tests.bench.ticks import ticking

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


class _Arrivals:
    """Requests that are sent when they are due, or as soon as a connection is free then."""

    def __init__(
        self, connections: Sequence[Connection], requests: list[bytes], per_second: float
    ) -> None:
        self.began = 0.0
        self.latencies: list[float] = []
        self.answers: list[bytes] = []
        self.all_answered = asyncio.get_running_loop().create_future()
        self._free = deque(connections)
        self._count = len(requests)
        self._to_come = deque(requests)
        self._due: deque[tuple[bytes, float]] = deque()
        self._interval = 1 / per_second
        self._next = 0.0

    def come(self, moments: int) -> None:
        for _ in range(min(moments, len(self._to_come))):
            self._due.append((self._to_come.popleft(), self.began + self._next))
            self._next += self._interval
        self._send()

    def _send(self) -> None:
        while self._free and self._due:
            connection, (request, due) = self._free.popleft(), self._due.popleft()
            connection.ask(request).add_done_callback(partial(self._answered, connection, due))

    def _answered(self, connection: Connection, due: float, answer: asyncio.Future[bytes]) -> None:
        self.latencies.append(time.perf_counter() - due)
        if self.all_answered.done():
            return
        if (failed := answer.exception()) is not None:
            self.all_answered.set_exception(failed)
            return
        self.answers.append(answer.result())
        self._free.append(connection)
        self._send()
        if len(self.answers) == self._count:
            self.all_answered.set_result(None)


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
    has waited.
    """
    arrivals = _Arrivals(connections, list(islice(requests, count)), per_second)
    # Python would look for garbage now and then, and hold up what is due.
    gc.freeze()
    gc.disable()
    try:
        with ticking(per_second, arrivals.come) as arrivals.began:
            await arrivals.all_answered
    finally:
        gc.enable()
    seconds = time.perf_counter() - arrivals.began
    answers = [_checked(answer, status) for answer in arrivals.answers]
    return Measured(seconds, arrivals.latencies, answers)


def _checked(answer: bytes, status: int) -> bytes:
    if not answer.startswith(b"HTTP/1.1 %d " % status):
        raise LoadFailed(answer[:1_500].decode(errors="replace"))
    return answer
