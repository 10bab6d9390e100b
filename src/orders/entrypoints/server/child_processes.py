"""Child processes that end with their parent, their logs and their ports."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import socket
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Never, Self

from orders.entrypoints.failures import CommandFailed

_PR_SET_PDEATHSIG = 1
_LISTENING_PORTS = range(20_000, 32_000)
"""Below those of outgoing connections: from 32768 on Linux, from 49152 on macOS."""
_prctl = getattr(ctypes.pythonapi, "prctl", None)  # Linux only; resolved before any fork


class ProcessFailed(CommandFailed):
    """A process did not start, did not respond, or ended unexpectedly."""


def end_with(parent: int, by: signal.Signals = signal.SIGTERM) -> None:
    """Send the calling process a signal when the process `parent` dies, even of SIGKILL.

    Call it in a new child. The kernel watches the *thread* that forked it, so fork from the main
    thread. Does nothing on systems other than Linux.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that does not end until SIGTERM or Ctrl-C cancels it."""

    async def until_stopped() -> None:
        task = asyncio.create_task(work)
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_stopped())


def is_taken(host: str, port: int) -> bool:
    """Whether the port is in use, or this process may not listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return different ports that are free at this moment.

    Not those that the system gives to outgoing connections: one of these might take a port before
    the caller does.

    Raises:
        OSError: If too few ports are free.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.SystemRandom().sample(_LISTENING_PORTS, len(_LISTENING_PORTS)):
            if len(ports) == count:
                return ports
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server((host, port)))
                ports.append(port)
    raise OSError(f"fewer than {count} ports are free on {host}")


class Child:
    """A process in a separate session, so that Ctrl-C reaches only its parent."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        logs: Path,
        inherited: int,
    ) -> Self:
        """Start `command`. Its output goes to `<logs>/<name>.log`; the previous log is kept."""
        log = logs / f"{name}.log"
        with contextlib.suppress(FileNotFoundError):
            log.replace(log.with_suffix(".previous.log"))
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(inherited,),
                preexec_fn=partial(end_with, os.getpid()),
            )
        return cls(name, process, log)

    def end_of_log(self, lines: int = 15) -> str:
        """Return the end of its log, indented."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(f"    {line}" for line in text)

    async def stop(self, seconds: float) -> None:
        """Terminate it; after `seconds`, kill it and all its children. May be repeated."""
        if self.process.returncode is None:
            self.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), seconds)
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """Kill it and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class Children:
    """The processes of one stack: started in order, stopped in reverse.

    Each has the environment `environ`, logs to a file with its name in `logs`, and inherits the
    file descriptor `lock`.
    """

    def __init__(self, environ: Mapping[str, str], logs: Path, lock: int) -> None:
        self._environ = environ
        self._logs = logs
        self._lock = lock
        self._children: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._first_to_end: asyncio.Future[Child] = asyncio.get_running_loop().create_future()

    async def start(self, name: str, command: Sequence[str], **environ: str) -> None:
        """Start a process that must run until `stop`, with additional environment variables."""
        child = await self._start(name, command, environ)
        self._watchers.append(asyncio.create_task(self._watch(child)))

    async def run(self, name: str, command: Sequence[str], **environ: str) -> None:
        """Start a process, and wait until it ends.

        Raises:
            ProcessFailed: If its exit code is not 0.
        """
        child = await self._start(name, command, environ)
        if await child.process.wait() != 0:
            raise ProcessFailed(_failure(child))

    async def watch(self) -> Never:
        """Run until any process of `start` ends.

        Raises:
            ProcessFailed: When one ends, with the end of its log.
        """
        raise ProcessFailed(_failure(await asyncio.shield(self._first_to_end)))

    async def stop(self, seconds: float = 10) -> None:
        """Stop all in reverse order, each within `seconds`."""
        for watcher in self._watchers:
            watcher.cancel()
        for child in reversed(self._children):
            await child.stop(seconds)

    def pids(self) -> dict[str, int]:
        """Return the process id of each running process by its name."""
        running = [each for each in self._children if each.process.returncode is None]
        return {each.name: each.process.pid for each in running}

    def kill(self) -> None:
        """Kill all; a running `stop` then returns."""
        for child in self._children:
            child.kill()

    async def _start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
        child = await Child.start(
            name,
            command,
            environ={**self._environ, **environ},
            logs=self._logs,
            inherited=self._lock,
        )
        self._children.append(child)
        return child

    async def _watch(self, child: Child) -> None:
        await child.process.wait()
        if not self._first_to_end.done():
            self._first_to_end.set_result(child)


def _failure(child: Child) -> str:
    how = f"{child.name} ended with {child.process.returncode}; its log is {child.log}"
    return f"{how}\n{child.end_of_log()}"
