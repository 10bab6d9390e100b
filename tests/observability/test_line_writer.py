"""Lines of a log: whole, in order, and never waited for."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from orders.entrypoints.observability.line_writer import LINE_BYTES, LineWriter

Pipe = tuple[int, int]
PIPE_BYTES = 4_096
# From Python 3.12 on a process with threads is warned. The service forks with one, too.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe of one page."""
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ours, theirs
    for descriptor in (ours, theirs):
        with suppress(OSError):
            os.close(descriptor)


def lines(count: int, length: int = 100) -> list[bytes]:
    return [b"%06d %s\n" % (n, b"x" * (length - 8)) for n in range(count)]


def write_all(writer: LineWriter, some: list[bytes]) -> None:
    for line in some:
        writer.write(line)


def read(descriptor: int, size: int) -> bytes:
    """What comes until there is as much."""
    found = b""
    while len(found) < size:
        found += os.read(descriptor, size - len(found))
    return found


def test_a_line_is_there_as_soon_as_it_was_written(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    os.set_blocking(pipe[0], False)
    for line in lines(3):
        writer.write(line)
        assert os.read(pipe[0], 1_000) == line


def test_nobody_waits_for_a_reader_and_all_that_was_kept_comes_in_order(pipe: Pipe) -> None:
    """Also where a line finds a place that one before it waits for."""
    writer = LineWriter(pipe[1])
    some = lines(2_000)
    came = b""
    for line in some:
        writer.write(line)
        if line.startswith(b"0005"):
            came += os.read(pipe[0], 130)
    came += read(pipe[0], 200_000 - len(came))
    assert came == b"".join(some)
    writer.close(10)
    writer.write(b"at once again\n")
    assert os.read(pipe[0], 100) == b"at once again\n"
    assert writer.lost == 0


def test_what_is_beyond_the_bound_is_lost_counted_and_told_in_its_place(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], max_queued_bytes=10_000)
    some = lines(500)
    write_all(writer, some)
    kept = (PIPE_BYTES + 10_000) // 100
    assert kept - 2 <= 500 - writer.lost <= kept
    lost = writer.lost
    came = read(pipe[0], (500 - lost) * 100)
    assert came == b"".join(some[: 500 - lost])
    told = b"orders: %d lines were lost\n" % lost
    assert read(pipe[0], len(told)) == told
    writer.close(10)
    writer.write(b"more\n")
    assert os.read(pipe[0], 100) == b"more\n"
    assert writer.lost == lost


def test_closing_waits_for_a_reader_that_is_slow_but_not_for_one_that_is_gone(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1])
    write_all(writer, lines(100))
    began = time.monotonic()
    writer.close(0.1)
    assert 0.1 <= time.monotonic() - began < 5
    assert read(pipe[0], 10_000)
    writer.close(60)
    assert time.monotonic() - began < 30


def test_a_reader_that_has_gone_away_costs_its_lines_only(tmp_path: Path) -> None:
    """As with a named pipe, whose reader may come back."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    held = os.open(tmp_path / "log", os.O_WRONLY)
    writer = LineWriter(held)
    write_all(writer, lines(2_000))  # more than fits: the thread is at it
    os.close(reader)
    writer.close(30)
    write_all(writer, lines(3))
    lost = writer.lost
    assert 1_000 < lost < 2_000
    reader = os.open(tmp_path / "log", os.O_RDONLY)
    writer.write(b"welcome back\n")
    told = b"welcome back\norders: %d lines were lost\n" % lost
    came = read(reader, (2_003 - lost) * 100 + len(told))
    assert came == b"".join(lines(2_003 - lost)) + told
    os.close(reader)
    os.close(held)


@forks
@pytest.mark.parametrize("length", [50, LINE_BYTES])
def test_lines_of_several_processes_are_whole(pipe: Pipe, length: int) -> None:
    """Also those that had to wait, and whose place a shorter one might have found first."""
    children = [forked(partial(write_some, pipe[1], name, length)) for name in (b"a", b"b", b"c")]
    os.close(pipe[1])
    came = b""
    while part := os.read(pipe[0], 333):
        came += part
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    found = came.splitlines(keepends=True)
    assert sorted(found) == sorted(
        line for name in (b"a", b"b", b"c") for line in some_lines(name, length)
    )


def some_lines(name: bytes, length: int) -> list[bytes]:
    return [name * (length - 1) + b"\n", name * 20 + b"\n"] * 25


def write_some(descriptor: int, name: bytes, length: int) -> None:
    writer = LineWriter(descriptor)
    write_all(writer, some_lines(name, length))
    writer.close(60)


def forked(work: Callable[[], None]) -> int:
    """A child that does this, and ends with 0."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


