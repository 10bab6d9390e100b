"""The jobs: what callers do all day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.bench.load import Connection, Measured, at_a_rate, at_full_speed
from tests.bench.rigs.shop import Shop

RELAY: Final = "relay an event"
"""What the worker does; it has no requests."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something callers do. `count` requests are one turn of a contender, about a second: in less,
    it would pay most for what the other one has left in the processor's caches.
    """

    name: str
    count: int
    requests: Callable[[Shop], Iterator[bytes]]
    status: int = 200
    places: bool = False
    target: float | None = None
    """How many times the floor's CPU it may take."""
    callers: int = 16
    """Requests at the same time at full speed. As many as the service has slots: if more waited
    all the time, it would refuse some as overload. Lists have three fifths of the slots."""

    async def prepared(self, shop: Shop, connections: list[Connection], count: int) -> None:
        """Have enough orders to cancel."""
        if self is CANCEL and (missing := count - shop.cancellable) > 0:
            await PLACE.done(shop, connections, missing)

    async def done(
        self,
        shop: Shop,
        connections: list[Connection],
        count: int,
        *,
        per_second: float | None = None,
    ) -> Measured:
        """Send so many requests: at full speed, or at a rate."""
        requests = self.requests(shop)
        if per_second is None:
            measured = await at_full_speed(connections, requests, count, status=self.status)
        else:
            measured = await at_a_rate(
                connections, requests, count, per_second=per_second, status=self.status
            )
        if self.places:
            shop.learn(measured.answers, may_cancel=self is PLACE)
        return measured


PLACE: Final = Job("place", 600, lambda shop: shop.placing(), 201, True, 2.0)
CANCEL: Final = Job("cancel", 300, lambda shop: shop.cancelling())
JOBS: Final = (
    PLACE,
    Job("place with payment", 200, lambda shop: shop.placing(payment=True), 201, True, 2.0),
    Job("read one", 2_400, lambda shop: shop.reading(), target=1.5),
    Job("list 20 of a customer", 240, lambda shop: shop.listing(), target=1.5, callers=9),
    Job("list 20 by status", 144, lambda shop: shop.listing_by_status(), target=1.5, callers=9),
    CANCEL,
)
