"""Restart one replica after the other behind a gateway, while clients place orders."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import httpx

from tests.gateways.checks import CLIENT
from tests.support.processes.cluster import Cluster

CLIENTS: Final = 8
_SETTLE_SECONDS: Final = 2.5
"""For the gateway's health checks to find a replica that is up again."""
_ORDER: Final = {
    "currency": "GBP",
    "lines": [{"sku": "MUG-RED", "name": "Red mug", "quantity": 1}],
}


@dataclass
class Load:
    """How many orders were placed, and why the others were not."""

    placed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    is_over: threading.Event = field(default_factory=threading.Event, repr=False)

    def place(self, url: str, token: str) -> None:
        """Place one order after the other over a kept connection, until it is over."""
        with httpx.Client(
            base_url=url,
            timeout=30,
            headers={"Authorization": f"Bearer {token}"},
            transport=httpx.HTTPTransport(local_address=CLIENT),
        ) as client:
            while not self.is_over.is_set():
                key = {"Idempotency-Key": secrets.token_hex(8)}
                try:
                    answer = client.post("/v1/orders", json=_ORDER, headers=key)
                except httpx.HTTPError as error:
                    self.failures[type(error).__name__] += 1
                    continue
                if answer.status_code == 201:
                    self.placed += 1
                else:
                    self.failures[f"{answer.status_code} {answer.text[:200]}"] += 1


def rolling_restarts(cluster: Cluster, url: str, token: str, *, rounds: int) -> Load:
    """Restart each replica `rounds` times, under load through the gateway at `url`."""
    load = Load()
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(load.place, url, token) for _ in range(CLIENTS)]
        try:
            time.sleep(_SETTLE_SECONDS)
            for _ in range(rounds):
                for name in cluster.urls:
                    process = cluster.processes[name]
                    assert process.stop() == 0
                    process.start()
                    process.wait_until_up()
                    time.sleep(_SETTLE_SECONDS)
        finally:
            load.is_over.set()
        for each in running:
            each.result()
    return load
