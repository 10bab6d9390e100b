"""Live through a shop's day by its API, and compare the books to the penny."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.shop_day.client import Shop
from tests.shop_day.day import Day, compare, live_all, plan
from tests.shop_day.life import Life
from tests.shop_day.report import report
from tests.support.processes.cluster import UNHURRIED, Cluster, Shape, cluster

ROLES = {
    "till": ["admin"],
    "support": ["admin"],
    "finance": ["admin"],
    "warehouse": ["admin"],
}


def main() -> int:
    """Returns 1 if books differ, or an order is open without a reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.shop_day", description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="where the report goes, as Markdown")
    chosen = parser.parse_args()
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="orders-day-") as folder:
        shape = Shape(apis=1, workers=1, environ=UNHURRIED)
        with cluster(Path(folder), shape) as running:
            began = time.monotonic()
            day, requests = asyncio.run(_live(running, orders=chosen.orders, seed=chosen.seed))
            seconds = time.monotonic() - began
    text = report(day, command=_command(), seconds=seconds, requests=requests)
    if chosen.report:
        chosen.report.write_text(text)
    console.print(text)
    for number, difference in day.differing.items():
        console.print(f"order {number}: {difference}")
    failed = [life.number for life in day.lives if life.failure]
    return int(bool(day.differing or failed))


async def _live(running: Cluster, *, orders: int, seed: int) -> tuple[Day, int]:
    tokens = {
        who: sandbox_token(running.data, subject=who, roles=roles) for who, roles in ROLES.items()
    }
    async with aiohttp.ClientSession() as session:
        shop = Shop(session, api=running.apis[0], payments=running.payments_url, tokens=tokens)
        lives = plan(shop, orders=orders, seed=seed)
        with _progress() as bars:
            bar = bars.add_task("orders", total=len(lives), failed=0)

            def tell(life: Life) -> None:
                failed = sum(bool(each.failure) for each in lives)
                bars.update(bar, advance=1, failed=failed)

            day = await live_all(lives, tell)
        await compare(day, shop)
        return day, shop.requests


def _command() -> str:
    """What was run, without this machine's paths."""
    given = [each for each in sys.argv[1:] if not each.startswith(("/", "docs/", "--report"))]
    return f"make shop-day ARGS={shlex.join(given)!r}" if given else "make shop-day"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    raise SystemExit(main())
