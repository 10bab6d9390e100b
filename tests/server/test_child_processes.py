"""Child processes: none outlives us, none dies unseen, data outlives them all."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from orders.entrypoints.sandbox.database import answers_ping, database_uri, embedded_database
from orders.entrypoints.server.child_processes import Children, ProcessFailed, free_ports, is_taken

Pipe = tuple[socket.socket, socket.socket]

# Starts a process that is to end with it, says so, and waits to be killed.
PARENT = """
import os, signal, subprocess, sys
from functools import partial
from orders.entrypoints.server.child_processes import end_with
subprocess.Popen(
    [sys.executable, "-c", "print('up', flush=True); import signal; signal.pause()"],
    start_new_session=True, preexec_fn=partial(end_with, os.getpid()),
)
signal.pause()
"""
# Writes to the inherited file once it is up, and again when it is told to end.
SAYS_ITS_END = """
import os, signal, sys
held, name = int(sys.argv[1]), sys.argv[2].encode()
def end(*_):
    os.write(held, name + b"\\n")
    raise SystemExit
signal.signal(signal.SIGTERM, end)
os.write(held, b"up\\n")
while True:
    signal.pause()
"""
STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(int(sys.argv[1]), b"up\\n")
while True:
    signal.pause()
"""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """What children inherit, as a pipe: they write, we read, and its end is the end of them all."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
async def children(tmp_path: Path, pipe: Pipe) -> AsyncIterator[Children]:
    children = Children(os.environ, tmp_path, lock=pipe[1].fileno())
    yield children
    await children.stop()


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


async def said(pipe: Pipe) -> str:
    return (await asyncio.wait_for(asyncio.to_thread(pipe[0].recv, 100), 60)).decode().strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(python(PARENT), stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    parent.kill()
    parent.wait()
    # Its child held the pipe as well: the end of it is the end of both.
    assert parent.stdout.read() == b""
    parent.stdout.close()


async def test_children_stop_in_reverse_order(children: Children, pipe: Pipe) -> None:
    for name in ("first", "second", "third"):
        await children.start(name, python(SAYS_ITS_END, str(pipe[1].fileno()), name))
        assert await said(pipe) == "up"
    await children.stop()
    assert (await said(pipe)).split() == ["third", "second", "first"]


async def test_a_child_that_ends_is_reported_with_its_last_words(children: Children) -> None:
    await children.start("steady", python("import signal; signal.pause()"))
    await children.start("frail", python("raise SystemExit('out of luck')"))
    with pytest.raises(ProcessFailed, match=r"frail ended with 1.*\n +out of luck"):
        await asyncio.wait_for(children.watch(), 60)


async def test_a_child_that_ends_well_before_its_time_is_reported_too(children: Children) -> None:
    await children.start("early", python("pass"))
    with pytest.raises(ProcessFailed, match="early ended with 0"):
        await asyncio.wait_for(children.watch(), 60)


async def test_a_task_may_end_but_not_fail(children: Children) -> None:
    await children.run("task", python("pass"))
    with pytest.raises(ProcessFailed, match="task ended with 3"):
        await children.run("task", python("raise SystemExit(3)"))


async def test_a_child_that_ignores_us_is_killed(children: Children, pipe: Pipe) -> None:
    await children.start("stubborn", python(STUBBORN, str(pipe[1].fileno())))
    assert await said(pipe) == "up"
    await asyncio.wait_for(children.stop(seconds=0.05), 60)
    pipe[1].close()
    assert await said(pipe) == ""  # nobody else holds it


async def test_the_log_of_the_run_before_is_kept(children: Children, tmp_path: Path) -> None:
    await children.run("task", python("print('one')"))
    await children.run("task", python("print('two')"))
    assert (tmp_path / "task.log").read_text() == "two\n"
    assert (tmp_path / "task.previous.log").read_text() == "one\n"


def test_a_port_in_use_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert is_taken("127.0.0.1", server.getsockname()[1])
    first, second = free_ports(2)
    assert {first, second} <= {*range(20_000, 32_000)}, "an outgoing connection may take it first"
    assert first != second
    assert not is_taken("127.0.0.1", first)


def test_the_database_keeps_its_data_and_leaves_nothing_running(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with embedded_database(tmp_path / "data", port) as uri, _client(uri) as client:
        client.shop.orders.insert_one({"_id": 1, "paid": True})
    assert not answers_ping(uri)
    assert not is_taken("127.0.0.1", port)
    with embedded_database(tmp_path / "data") as uri, _client(uri) as client:
        assert client.shop.orders.find_one({"_id": 1}) == {"_id": 1, "paid": True}


def test_the_database_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            pytest.raises(ProcessFailed, match=f"port {port} on 127.0.0.1 is in use"),
            embedded_database(tmp_path / "data", port),
        ):
            pass
    assert not answers_ping(database_uri(port))


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri)
