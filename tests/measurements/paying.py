"""What the payment adapter costs a call, in CPU: python -m tests.measurements.paying

Against the sandbox, a process of its own: as the service calls it (turn, breaker, retries, the
answer checked), and the same request sent by bare aiohttp, by turns. Medians over many turns, in
microseconds of this process a call. The adapter may take 400.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

import aiohttp
import uvloop

from orders.adapters.payment_service.client import HttpPayments
from orders.domain.money import Money
from tests.bench.rigs.contenders import Place

TURNS = 60
CALLS = 20
_BODY = {"amount": 2500, "currency": "EUR", "method": "tok_ok", "capture": True}


def main() -> None:
    """Measure and tell."""
    with tempfile.TemporaryDirectory(prefix="orders-paying-") as folder:
        place = Place(Path(folder), "mongodb://127.0.0.1:1")
        with place.payments_and_issuer():
            environ = place.environ("service", "mongodb://127.0.0.1:1")
            found = uvloop.run(
                _compare(environ["ORDERS_PAYMENT_URL"], environ["ORDERS_PAYMENT_TOKEN"])
            )
    for name, costs in found.items():
        sys.stdout.write(
            f"{name:12} median {statistics.median(costs):6.0f}  min {min(costs):6.0f}\n"
        )
    more = (a - b for a, b in zip(found["adapter"], found["bare aiohttp"], strict=True))
    sys.stdout.write(f"the adapter's own: {statistics.median(more):.0f}, the median of pairs\n")


async def _compare(url: str, credential: str) -> dict[str, list[float]]:
    keys = (f"order-{number}:1" for number in count())
    async with (
        HttpPayments(url, credential=credential) as payments,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {credential}"}) as session,
    ):

        async def by_the_adapter() -> None:
            await payments.authorize(
                reference=next(keys), amount=Money(2500, "EUR"), method="tok_ok", capture=True
            )

        async def by_itself() -> None:
            key = next(keys)
            async with session.post(
                f"{url}/v1/payments",
                json={**_BODY, "reference": key},
                headers={"Idempotency-Key": key},
            ) as answer:
                assert answer.status == 201, await answer.text()
                await answer.json()

        ways = {"adapter": by_the_adapter, "bare aiohttp": by_itself}
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(TURNS + 5):
            for name, way in ways.items():
                cost = await _cpu_of(way)
                if turn >= 5:
                    found[name].append(cost)
    return found


async def _cpu_of(way: Callable[[], Awaitable[None]]) -> float:
    began = time.process_time_ns()
    for _ in range(CALLS):
        await way()
    return (time.process_time_ns() - began) / CALLS / 1_000


if __name__ == "__main__":
    main()
