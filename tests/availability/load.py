"""Requests at a given rate, whatever becomes of them: an open loop, in a process of its own.

A closed loop waits for an answer before it sends the next request, so a slow service is asked
less, and looks well. Here arrivals are a Poisson process of their own, and every request finds a
connection, a new one if need be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, cast

import uvloop

GIVE_UP_SECONDS: Final = 15.0
_TICK_SECONDS: Final = 0.001
_LOST: Final = 0
"""The status of a request that got no answer."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Requests of one kind: raw HTTP/1.1, in which `@key@` becomes new each time."""

    name: str
    weight: float
    raw: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much of what is sent where, for how long."""

    host: str = "127.0.0.1"
    port: int
    rate: float
    seconds: float
    kinds: Sequence[Kind]
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request. Times in seconds; `at` counts from the start of the load."""

    kind: str
    at: float
    took: float
    status: int
    waits: bool
    """Whether it said Retry-After."""
    key: str
    late: float
    """By how much the generator itself was late."""


class _Asked(NamedTuple):
    """A request on its way. What takes time is left for when all is answered."""

    number: int
    sent: float


class _Pool:
    """The idle connections, and all that was answered over any."""

    def __init__(self) -> None:
        self.idle: deque[_Connection] = deque()
        self.answers: list[tuple[_Asked, float, int, bool]] = []
        self.open = self.most_open = self.waiting = 0
        self._done = asyncio.Event()

    def note(self, asked: _Asked, status: int, *, waits: bool = False) -> None:
        self.answers.append((asked, time.perf_counter() - asked.sent, status, waits))
        self.waiting -= 1
        if not self.waiting:
            self._done.set()

    async def all_answered(self) -> None:
        while self.waiting:
            self._done.clear()
            await self._done.wait()


class _Connection(asyncio.Protocol):
    """One keep-alive connection; at most one request on its way."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._received = b""
        self._asked: _Asked | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.open += 1
        self._pool.most_open = max(self._pool.most_open, self._pool.open)

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.open -= 1
        self._transport = None
        self._answered(_LOST)

    def send(self, raw: bytes, asked: _Asked) -> bool:
        """Send a request; False if the connection has gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._asked = asked
        self._transport.write(raw)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._received = data
            return
        head = data[:end].lower()
        _, _, length = head.partition(b"\r\ncontent-length: ")
        if len(data) - end - 4 < int(length.partition(b"\r\n")[0] or 0):
            self._received = data
            return
        self._received = b""
        self._answered(int(head[9:12]), waits=b"\r\nretry-after: " in head)
        if b"\r\nconnection: close" in head:
            self.close()
        else:
            self._pool.idle.append(self)

    def _answered(self, status: int, *, waits: bool = False) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._pool.note(asked, status, waits=waits)


class _Arrivals:
    """Sends each request when it is due, over an idle connection or a new one.

    All is drawn before the first is sent: the generator must not take the processor from what it
    measures.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        chance = random.Random(load.seed)
        self._due = list(_times(chance, load))
        weights = [kind.weight for kind in load.kinds]
        kinds = chance.choices(load.kinds, weights, k=len(self._due))
        self._names = [kind.name for kind in kinds]
        parts = {raw: raw.encode().partition(b"@key@") for kind in load.kinds for raw in kind.raw}
        self._raw = [parts[chance.choice(kind.raw)] for kind in kinds]
        self._salt = f"{load.seed}-{time.time_ns():x}-"
        self._pool = _Pool()
        self._all: list[_Connection] = []
        self._openings: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._began = 0.0
        self._all_sent = asyncio.Event()

    async def send(self) -> dict[str, Any]:
        self._began = time.perf_counter()
        self._send_what_is_due()
        await self._all_sent.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await asyncio.gather(*self._openings)
                await self._pool.all_answered()
        for each in self._all:
            each.close()
        await asyncio.sleep(0)
        answers = [self._told(*each) for each in self._pool.answers]
        return {"answers": answers, "connections": self._pool.most_open}

    def _told(self, asked: _Asked, took: float, status: int, waits: bool) -> list[Any]:
        """The fields of an `Answer`."""
        number, at = asked.number, asked.sent - self._began
        key = f"{self._salt}{number}"
        return [self._names[number], at, took, status, waits, key, at - self._due[number]]

    def _send_what_is_due(self) -> None:
        now = time.perf_counter() - self._began
        number = self._sent
        while number < len(self._due) and self._due[number] <= now:
            self._send_one(number)
            number += 1
        if number == len(self._due):
            self._all_sent.set()
            return
        early = self._due[number] - (time.perf_counter() - self._began)
        # uvloop counts milliseconds: a shorter wait would be none, and this a busy loop.
        asyncio.get_running_loop().call_later(max(_TICK_SECONDS, early), self._send_what_is_due)

    def _send_one(self, number: int) -> None:
        before, key, after = self._raw[number]
        raw = b"%b%b%d%b" % (before, self._salt.encode(), number, after) if key else before
        asked = _Asked(number, time.perf_counter())
        self._sent += 1
        self._pool.waiting += 1
        while self._pool.idle:
            if self._pool.idle.pop().send(raw, asked):
                return
        task = asyncio.create_task(self._open_and_send(raw, asked))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open_and_send(self, raw: bytes, asked: _Asked) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, fresh = await loop.create_connection(
                lambda: _Connection(self._pool), self._load.host, self._load.port
            )
        except OSError:
            self._pool.note(asked, _LOST)
            return
        self._all.append(fresh)
        if not fresh.send(raw, asked):
            self._pool.note(asked, _LOST)


def _times(chance: random.Random, load: Load) -> Iterator[float]:
    """Arrivals of a Poisson process, in seconds."""
    due = 0.0
    while due < load.seconds:
        yield due
        due += chance.expovariate(load.rate)


@dataclass(frozen=True, slots=True)
class Sent:
    """A load that was sent, and all that came back."""

    load: Load
    answers: Sequence[Answer]
    connections: int


class Sending:
    """A load that is being sent by a process of its own."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)))
        self._process.stdin.close()

    def finish(self) -> Sent:
        """Wait until all is sent and answered, and return it."""
        assert self._process.stdout is not None
        with self._process.stdout:
            found = json.loads(self._process.stdout.read())
        assert self._process.wait() == 0
        answers = [Answer(*each) for each in found["answers"]]
        return Sent(self._load, answers, found["connections"])


def send(load: Load) -> Sent:
    """Send a load, and return what came back."""
    return Sending(load).finish()


def request(
    method: str, path: str, token: str, *, body: object = None, host: str = "orders"
) -> str:
    """A raw request, with a new Idempotency-Key each time if it has a body."""
    content = "" if body is None else json.dumps(body)
    fields = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(content)}",
    ]
    if body is not None:
        fields += ["Content-Type: application/json", 'Idempotency-Key: "@key@"']
    return "\r\n".join(fields) + "\r\n\r\n" + content


async def _main(load: Load) -> dict[str, Any]:
    return await _Arrivals(load).send()


if __name__ == "__main__":
    told = json.load(sys.stdin)
    told["kinds"] = [Kind(**each) for each in told["kinds"]]
    json.dump(uvloop.run(_main(Load(**told))), sys.stdout)
