"""Processes whose standard error nobody reads go on, and end in time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orders.entrypoints.server.child_processes import free_ports
from tests.support.processes.orders_process import counted, environment, get, running

LOST = "orders_log_lines_lost_total"
END_SECONDS = 60


def ended(process: subprocess.Popen[bytes]) -> int:
    """How it ends when it is told to."""
    process.send_signal(signal.SIGTERM)
    return process.wait(END_SECONDS)


def lost_of(port: int, *, at_least: int) -> int:
    """The published number of lost lines, which is told twice a second."""
    give_up_at = time.monotonic() + END_SECONDS
    while (lost := counted(get(port, "/metrics")[1], LOST)) < at_least:
        assert time.monotonic() < give_up_at, lost
        time.sleep(0.05)
    return int(lost)


def reported(lines: list[bytes]) -> int:
    """How many lines are told to be lost; all that came are whole."""
    events = [json.loads(line)["event"] for line in lines]
    return sum(int(event.split()[0]) for event in events if " lines were lost" in event)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_go_on_and_what_is_lost_is_counted_and_told(workers: int) -> None:
    port, metrics_port = free_ports(2)
    settings = {"ORDERS_PORT": str(port), "ORDERS_METRICS_PORT": str(metrics_port)}
    with running("serve", "--workers", str(workers), settings=settings) as (process, unread):
        while counted(get(metrics_port, "/metrics")[1], LOST) <= 100:
            for _ in range(100):
                assert get(port, "/v1/orders")[0] in {401, 429}
                assert get(port, "/schema/openapi.json")[0] == 200
        assert unread.is_full()
        assert get(port, "/livez") == (200, '{"status":"ok"}')
        assert lost_of(metrics_port, at_least=100) > 100
        lines = unread.lines(until=b" lines were lost")
        assert len(lines) > 500
        while reported(lines) < (lost := lost_of(metrics_port, at_least=reported(lines))):
            lines += unread.lines(until=b" lines were lost")
        assert ended(process) == 0
        assert reported([*lines, *unread.lines()]) == lost


@pytest.mark.parametrize("command", ["serve", "worker", "sandbox"])
def test_it_starts_and_ends_though_nobody_ever_reads(command: str, tmp_path: Path) -> None:
    port, metrics_port, issuer_port = free_ports(3)
    ours = {"ORDERS_PORT": str(port), "ORDERS_METRICS_PORT": str(metrics_port)}
    arguments = {
        "sandbox": ("--payments-port", str(port), "--issuer-port", str(issuer_port)),
    }.get(command, ())
    data = ("--data", str(tmp_path)) if command == "sandbox" else ()
    with running(command, *arguments, *data, settings=ours, full=True) as (process, unread):
        asked = {"serve": (port, "/livez"), "worker": (metrics_port, "/metrics")}
        assert get(*asked.get(command, (issuer_port, "/.well-known/jwks.json")))[0] == 200
        assert unread.is_full()
        assert ended(process) == 0


def test_a_command_that_cannot_start_ends_though_nobody_reads_why() -> None:
    with running("serve", settings={"ORDERS_PORT": "http"}, full=True) as (process, unread):
        assert process.wait(END_SECONDS) == 2
        assert unread.is_full()


def test_without_a_standard_error_all_is_as_usual() -> None:
    """Neither is the file that has its number a log."""
    (port,) = free_ports(1)
    shell = ["sh", "-c", 'exec "$0" -m orders serve 2>&-', sys.executable]
    with subprocess.Popen(shell, env=environment({"ORDERS_PORT": str(port)})) as process:
        try:
            assert get(port, "/v1/orders")[0] == 401
            assert ended(process) == 0
        finally:
            process.kill()
