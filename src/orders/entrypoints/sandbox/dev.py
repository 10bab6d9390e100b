"""`orders dev`: the whole stack on this machine, one process for each part."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.observability.line_writer import LineWriter
from orders.entrypoints.sandbox.data_directory import DataDirectory, write_private
from orders.entrypoints.sandbox.stack import Stack
from orders.entrypoints.server.child_processes import Children

Work = Callable[[Children], Awaitable[None]]

_TOKEN_SECONDS = 12 * 3600
_EXAMPLE = """{"currency": "GBP",
  "lines": [{"sku": "MUG-RED", "name": "Mug, red", "quantity": 2}],
  "payment": {"method": "tok_ok", "capture": true}}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """The options of `orders dev`; port 0 takes free ports for all parts."""

    host: str
    port: int
    data: Path
    ready_file: Path | None


def run_dev(options: DevOptions) -> int:
    """Run the stack until SIGTERM, Ctrl-C, or the end of any part; leave no process behind.

    Raises:
        CommandFailed: If a port or the data directory is taken, or a part fails.
    """
    data = DataDirectory(options.data.absolute())
    data.prepare()
    with _locked(data.lock) as lock:
        data.ready_file.unlink(missing_ok=True)  # of a run that was killed
        stack = Stack(host=options.host, port=options.port, data=data, environ=os.environ)
        asyncio.run(_supervise(stack, data, lock, partial(_announce, stack, data, options)))
    return 0


def run_demo(file: Path) -> int:
    """Run a fresh stack on free ports, replay a day's orders through it, and stop it.

    Raises:
        CommandFailed: If a part fails.
    """
    with tempfile.TemporaryDirectory(prefix="orders-demo-") as folder:
        data = DataDirectory(Path(folder))
        data.prepare()
        with _locked(data.lock) as lock:
            stack = Stack(host="127.0.0.1", port=0, data=data, environ=os.environ)
            asyncio.run(_supervise(stack, data, lock, partial(_replay, stack, data, file)))
    return 0


@contextmanager
def _locked(lock: Path) -> Iterator[int]:
    """Lock the data directory against a second stack.

    The parts inherit the lock: if this process is killed, it is free when the last part has ended.
    """
    with lock.open("a+") as file:
        deadline = time.monotonic() + 15
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            file.seek(0)
            owner = file.read()
            if _is_alive(owner) or time.monotonic() > deadline:
                raise CommandFailed(f"{lock.parent} is in use by another `orders dev` ({owner})")
            time.sleep(0.1)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    return True


async def _supervise(stack: Stack, data: DataDirectory, lock: int, once_up: Work) -> None:
    """Start the stack, run `once_up`, stop the stack. Ends early if a part fails."""
    children = Children(stack.environ, data.logs, lock)
    stop = _stop_signals(children)
    try:
        stack.require_ports()
        ways_to_end = [
            asyncio.ensure_future(each)
            for each in (_up_then(stack, children, once_up), children.watch(), stop.wait())
        ]
        ended, others = await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for each in ended:
            each.result()
    finally:
        await children.stop()


def _stop_signals(children: Children) -> asyncio.Event:
    """Return an event that SIGTERM or Ctrl-C sets; a second signal kills all parts."""
    stop = asyncio.Event()

    def request_stop() -> None:
        if stop.is_set():
            children.kill()
        stop.set()

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, request_stop)
    return stop


async def _up_then(stack: Stack, children: Children, once_up: Work) -> None:
    await stack.start(children)
    await once_up(children)


async def _announce(
    stack: Stack, data: DataDirectory, options: DevOptions, children: Children
) -> None:
    """Report on the screen and in the ready files that the stack is up; wait until cancelled."""
    from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token  # noqa: PLC0415  # slow, not needed before

    token = sandbox_token(data, subject="ada", roles=["customer"], ttl_seconds=_TOKEN_SECONDS)
    pids = {"supervisor": os.getpid(), **children.pids()}
    ready = json.dumps({**stack.addresses(), "token": token, "pids": pids}, indent=2)
    files = [file for file in (data.ready_file, options.ready_file) if file]
    try:
        for file in files:
            write_private(file, f"{ready}\n")
        if sys.stdout:  # does not wait for a stopped terminal or a full pipe
            LineWriter(sys.stdout.fileno()).write(
                _greeting(stack.addresses(), data, token).encode()
            )
        await asyncio.Event().wait()
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _greeting(addresses: dict[str, str], data: DataDirectory, token: str) -> str:
    return f"""\
Everything answers.

  API       {addresses["api"]}/v1
  payments  {addresses["payments"]}/ledger
  tokens    {addresses["jwks"]}
  metrics   {addresses["metrics"]}
  data      {data.path}
  logs      {data.logs}

A token of the customer ada, good for {_TOKEN_SECONDS // 3600} hours (`orders token` makes others):

  {token}

Place an order:

curl -sS -i {addresses["api"]}/v1/orders \\
  -H 'Authorization: Bearer {token}' \\
  -H 'Content-Type: application/json' -H "Idempotency-Key: example-$(date +%s)" \\
  -d '{_EXAMPLE}'

Ctrl-C stops it all; the data stays.
"""


async def _replay(stack: Stack, data: DataDirectory, file: Path, _: Children) -> None:
    from orders.entrypoints.sandbox.replay import replay  # noqa: PLC0415  # for the demo only
    from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token  # noqa: PLC0415

    token = sandbox_token(data, subject="import", roles=["admin"])
    addresses = stack.addresses()
    await replay(file, base_url=addresses["api"], token=token, ledger_url=addresses["payments"])
