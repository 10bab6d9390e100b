"""The processes that serve: how they end, and with what."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest

from orders.entrypoints.sandbox.stack import accepts
from orders.entrypoints.server.child_processes import free_ports
from orders.entrypoints.server.serve import server_config
from orders.entrypoints.server.supervisor import STOP
from tests.support.api import a_body
from tests.support.observed_api import an_app
from tests.support.processes.freezing import freeze
from tests.support.processes.service import eventually
from tests.support.served_api import Line, served
from tests.support.shop import Shop

# Serves an application that takes as many seconds as its path says, or for as long as the file of
# that name is there, and says when it ends.
SERVING = """
import asyncio, os, sys, time
from types import SimpleNamespace
from orders.entrypoints.http.middleware.overload import OverloadProtection
from orders.entrypoints.server.serve import serve
from orders.entrypoints.settings.table import Settings
from orders.entrypoints.admission import AdmissionQueue

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
            os.write(1, f"{event}\\n".encode())
        return
    print("at work", flush=True)
    if os.path.isfile(scope["path"]):
        while os.path.isfile(scope["path"]):
            await asyncio.sleep(0.01)
    else:
        await asyncio.sleep(float(scope["path"][1:]))
    fields = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body"})

def build(settings, is_draining):
    exec(sys.argv[2])
    return app

overload = OverloadProtection(app, AdmissionQueue(9, 9), request_seconds=10)
app.state = SimpleNamespace(overload=overload)
exec(sys.argv[3])
serve(
    Settings.read({
        "ORDERS_MONGO_URI": "mongodb://127.0.0.1:1", "ORDERS_PAYMENT_URL": "http://127.0.0.1:1",
        "ORDERS_PAYMENT_WEBHOOK_SECRET": "whsec_" + "A" * 44, "ORDERS_ISSUER": "issuer",
        "ORDERS_AUDIENCE": "orders", "ORDERS_JWKS_URL": "http://127.0.0.1:1/jwks",
        "ORDERS_PORT": sys.argv[1], "ORDERS_METRICS_PORT": "0", "ORDERS_DRAIN_SECONDS": "0",
        "ORDERS_WORKERS": "2",
    }),
    build,
)
"""
Serving = subprocess.Popen[str]


@contextmanager
def serving(build: str = "", start: str = "") -> Iterator[tuple[Serving, int]]:
    """A server of two workers, and its port: it runs `start` first, each worker runs `build`."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(port), build, start],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process, port
        finally:
            process.kill()


def heard(process: Serving, said: str, times: int = 1) -> None:
    """Wait until the workers have said it so many times."""
    assert process.stdout is not None
    for _ in range(times):
        assert process.stdout.readline() == f"{said}\n"


@contextmanager
def working(path: bytes = b"/1") -> Iterator[tuple[Serving, Line]]:
    """A server that works for this caller, as long as the path says."""
    with serving() as (process, port):
        heard(process, "startup", 2)
        with Line(port) as line:
            line.say(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            heard(process, "at work")
            yield process, line


def ended(process: Serving) -> tuple[int, str]:
    """Its exit code, and what else it said, once it has ended by itself."""
    said, _ = process.communicate(timeout=30)
    return process.returncode, said


def test_ctrl_c_reaches_all_processes_and_they_finish_what_they_do() -> None:
    with working() as (process, line):
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.1)  # until it was heard
        assert line.hear()[0] == 200
        assert ended(process) == (0, "shutdown\n" * 2)


def test_whoever_says_it_again_and_again_hears_no_error() -> None:
    with working() as (process, line):
        for _ in range(4):
            process.terminate()
            time.sleep(0.1)  # until it was heard
        assert line.hear()[0] == 200
        assert ended(process) == (0, "shutdown\n" * 2)


def test_workers_that_never_serve_are_not_started_for_ever() -> None:
    """Also where it takes them long to find out."""
    with serving("time.sleep(3.5); raise SystemExit(7)") as (process, _):
        assert ended(process)[0] == 1


