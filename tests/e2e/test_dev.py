"""`orders dev`: everything up, reachable as printed, and gone without a trace."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from orders.entrypoints.server.child_processes import is_taken
from tests.support.processes.orders_process import Unread

BARE = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}


def orders(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orders", *arguments]


@contextmanager
def stack(data: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running stack, and what it printed until it was up."""
    command = orders("dev", "--port", "0", "--data", str(data), *arguments)
    with subprocess.Popen(command, env=BARE, stdout=subprocess.PIPE, text=True) as dev:
        assert dev.stdout is not None
        try:
            printed = ""
            for line in dev.stdout:
                printed += line
                if line.startswith("Ctrl-C"):
                    break
            yield dev, printed
        finally:
            dev.terminate()


def ready(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / "ready.json").read_text())
    return found


def nobody_listens(addresses: dict[str, Any]) -> bool:
    ports = re.findall(r"127.0.0.1:([0-9]+)", json.dumps(list(addresses.values())))
    return not any(is_taken("127.0.0.1", int(port)) for port in ports)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_printed_works_when_pasted(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl to paste to")
    file = tmp_path / "addresses.json"
    with stack(tmp_path / "data", "--ready-file", str(file)) as (dev, printed):
        addresses = json.loads(file.read_text())
        assert addresses == ready(tmp_path / "data")
        assert httpx.get(f"{addresses['api']}/readyz").status_code == 200

        request = printed[printed.index("curl ") : printed.index("Ctrl-C")]
        answer = subprocess.run(
            ["sh", "-c", request], capture_output=True, text=True, check=True
        ).stdout
        head, _, body = answer.partition("\n\n")
        assert head.startswith("HTTP/1.1 201")
        order = json.loads(body)
        assert (order["status"], order["payment_status"]) == ("confirmed", "paid")
        assert order["totals"]["due"] == 2 * 1250

        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0
    assert nobody_listens(addresses)
    assert not (tmp_path / "data" / "ready.json").exists()


def test_it_starts_and_ends_though_nobody_reads_what_it_says(tmp_path: Path) -> None:
    unread = Unread(full=True)
    command = orders("dev", "--port", "0", "--data", str(tmp_path))
    with subprocess.Popen(command, env=BARE, stdout=unread.writer, stderr=unread.writer) as dev:
        give_up_at = time.monotonic() + 90
        while not (tmp_path / "ready.json").exists():
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        addresses = ready(tmp_path)
        assert unread.is_full()
        dev.terminate()
        assert dev.wait(60) == 0
    assert nobody_listens(addresses)


def test_data_and_secrets_outlive_a_kill(tmp_path: Path) -> None:
    with stack(tmp_path) as (dev, _):
        before = ready(tmp_path)
        order = place(before["api"], before["token"])
        dev.kill()
        dev.wait()
    with stack(tmp_path) as (dev, _):
        after = ready(tmp_path)
        found = httpx.get(
            f"{after['api']}{order}", headers={"Authorization": f"Bearer {before['token']}"}
        )
        assert found.status_code == 200
        assert nobody_listens({"api": before["api"], "payments": before["payments"]})
    for secret in ("issuer-key.pem", "payment-token", "webhook-secret"):
        assert mode(tmp_path / secret) == 0o600
    assert mode(tmp_path) == 0o700


def place(api: str, token: str) -> str:
    placed = httpx.post(
        f"{api}/v1/orders",
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "one"},
        json={
            "currency": "GBP",
            "lines": [{"sku": "MUG-RED", "name": "Mug, red", "quantity": 1}],
        },
    )
    assert placed.status_code == 201
    return httpx.URL(placed.headers["Location"]).path


def test_the_end_of_one_part_ends_all_and_is_told(tmp_path: Path) -> None:
    with stack(tmp_path) as (dev, _):
        addresses = ready(tmp_path)
        os.kill(addresses["pids"]["sandbox"], signal.SIGKILL)
        assert dev.wait(60) == 1
    assert nobody_listens(addresses)


def test_a_second_stack_keeps_away_from_the_data(tmp_path: Path) -> None:
    with stack(tmp_path) as (dev, _):
        second = run("dev", "--port", "0", "--data", str(tmp_path))
        assert second.returncode == 1
        assert second.stderr == (
            f"orders: {tmp_path} is in use by another `orders dev` ({dev.pid})\n"
        )
        assert httpx.get(f"{ready(tmp_path)['api']}/livez").status_code == 200


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = run("dev", "--port", str(port), "--data", str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"orders: port {port} on 127.0.0.1 is in use (api): try another --port\n"
    )
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_token_needs_no_running_stack(tmp_path: Path) -> None:
    made = run("token", "--sub", "ada", "--role", "customer", "--data", str(tmp_path))
    assert made.returncode == 0
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", made.stdout)
    assert made.stderr == ""


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        (("--role", "customer"), "orders:read orders:write"),
        (("--role", "customer", "--scope", "orders:read"), "orders:read"),
        (("--role", "customer", "--scope", "a", "--scope", "b"), "a b"),
        (("--role", "customer", "--scope"), None),
        (("--role", "integrator"), None),
        (("--role", "integrator", "--scope", "events:read"), "events:read"),
    ],
)
def test_a_token_has_its_roles_scopes_unless_others_are_named(
    tmp_path: Path, asked: tuple[str, ...], scope: str | None
) -> None:
    made = run("token", "--sub", "ada", *asked, "--data", str(tmp_path))
    claims = jwt.decode(made.stdout.strip(), options={"verify_signature": False})
    assert claims.get("scope") == scope


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        orders(*arguments), env=BARE, capture_output=True, text=True, check=False, timeout=60
    )
