"""Replicas of the service that share their limits by Redis, and how to see whether they do."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from orders.entrypoints.sandbox.token_issuer.tokens import sandbox_token
from tests.support.processes.cluster import Cluster, Shape, cluster

BURST = 4
_LIMITED = {"ORDERS_RATE_PER_SECOND": "0.01", "ORDERS_RATE_BURST": str(BURST)}
ALONE, COUNTED = 0, 3
"""Two replicas with a limit that nobody reaches: without Redis, and with it."""


class Replicas:
    """`api-1` and `api-2` share a low limit; the others are `ALONE` and `COUNTED`."""

    def __init__(self, running: Cluster) -> None:
        self.running = running
        self._clients = [httpx.Client(base_url=each, timeout=30) for each in running.apis]
        self._numbers = itertools.count()

    def close(self) -> None:
        """Close the connections."""
        for each in self._clients:
            each.close()

    def someone(self) -> dict[str, str]:
        """The headers of a caller that nobody has seen."""
        subject = f"caller-{next(self._numbers)}"
        token = sandbox_token(self.running.data, subject=subject, roles=["customer"])
        return {"Authorization": f"Bearer {token}"}

    def take(self, replica: int, caller: Mapping[str, str], path: str) -> tuple[int, float]:
        """Send a request. Returns its status, and how many seconds it took."""
        began = time.perf_counter()
        status = self._clients[replica].get(path, headers=caller).status_code
        return status, time.perf_counter() - began

    def are_sharing(self) -> tuple[bool, float]:
        """Whether a new caller gets one burst from both; and the longest of the requests."""
        caller = self.someone()
        taken = [self.take(1 + n % 2, caller, "/v1/orders") for n in range(2 * BURST)]
        assert {status for status, _ in taken} <= {200, 429}, "a request failed"
        admitted = sum(status == 200 for status, _ in taken)
        # In between: one of them has changed from one count to the other meanwhile.
        assert BURST <= admitted <= 2 * BURST, f"{admitted} admitted"
        return admitted == BURST, max(seconds for _, seconds in taken)

    def until_shared(self, began: float) -> tuple[float, float]:
        """How many seconds after `began` they share, and the longest request until then."""
        longest = 0.0
        while time.monotonic() - began < 60:
            at = time.monotonic()
            shared, slowest = self.are_sharing()
            longest = max(longest, slowest)
            if shared:
                return at - began, longest
        raise TimeoutError("they do not share their count")


@contextmanager
def replicas(folder: Path, redis_uri: str) -> Iterator[Replicas]:
    """Four of them that are up, until the block is left."""
    shape = Shape(
        apis=4,
        workers=0,
        environ={"ORDERS_REDIS_URI": redis_uri},
        own_environ={"api-0": {"ORDERS_REDIS_URI": ""}, "api-1": _LIMITED, "api-2": _LIMITED},
    )
    with cluster(folder, shape) as running:
        made = Replicas(running)
        try:
            yield made
        finally:
            made.close()
