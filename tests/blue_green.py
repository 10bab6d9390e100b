"""Switch the gateway between two versions under load, and count what breaks.

`python -m tests.blue_green` does it at length and writes `docs/reports/blue-green.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from orders.entrypoints.sandbox.tokens import sandbox_token
from tests.cluster import Shape, cluster
from tests.gateway import Gateway, gateway

CONNECTIONS = 16
PLACED_OF_A_HUNDRED = 25
_REPORT = Path(__file__).parents[1] / "docs" / "reports" / "blue-green.md"
_ORDER = {
    "currency": "GBP",
    "lines": [{"sku": "MUG-RED", "name": "Red mug", "quantity": 1}],
}


@dataclass
class Outcome:
    """What became of the requests. `dropped` had no answer at all."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    dropped: list[str] = field(default_factory=list)
    connections: int = 0
    by_upstream: Counter[str] = field(default_factory=Counter)

    @property
    def sent(self) -> int:
        return self.statuses.total() + len(self.dropped)

    @property
    def failed(self) -> int:
        """Answers that are no success, and requests without an answer."""
        good = {("GET", 200), ("POST", 201)}
        bad = sum(count for kind, count in self.statuses.items() if kind not in good)
        return bad + len(self.dropped)


class Load:
    """Clients that each send one request after another over a kept connection.

    `at` says what to do after so many answers.
    """

    def __init__(self, url: str, *, requests: int, at: Mapping[int, Callable[[], object]]) -> None:
        self.outcome = Outcome()
        self._url = url
        self._numbers = iter(range(requests))
        self._at = at

    async def run(self, *, trust: ssl.SSLContext, token: str) -> Outcome:
        """Send all of it."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust),
            headers={"Authorization": f"Bearer {token}"},
            trace_configs=[tracing],
        ) as session:
            await asyncio.gather(*(self._client(session) for _ in range(CONNECTIONS)))
        return self.outcome

    async def _client(self, session: aiohttp.ClientSession) -> None:
        placed: list[str] = []
        for number in self._numbers:
            method, path, sent = _request(number, placed)
            try:
                async with session.request(method, self._url + path, **sent) as answer:
                    body = await answer.json()
            except aiohttp.ClientError as error:
                self.outcome.dropped.append(f"{method} {type(error).__name__}")
                continue
            self.outcome.statuses[method, answer.status] += 1
            if answer.status == 201:
                placed.append(body["id"])
            if todo := self._at.get(self.outcome.statuses.total()):
                await asyncio.to_thread(todo)

    async def _connected(self, *_: object) -> None:
        self.outcome.connections += 1


def _request(number: int, placed: list[str]) -> tuple[str, str, dict[str, Any]]:
    if number % 100 < PLACED_OF_A_HUNDRED or not placed:
        keys = {"Idempotency-Key": secrets.token_hex(8)}
        return "POST", "/v1/orders", {"json": _ORDER, "headers": keys}
    return "GET", f"/v1/orders/{placed[number % len(placed)]}", {}


def switched(gate: Gateway, colour: str) -> Callable[[], None]:
    """Switch, and fail if that was refused."""

    def switch() -> None:
        done = gate.switch(colour)
        assert done.returncode == 0, done.stderr

    return switch


def there_and_back(folder: Path, *, requests: int, switches: int) -> Outcome:
    """Send the load and switch so often on the way; which colour answered is from the log."""
    shape = Shape(apis=2, workers=1)
    with cluster(folder / "cluster", shape) as running:
        blue, green = (url.removeprefix("http://") for url in running.apis)
        (folder / "gateway").mkdir()
        with gateway(folder / "gateway", blue=blue, green=green) as gate:
            step = requests // (switches + 1)
            at = {
                step * number: switched(gate, "green" if number % 2 else "blue")
                for number in range(1, switches + 1)
            }
            token = sandbox_token(running.data, subject="ada", roles=["customer"])
            load = Load(gate.url, requests=requests, at=at)
            outcome = asyncio.run(load.run(trust=gate.trust, token=token))
            logged = gate.log.read_text()
            for colour, address in (("blue", blue), ("green", green)):
                outcome.by_upstream[colour] = logged.count(f'"upstream":"{address}"')
    return outcome


def main() -> int:
    """Write the report; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--switches", type=int, default=6)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orders-blue-green-") as folder:
        began = time.monotonic()
        outcome = there_and_back(Path(folder), requests=told.requests, switches=told.switches)
        seconds = time.monotonic() - began
    rows = [
        ("requests", f"{outcome.sent:,}"),
        ("of them POST", f"{sum(n for (m, _), n in outcome.statuses.items() if m == 'POST'):,}"),
        ("switches", str(told.switches)),
        ("answered by blue, by green", ", ".join(f"{n:,}" for n in outcome.by_upstream.values())),
        ("failed", str(outcome.failed)),
        ("connections dropped", str(len(outcome.dropped))),
        ("connections made", f"{outcome.connections} for {CONNECTIONS} clients"),
    ]
    _REPORT.write_text(
        "# Blue/green under load\n\n"
        "Two versions behind the gateway (nginx), the embedded database, kept connections over\n"
        "TLS; the live colour is switched back and forth while requests run.\n\n"
        f"Command: `python -m tests.blue_green --requests {told.requests} "
        f"--switches {told.switches}`, {seconds:.0f} s.\n\n"
        "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows),
        encoding="utf-8",
    )
    sys.stdout.write(_REPORT.read_text(encoding="utf-8"))
    return int(outcome.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
