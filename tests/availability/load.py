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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple, cast

import uvloop

GIVE_UP_SECONDS: Final = 15.0
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
    kind: str
    key: str
    sent: float
    at: float
    late: float


class _Pool:
    """The idle connections, and all that was answered over any."""

    def __init__(self) -> None:
        self.idle: deque[_Connection] = deque()
        self.answers: list[Answer] = []
        self.open = self.most_open = self.waiting = 0
        self._done = asyncio.Event()

    def note(self, asked: _Asked, status: int, *, waits: bool = False) -> None:
        took = time.perf_counter() - asked.sent
        self.answers.append(
            Answer(asked.kind, asked.at, took, status, waits, asked.key, asked.late)
        )
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
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower()
        _, _, length = fields.partition(b"\r\ncontent-length: ")
        if len(rest) < int(length.partition(b"\r\n")[0] or 0):
            return
        self._received = b""
        self._answered(int(head[9:12]), waits=b"\r\nretry-after: " in fields)
        if b"\r\nconnection: close" in fields:
            self.close()
        else:
            self._pool.idle.append(self)

    def _answered(self, status: int, *, waits: bool = False) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._pool.note(asked, status, waits=waits)


class _Arrivals:
    """Sends each request when it is due, over an idle connection or a new one."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._chance = random.Random(load.seed)
        self._weights = [kind.weight for kind in load.kinds]
        self._salt = f"{load.seed}-{time.time_ns():x}"
        self._pool = _Pool()
        self._all: list[_Connection] = []
        self._openings: set[asyncio.Task[None]] = set()

    async def send(self) -> dict[str, Any]:
        begin = time.perf_counter()
        due, number = 0.0, 0
        while due < self._load.seconds:
            now = time.perf_counter() - begin
            if due > now:
                await asyncio.sleep(due - now)
                continue
            self._send_one(number, now, due)
            number += 1
            due += self._chance.expovariate(self._load.rate)
            if number % 64 == 0:
                await asyncio.sleep(0)  # answers come in also while we are late
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await asyncio.gather(*self._openings)
                await self._pool.all_answered()
        for each in self._all:
            each.close()
        await asyncio.sleep(0)
        answers = [[*asdict(each).values()] for each in self._pool.answers]
        return {"answers": answers, "connections": self._pool.most_open}

    def _send_one(self, number: int, now: float, due: float) -> None:
        kind = self._chance.choices(self._load.kinds, self._weights)[0]
        key = f"{self._salt}-{number}"
        raw = self._chance.choice(kind.raw).replace("@key@", key).encode()
        asked = _Asked(kind.name, key, time.perf_counter(), now, now - due)
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