def test_a_signal_to_stop_waits_for_no_replacement(tmp_path: Path) -> None:
    (unfinished := tmp_path / "unfinished").touch()
    with working(bytes(unfinished)) as (process, line):
        process.send_signal(signal.SIGHUP)
        heard(process, "startup", 2)
        heard(process, "shutdown")  # of the one that does nothing
        process.terminate()
        heard(process, "shutdown", 2)  # of those that have come
        assert not select.select([line.socket], [], [], 0)[0]
        unfinished.unlink()
        assert line.hear()[0] == 200
        assert ended(process) == (0, "shutdown\n")


def workers_of(process: Serving) -> list[int]:
    """The process ids of its workers."""
    return [
        int(each)
        for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


def is_asked_to_stop(pid: int) -> bool:
    """Whether a process that is frozen will find the signal."""
    (pending,) = re.findall(
        r"^ShdPnd:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    return bool(int(pending, 16) & 1 << STOP - 1)


def test_what_has_arrived_when_the_server_stops_is_answered() -> None:
    """On kept connections, and on connections that no worker has accepted yet."""
    request = b"POST /0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with serving() as (process, port), ExitStack() as stack:
        heard(process, "startup", 2)
        kept = [stack.enter_context(Line(port)) for _ in range(16)]
        for line in kept:
            line.say(request)
            assert line.hear()[0] == 200
        for pid in workers_of(process):
            freeze(pid)
        fresh = [stack.enter_context(Line(port)) for _ in range(16)]
        for line in (*kept, *fresh):
            line.say(request)
        process.terminate()
        for pid in workers_of(process):
            eventually(partial(is_asked_to_stop, pid))
            os.kill(pid, signal.SIGCONT)
        for line in (*kept, *fresh):
            assert line.hear()[0] == 200
            assert line.is_closed()
        assert ended(process)[0] == 0


def test_no_connection_is_taken_that_nobody_will_serve(tmp_path: Path) -> None:
    (unfinished := tmp_path / "unfinished").touch()
    with working(bytes(unfinished)) as (process, line):
        process.terminate()
        port = line.socket.getpeername()[1]
        eventually(lambda: not accepts(port), 10)
        unfinished.unlink()
        assert line.hear()[0] == 200
        assert ended(process)[0] == 0


UNTESTED = """
from importlib import metadata
installed = metadata.version
metadata.version = lambda name: "0.55.1" if name == "uvicorn" else installed(name)
"""


def test_an_untested_version_of_uvicorn_runs_without_our_protocol() -> None:
    with serving(start=UNTESTED) as (process, port):
        assert process.stdout is not None
        warning = json.loads(process.stdout.readline())
        assert warning["level"] == "warning"
        assert "not with uvicorn 0.55.1: a slow request head" in warning["event"]
        heard(process, "startup", 2)
        with Line(port) as line:
            for _ in range(2):
                line.say(b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert line.hear()[0] == 200
            line.say(b"GET /0\r\n\r\n")
            malformed = line.read()
        assert malformed.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: text/plain" in malformed
        process.terminate()
        status, said = ended(process)
        assert (status, said.count("shutdown\n")) == (0, 2)


@pytest.mark.parametrize(
    ("package", "version", "is_tested"),
    [
        ("uvicorn", "0.54.9", True),
        ("uvicorn", "0.53.0", False),
        ("uvicorn", "0.540.0", False),
        ("httptools", "0.10.0", False),
        ("httptools", "0.9.3", True),
    ],
)
def test_only_tested_versions_get_our_protocol(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str, is_tested: bool
) -> None:
    versions = {"uvicorn": "0.54.0", "httptools": "0.9.0", package: version}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)
    config = server_config(None, None, lambda: False, end_within_seconds=1)  # type: ignore[arg-type]
    assert (config.http == "h11") is not is_tested


@pytest.mark.parametrize("offer", [b"", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"])
def test_stock_uvicorn_serves_the_api(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, offer: bytes
) -> None:
    monkeypatch.setattr(metadata, "version", {"uvicorn": "1.0", "httptools": "1.0"}.__getitem__)
    app, body = an_app(shop), json.dumps(a_body()).encode()
    with served(app, app.state.overload) as port, Line(port) as line:
        line.say(
            b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\n%b"
            b"Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (offer, len(body), body)
        )
        status, _, order = line.hear()
    assert (status, json.loads(order)["status"]) == (201, "pending")
