"""The sandbox's money survives the death of its process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = """
import asyncio
import sys
from pathlib import Path

from aiohttp import web

from orders.entrypoints.sandbox.payment_service.app import create_app


async def main():
    runner = web.AppRunner(create_app(data_dir=Path(sys.argv[1])), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
"""


@asynccontextmanager
async def process(directory: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The sandbox as a process of its own, on a free port."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(directory), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        port = int(await asyncio.wait_for(child.stdout.readline(), 60))
        yield f"http://127.0.0.1:{port}", child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def pay(session: aiohttp.ClientSession, url: str, number: int, method: str) -> int:
    body = {
        "reference": f"order:{number}",
        "amount": 100 + number,
        "currency": "EUR",
        "method": method,
        "capture": True,
    }
    headers = {"Idempotency-Key": f"order:{number}"}
    async with session.post(f"{url}/v1/payments", json=body, headers=headers) as answer:
        return answer.status


async def ledger(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/ledger") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with process(tmp_path) as (url, child):
            assert [await pay(session, url, n, "tok_ok") for n in range(20)] == [201] * 20
            before = await ledger(session, url)
            child.send_signal(signal.SIGKILL)
            assert await child.wait() == -signal.SIGKILL

        async with process(tmp_path) as (url, _):
            assert await ledger(session, url) == before
            assert before["totals"] == {"EUR": {"authorization": 2190, "capture": 2190}}
            # Asked again under the same keys, nothing more is taken.
            assert [await pay(session, url, n, "tok_ok") for n in range(20)] == [201] * 20
            after = await ledger(session, url)
            assert after["totals"] == before["totals"]
            assert set(after["calls"].values()) == {2}


async def test_a_kill_in_the_middle_of_a_rush_loses_nothing_and_takes_nothing_twice(
    tmp_path: Path,
) -> None:
    answered: set[int] = set()

    async def rush(session: aiohttp.ClientSession, url: str, number: int) -> None:
        if await pay(session, url, number, "tok_ok") == 201:
            answered.add(number)
        if len(answered) == 30:
            enough.set()

    async with aiohttp.ClientSession() as session:
        async with process(tmp_path) as (url, child):
            enough = asyncio.Event()
            rushing = [asyncio.create_task(rush(session, url, n)) for n in range(100)]
            await enough.wait()
            child.send_signal(signal.SIGKILL)
            await asyncio.gather(*rushing, return_exceptions=True)

        async with process(tmp_path) as (url, _):
            kept = await ledger(session, url)
            references = {payment["reference"] for payment in kept["payments"]}
            assert {f"order:{n}" for n in answered} <= references
            for number in range(100):
                assert await pay(session, url, number, "tok_ok") == 201
            whole = await ledger(session, url)

    kinds = ["authorization", "capture"]
    assert len(answered) < 100
    assert len(whole["payments"]) == 100
    assert all([m["kind"] for m in p["movements"]] == kinds for p in whole["payments"])
    assert whole["totals"]["EUR"]["capture"] == sum(100 + n for n in range(100))


async def test_a_fate_goes_on_after_a_kill(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with process(tmp_path) as (url, _):
            assert await pay(session, url, 1, "tok_flaky") == 503
        async with process(tmp_path) as (url, _):
            assert await pay(session, url, 1, "tok_flaky") == 503
            assert await pay(session, url, 1, "tok_flaky") == 201
