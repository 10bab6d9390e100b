"""`orders replay` against the real stack: all placed once, all money accounted for."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_dev import BARE, orders, ready, stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "day.csv"
SALES = 18
SOLD = 997_960
HEAD = EXAMPLE.read_text().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant of its own in the running stack: what others replay does not touch it."""

    data: Path
    tenant: str

    @property
    def api(self) -> str:
        return str(ready(self.data)["api"])

    @property
    def payments(self) -> str:
        return str(ready(self.data)["payments"])

    def token(self, role: str = "admin") -> str:
        command = orders("token", "--sub", "import", "--role", role, "--tenant", self.tenant)
        made = subprocess.run(
            [*command, "--data", str(self.data)],
            env=BARE,
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    def command(self, file: Path) -> list[str]:
        return orders("replay", str(file), "--data", str(self.data), "--token", self.token())

    def replay(self, file: Path) -> subprocess.CompletedProcess[str]:
        return run(self.command(file))

    def orders(self, token: str | None = None) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{self.api}/v1/orders?limit=100",
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=60,
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=BARE, capture_output=True, text=True, check=False, timeout=120
    )


def count_of(fate: str, printed: str) -> int:
    """The number next to a fate, over all its reasons."""
    return sum(map(int, re.findall(rf"^ *{fate}(?::.*?)?  +(\d+)\b", printed, re.MULTILINE)))


def amounts_of(name: str, printed: str) -> list[str]:
    found = re.search(rf"^ *{name} +(\S+) +(\S+) +(\S+) *$", printed, re.MULTILINE)
    assert found is not None, printed
    return list(found.groups())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("replay")
    with stack(data):
        yield data


@pytest.fixture
def shop(running: Path, request: pytest.FixtureRequest) -> Shop:
    return Shop(running, re.sub(r"\W", "-", request.node.name)[:60])


def test_a_day_is_carried_out_once_and_accounted_for_to_the_penny(shop: Shop) -> None:
    first = shop.replay(EXAMPLE)
    assert first.returncode == 0, first.stderr
    assert {fate: count_of(fate, first.stdout) for fate in ("placed", "replayed", "refused")} == {
        "placed": SALES,
        "replayed": 0,
        "refused": 3,
    }
    assert count_of("returned and refunded", first.stdout) == 3
    assert count_of("fits no order", first.stdout) == 3
    assert amounts_of("captured", first.stdout) == ["9,979.60", "9,979.60", "0.00"]
    assert amounts_of("refunded", first.stdout) == ["143.10", "143.10", "0.00"]
    assert amounts_of("net", first.stdout) == ["9,836.50", "9,836.50", "0.00"]
    assert re.search(
        r"^18 orders in [\d.]+ s: [\d.]+ orders per second$", first.stdout, re.MULTILINE
    )
    assert "\x1b" not in first.stdout + first.stderr
    assert "\r" not in first.stdout + first.stderr

    placed = shop.orders()
    assert {order["status"] for order in placed} == {"completed"}
    assert len(max((order["lines"] for order in placed), key=len)) == 120
    assert sum(order["totals"]["captured"] for order in placed) == SOLD

    second = shop.replay(EXAMPLE)
    assert second.returncode == 0, second.stderr
    assert count_of("placed", second.stdout) == 0
    assert count_of("replayed", second.stdout) == SALES
    assert count_of("returned and refunded", second.stdout) == 0
    assert count_of("returned by an earlier run", second.stdout) == 3
    assert amounts_of("net", second.stdout) == ["9,836.50", "9,836.50", "0.00"]
    assert shop.orders() == placed


def test_a_killed_run_is_finished_by_the_next(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    rows = [f"8{n:05},41001,BOARD,2,2024-05-13 08:05:00,4.25,{n},EIRE" for n in range(40)]
    file.write_text("\n".join([HEAD, *rows, ""]))
    token = shop.token()
    with subprocess.Popen(shop.command(file), env=BARE, stdout=subprocess.DEVNULL) as killed:
        while len(shop.orders(token)) < 5:
            assert killed.poll() is None
        killed.kill()
    begun = shop.orders(token)
    assert 5 <= len(begun) < 40

    after = shop.replay(file)
    assert after.returncode == 0, after.stderr
    assert count_of("replayed", after.stdout) >= len(begun)
    assert count_of("placed", after.stdout) + count_of("replayed", after.stdout) == 40
    assert amounts_of("net", after.stdout) == ["340.00", "340.00", "0.00"]
    assert {order["status"] for order in shop.orders(token)} == {"completed"}


def test_money_the_orders_know_nothing_of_is_found(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    rows = [f"{n},41001,BOARD,2,2024-05-13 08:05:00,4.25,{n},EIRE" for n in (900001, 900002)]
    file.write_text("\n".join([HEAD, *rows, ""]))
    assert shop.replay(file).returncode == 0
    (wronged,) = (o for o in shop.orders() if o["external_reference"] == "900002")
    charge_twice(shop, wronged["id"])

    after = shop.replay(file)
    assert after.returncode == 1
    assert after.stderr == "orders: orders and ledger differ: 900002\n"
    assert amounts_of("captured", after.stdout) == ["17.00", "25.50", "-8.50"]


def charge_twice(shop: Shop, order_id: str) -> None:
    credential = (shop.data / "payment-token").read_text()
    reference = f"{order_id}:99"
    charged = httpx.post(
        f"{shop.payments}/v1/payments",
        headers={"Authorization": f"Bearer {credential}", "Idempotency-Key": reference},
        json={
            "reference": reference,
            "amount": 850,
            "currency": "GBP",
            "method": "tok_ok",
            "capture": True,
        },
    )
    assert charged.status_code == 201


def test_a_terminal_shows_how_far_it_is(shop: Shop) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        shop.command(EXAMPLE), env=BARE | {"TERM": "xterm"}, stdout=theirs
    ) as seen:
        os.close(theirs)
        printed = b""
        try:
            while block := os.read(ours, 4096):
                printed += block
        except OSError:  # how Linux tells that nobody writes to a terminal any more
            pass
        finally:
            os.close(ours)
    assert seen.returncode == 0
    assert b"\x1b[" in printed
    assert b"24/24" in printed


def test_a_refused_token_is_told_in_one_line(shop: Shop) -> None:
    command = orders("replay", str(EXAMPLE), "--url", shop.api, "--token", "abc")
    refused = run(command)
    assert refused.returncode == 1
    assert re.fullmatch(r"orders: the API refuses the token: .+\n", refused.stderr)


def test_a_token_that_may_not_place_is_told_in_one_line(shop: Shop) -> None:
    command = orders("replay", str(EXAMPLE), "--url", shop.api, "--token", shop.token("auditor"))
    refused = run(command)
    assert refused.returncode == 1
    assert re.fullmatch(r"orders: the API refuses the token: .*place\n", refused.stderr)


def test_an_absent_api_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    absent = run(orders("replay", str(EXAMPLE), "--url", url, "--token", "abc"))
    assert absent.returncode == 1
    assert absent.stderr == (f"orders: the API at {url} does not answer: no connection\n")


def test_a_file_without_a_column_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("InvoiceNo,StockCode\n1,2\n")
    refused = run(orders("replay", str(file), "--url", "http://127.0.0.1:9", "--token", "abc"))
    assert refused.returncode == 2
    assert refused.stderr == (
        f"orders: {file} has no column Description, Quantity, InvoiceDate, UnitPrice, "
        "CustomerID, Country\n"
    )
    assert refused.stdout == ""
