"""Requests whose bodies do not come, from a process of its own; one that is ended comes again.

They come evenly within the time that the service gives a body, and so they are ended evenly.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import product
from typing import Final, NoReturn

import uvloop

HOST: Final = "127.0.0.1"
BODY_SECONDS: Final = 10.0
"""How long the service waits for a body by default."""
AGAIN_SECONDS: Final = 1.0
"""From one request of a sender to its next, at least: one that is refused at once is no flood."""
_PATHS: Final = ("/v1/orders", "/v1/payment-events")
_BEGINNINGS: Final = (
    'Content-Length: 4096\r\n\r\n{"currency": ',
    'Transfer-Encoding: chunked\r\n\r\nd\r\n{"currency": \r\n',
)


def unfinished(tokens: Sequence[str]) -> list[str]:
    """The beginnings of requests of eight kinds, as often each: four times as many as tokens.

    With a token or without, with a length or in chunks, where orders are placed and where the
    payment service tells what happened.
    """
    fields = [field for token in tokens for field in (f"Authorization: Bearer {token}\r\n", "")]
    return [
        f"POST {_PATHS[number // 4 % 2]} HTTP/1.1\r\nHost: orders\r\n{field}"
        f"Content-Type: application/json\r\n{beginning}"
        for number, (field, beginning) in enumerate(product(fields, _BEGINNINGS))
    ]


class Held:
    """What the process that holds them says."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> Counter[str]:
        """Let go of all; returns how many were answered with which status, "" for none."""
        answered, _ = self._process.communicate()
        assert self._process.returncode == 0
        return Counter(json.loads(answered))


@contextmanager
def holding(port: int, requests: Sequence[str]) -> Iterator[Held]:
    """All of them are open in this block, but for a moment each that the service ends one."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"port": port, "requests": requests}) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "open\n"
        try:
            yield Held(process)
        finally:
            process.kill()


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Holder:
    """Sends the beginnings, and waits for as long as the service does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answered: Counter[str] = Counter()

    async def open(self, raw: bytes) -> _Connection:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        writer.write(raw)
        await writer.drain()
        return reader, writer

    async def hold(self, raw: bytes, connection: _Connection) -> NoReturn:
        while True:
            began = time.monotonic()
            reader, writer = connection
            with suppress(ConnectionError):
                self.answered[(await reader.read())[9:12].decode()] += 1
            writer.close()
            await asyncio.sleep(AGAIN_SECONDS - (time.monotonic() - began))
            connection = await self.open(raw)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    told = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    holder, requests = _Holder(told["port"]), [each.encode() for each in told["requests"]]
    tasks = []
    for raw in requests:
        tasks.append(asyncio.create_task(holder.hold(raw, await holder.open(raw))))
        await asyncio.sleep(BODY_SECONDS / len(requests))
    print("open", flush=True)  # noqa: T201 - to whoever has started us
    await loop.run_in_executor(None, sys.stdin.read)
    for task in tasks:
        if not task.cancel():
            task.result()  # which is why it is not held any more
    print(json.dumps(holder.answered))  # noqa: T201


if __name__ == "__main__":
    uvloop.run(_main())