@forks
def test_a_forked_child_writes_what_is_its_own_and_its_parent_the_rest(pipe: Pipe) -> None:
    writer = LineWriter(pipe[1], max_queued_bytes=8_000)
    some = lines(200)
    write_all(writer, some)
    lost = writer.lost

    def child() -> None:
        assert writer.lost == 0
        writer.write(b"of the child\n")
        writer.close(60)

    process = forked(child)
    kept = read(pipe[0], (200 - lost) * 100)
    writer.close(60)
    rest = os.read(pipe[0], 1_000)
    assert os.waitpid(process, 0)[1] == 0
    rest += os.read(pipe[0], 1_000) if rest.count(b"\n") < 2 else b""
    came = (kept + rest).splitlines(keepends=True)
    told = b"orders: %d lines were lost\n" % lost
    assert sorted(came) == sorted([*some[: 200 - lost], told, b"of the child\n"])


def test_no_flag_is_set_on_what_others_share(pipe: Pipe) -> None:
    ours, theirs = socket.socketpair()
    master, slave = pty.openpty()
    for descriptor in (pipe[1], theirs.fileno(), slave):
        before = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        writer = LineWriter(descriptor)
        write_all(writer, lines(3_000))
        assert writer.lost or descriptor != pipe[1]
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == before
        assert os.get_blocking(descriptor)
    ours.close()
    theirs.close()
    os.close(master)
    os.close(slave)


def test_a_socket_is_written_without_waiting() -> None:
    """As the journal of systemd gives one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = LineWriter(theirs.fileno(), max_queued_bytes=10_000)
        some = lines(10_000)
        write_all(writer, some)
        assert 0 < writer.lost < 10_000
        came = b""
        while b"lost" not in came:
            came += ours.recv(65_536)
        assert came == b"".join(some[: 10_000 - writer.lost]) + (
            b"orders: %d lines were lost\n" % writer.lost
        )


def test_a_terminal_whose_output_is_held_is_not_waited_for() -> None:
    """Ctrl-S."""
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    writer = LineWriter(slave)
    write_all(writer, lines(10))
    termios.tcflow(slave, termios.TCOON)
    assert read(master, 10).startswith(b"000000")
    os.close(master)
    os.close(slave)


def test_a_file_has_every_line_of_all_who_share_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file.fileno())
        writer.write(b"first\n")
        os.write(file.fileno(), b"of somebody else\n")
        writer.write(b"last\n")
    assert (tmp_path / "log").read_bytes() == b"first\nof somebody else\nlast\n"


def test_a_full_disk_is_counted() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(full)
    write_all(writer, lines(3))
    assert writer.lost == 3
    os.close(full)


def test_where_nothing_can_be_opened_a_thread_waits(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    writer = LineWriter(pipe[1], max_queued_bytes=10_000)
    monkeypatch.undo()
    os.write(pipe[1], b"-" * PIPE_BYTES)
    some = lines(500)
    write_all(writer, some)
    assert writer.lost == 400
    told = b"orders: 400 lines were lost\n"
    assert read(pipe[0], PIPE_BYTES) == b"-" * PIPE_BYTES
    assert read(pipe[0], 10_000 + len(told)) == b"".join(some[:100]) + told
    writer.write(b"more\n")
    assert read(pipe[0], 5) == b"more\n"
    assert os.get_blocking(pipe[1])


def test_a_line_may_come_while_a_line_is_written(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the garbage collector destroys may log, within whatever is being done."""
    writer = LineWriter(pipe[1])
    send, inner = writer._send, [b"inner\n"]

    def interrupted(line: bytes) -> int:
        if inner:
            writer.write(inner.pop())
        return send(line)

    monkeypatch.setattr(writer, "_send", interrupted)
    writer.write(b"outer\n")
    assert os.read(pipe[0], 100) == b"inner\nouter\n"


def test_its_thread_hears_no_signal(pipe: Pipe) -> None:
    """They wait for whoever asks for them, as the supervisor does."""
    writer = LineWriter(pipe[1])
    write_all(writer, lines(100))
    assert writer._thread is not None
    status = Path(f"/proc/self/task/{writer._thread.native_id}/status").read_text()
    (blocked,) = (line for line in status.splitlines() if line.startswith("SigBlk"))
    assert int(blocked.split()[1], 16) & (1 << (signal.SIGTERM - 1))
