"""Switch the gateway between two versions under load, and count what breaks.

`python -m tests.blue_green` does it at length and writes `docs/reports/blue-green.md`; with
`--compose` to the whole architecture in containers, whose idle colour is recreated each time.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import secrets
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import aiohttp

from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.support.processes.cluster import Shape, cluster
from tests.support.processes.compose_stack import URL as COMPOSE_URL
from tests.support.processes.compose_stack import Colour, compose_stack
from tests.support.processes.gateway import Gateway, gateway

CONNECTIONS = 16
PLACED_OF_A_HUNDRED = 25
_REPORT = Path(__file__).parents[1] / "docs" / "reports" / "blue-green.md"
_ABOUT = {
    "The gateway alone": "Two versions run as processes behind nginx, with the embedded database.",
    "In Compose": (
        "The stack of `infra/compose.yaml` in containers, as `infra/compose.local.yaml` has it:\n"
        "without Kafka, Grafana and Jaeger, with the embedded database. Before each\n"
        "switch the idle colour's container is removed and recreated, while the other one serves."
    ),
}
COLOURS: tuple[Colour, ...] = ("blue", "green")
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

    `at` says what to do after so many answers; `per_second` is how many are sent at most.
    """

    def __init__(
        self,
        url: str,
        *,
        requests: int,
        at: Mapping[int, Callable[[], object]],
        per_second: float = math.inf,
    ) -> None:
        self.outcome = Outcome()
        self._url = url
        self._numbers = iter(range(requests))
        self._at = at
        self._interval_seconds = 1 / per_second

    async def run(self, *, trust: ssl.SSLContext, tokens: Sequence[str]) -> Outcome:
        """Send all of it, the clients taking the tokens in turn."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust),
            trace_configs=[tracing],
        ) as session:
            began = asyncio.get_running_loop().time()
            bearers = islice(cycle(tokens), CONNECTIONS)
            await asyncio.gather(*(self._client(session, token, began) for token in bearers))
        return self.outcome

    async def _client(self, session: aiohttp.ClientSession, token: str, began: float) -> None:
        placed: list[str] = []
        now = asyncio.get_running_loop().time
        for number in self._numbers:
            await asyncio.sleep(began + number * self._interval_seconds - now())
            method, path, sent = _request(number, placed)
            sent["headers"]["Authorization"] = f"Bearer {token}"
            try:
                async with session.request(method, self._url + path, **sent) as answer:
                    body = await answer.json()
            except (aiohttp.ClientError, TimeoutError) as error:
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
    return "GET", f"/v1/orders/{placed[number % len(placed)]}", {"headers": {}}


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
            at = _spread(requests, switches, lambda colour: switched(gate, colour))
            token = sandbox_token(running.data, subject="ada", roles=["customer"])
            load = Load(gate.url, requests=requests, at=at)
            outcome = asyncio.run(load.run(trust=gate.trust, tokens=[token]))
            logged = gate.log.read_text()
            for colour, address in (("blue", blue), ("green", green)):
                outcome.by_upstream[colour] = logged.count(f'"upstream":"{address}"')
    return outcome


def in_compose(*, requests: int, switches: int, per_second: float) -> Outcome:
    """The same with the Compose stack: each switch is to a colour that was just made anew."""
    with compose_stack() as stack:
        at = _spread(requests, switches, lambda colour: partial(stack.roll_out, colour))
        # Nobody of them may do more than a caller may by default.
        tokens = [stack.token(f"customer-{number}") for number in range(CONNECTIONS)]
        load = Load(COMPOSE_URL, requests=requests, at=at, per_second=per_second)
        outcome = asyncio.run(load.run(trust=stack.trust, tokens=tokens))
        for colour in COLOURS:
            outcome.by_upstream[colour] = stack.answered_by(colour)
    return outcome


def _spread(
    requests: int, switches: int, to: Callable[[Colour], Callable[[], object]]
) -> dict[int, Callable[[], object]]:
    """When to go to green and back: after how many answers."""
    step = requests // (switches + 1)
    return {step * n: to("green" if n % 2 else "blue") for n in range(1, switches + 1)}


def _table(outcome: Outcome, switches: int) -> str:
    posted = sum(count for (method, _), count in outcome.statuses.items() if method == "POST")
    rows = [
        ("requests", f"{outcome.sent:,}"),
        ("of them POST", f"{posted:,}"),
        ("switches", str(switches)),
        ("responses of blue, of green", ", ".join(f"{n:,}" for n in outcome.by_upstream.values())),
        ("failed", str(outcome.failed)),
        ("connections dropped", str(len(outcome.dropped))),
        ("connections opened", f"{outcome.connections} for {CONNECTIONS} clients"),
    ]
    return "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def _write(title: str, section: str) -> None:
    """Put a section into the report; the others stay as they are."""
    head, *sections = _REPORT.read_text(encoding="utf-8").split("\n## ")
    kept = dict(each.split("\n", 1) for each in sections) | {title: f"\n{section}"}
    parts = [head.rstrip(), *(f"## {name}\n\n{text.strip()}" for name, text in kept.items())]
    _REPORT.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> int:
    """Write the report; 1 if anything failed, or a colour never was live under load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--switches", type=int, default=6)
    parser.add_argument("--compose", action="store_true", help="a stack of containers, for a while")
    parser.add_argument("--per-second", type=float, default=80, help="with --compose: at most")
    told = parser.parse_args()
    command = f"python -m tests.blue_green --requests {told.requests} --switches {told.switches}"
    began = time.monotonic()
    if told.compose:
        title = "In Compose"
        command += f" --compose --per-second {told.per_second:g}"
        outcome = in_compose(
            requests=told.requests, switches=told.switches, per_second=told.per_second
        )
    else:
        title = "The gateway alone"
        with tempfile.TemporaryDirectory(prefix="orders-blue-green-") as folder:
            outcome = there_and_back(Path(folder), requests=told.requests, switches=told.switches)
    seconds = time.monotonic() - began
    table = _table(outcome, told.switches)
    sys.stdout.write(f"{table}\n{outcome.statuses}\n{Counter(outcome.dropped)}\n")
    _write(title, f"{_ABOUT[title]}\n\nCommand: `{command}`, {seconds:.0f} s.\n\n{table}")
    unused = [colour for colour in COLOURS if not outcome.by_upstream[colour]]
    return int(outcome.failed > 0 or bool(unused))


if __name__ == "__main__":
    sys.exit(main())
