"""The processes that serve: how they end, and with what."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orders.entrypoints.server.child_processes import free_ports
from tests.support.served_api import Line

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
def serving(build: str = "") -> Iterator[tuple[Serving, int]]:
    """A server of two workers that do `build` before they serve, and its port."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(port), build],
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
