"""Requests at a given rate, whatever becomes of them: an open loop, in a process of its own.

A closed loop waits for an answer before it sends the next request, so a slow service is asked
less, and looks well. Here arrivals are a Poisson process of their own, and every request finds a
connection, a new one if need be.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

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


@dataclass(slots=True)
class _Pool:
    host: str
    port: int
    idle: deque[_Connection] = field(default_factory=deque)
    answers: list[Answer] = field(default_factory=list)
    open: int = 0
    waiting: int = 0
    most_open: int = 0


class _Connection(asyncio.Protocol):
    """One keep-alive connection; at most one request on its way."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._received = b""
        self._asked: tuple[str, str, float, float, float] | None = None
        self._transport: asyncio.Transport | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.open += 1
        self._pool.most_open = max(self._pool.most_open, self._pool.open)

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.open -= 1
        self._transport = None
        if self._asked is not None:
            self._note(_LOST, waits=False)

    def send(self, raw: bytes, asked: tuple[str, str, float, float, float]) -> bool:
        """Send a request; False if the connection has gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._asked = asked
        self._transport.write(raw)
        return True

    def give_up(self, before: float) -> None:
        if self._asked is not None and self._asked[2] < before and self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower()
        at = fields.find(b"\r\ncontent-length: ")
        length = int(fields[at + 18 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self._received = b""
        self._note(int(head[9:12]), waits=b"\r\nretry-after: " in fields)
        if b"\r\nconnection: close" in fields:
            if self._transport is not None:
                self._transport.close()
        else:
            self._pool.idle.append(self)

    def _note(self, status: int, *, waits: bool) -> None:
        assert self._asked is not None
        kind, key, sent, at, late = self._asked
        self._asked = None
        self._pool.waiting -= 1
        took = time.perf_counter() - sent
        self._pool.answers.append(Answer(kind, at, took, status, waits, key, late))


async def _send_all(load: Load) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    chance = random.Random(load.seed)
    pool = _Pool(load.host, load.port)
    everyone: list[_Connection] = []
    openings: set[asyncio.Task[None]] = set()
    weights = [kind.weight for kind in load.kinds]
    salt = f"{load.seed}-{time.time_ns():x}"

    async def open_and_send(raw: bytes, asked: tuple[str, str, float, float, float]) -> None:
        try:
            _, fresh = await loop.create_connection(lambda: _Connection(pool), load.host, load.port)
        except OSError:
            pool.waiting -= 1
            took = time.perf_counter() - asked[2]
            pool.answers.append(Answer(asked[0], asked[3], took, _LOST, False, asked[1], asked[4]))
            return
        everyone.append(fresh)
        if not fresh.send(raw, asked):
            pool.waiting -= 1
            pool.answers.append(Answer(asked[0], asked[3], 0, _LOST, False, asked[1], asked[4]))

    begin = time.perf_counter()
    due, number = 0.0, 0
    while due < load.seconds:
        now = time.perf_counter() - begin
        if due > now:
            await asyncio.sleep(due - now)
            continue
        kind = chance.choices(load.kinds, weights)[0]
        key = f"{salt}-{number}"
        raw = chance.choice(kind.raw).replace("@key@", key).encode()
        asked = (kind.name, key, time.perf_counter(), now, now - due)
        pool.waiting += 1
        while pool.idle:
            if pool.idle.pop().send(raw, asked):
                break
        else:
            task = asyncio.create_task(open_and_send(raw, asked))
            openings.add(task)
            task.add_done_callback(openings.discard)
        number += 1
        due += chance.expovariate(load.rate)
        if number % 64 == 0:
            await asyncio.sleep(0)  # answers come in also while we are late
    give_up_at = time.perf_counter() + GIVE_UP_SECONDS
    while pool.waiting and time.perf_counter() < give_up_at:
        await asyncio.sleep(0.02)
    for each in everyone:
        each.give_up(float("inf"))
    await asyncio.sleep(0)
    return {
        "answers": [[*asdict(each).values()] for each in pool.answers],
        "connections": pool.most_open,
    }


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


def _main() -> None:
    told = json.load(sys.stdin)
    told["kinds"] = [Kind(**each) for each in told["kinds"]]
    json.dump(uvloop.run(_send_all(Load(**told))), sys.stdout)


if __name__ == "__main__":
    _main()
