"""One history: clients, processes and accidents, all of it following from a seed."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orders.adapters.messages import encode
from orders.domain.identifiers import OrderId
from tests.simulation.people import Acknowledged, Client
from tests.simulation.service import Api, Background, Outside, relay, work
from tests.simulation.world import Link, VirtualTime, Weather, World
from tests.support.orders import NOW

HEALED_WITHIN_SECONDS = 900.0
"""Virtual seconds in which everything must come to rest once nothing goes wrong any more."""


@dataclass(slots=True)
class History:
    """What a seed has led to."""

    seed: int
    world: World
    outside: Outside
    asked_for: set[OrderId] = field(default_factory=set)
    """Every order that a client has tried to place."""
    told: list[Acknowledged] = field(default_factory=list)
    healed_at: datetime = NOW
    """When the last accident was over."""
    calm_after: float | None = None
    """Virtual seconds from the end of all accidents to rest; None if it never came."""

    def digest(self) -> str:
        """Tells two histories apart: everything carried, delivered and stored."""
        brokers = self.outside.brokers.values()
        delivered = b"\n".join(encode(event) for each in brokers for event in each.published)
        text = repr((self.world.story, self.outside.orders.latest()))
        return hashlib.sha256(text.encode() + delivered).hexdigest()


def run(seed: int) -> History:
    """Let a history happen, until everything has healed and come to rest."""
    loop = VirtualTime()
    try:
        world = World(seed, loop)
        outside = Outside(
            world,
            expire_after=timedelta(seconds=world.chance.choice((5, 30, 60, 120))),
            webhooks_lost=world.chance.choice((0.0, 0.2, 1.0)),
        )
        history = History(seed, world, outside)
        loop.run_until_complete(_live(history))
    finally:
        _end(loop)
    return history


def _end(loop: VirtualTime) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


async def _live(history: History) -> None:
    world, outside = history.world, history.outside
    chance = world.chance
    outside.apis += [Api(f"api-{n}", outside) for n in range(chance.randint(1, 3))]
    for number in range(chance.randint(1, 2)):
        Background(f"worker-{number}", outside, work)
        Background(f"relay-{number}", outside, relay)
    _let_go_wrong(world)
    people = [
        Client(outside, f"order-{number}", history.told) for number in range(chance.randint(1, 3))
    ]
    history.asked_for.update(each.order_id for each in people)
    clients = [world.loop.create_task(each.live()) for each in people]
    for _ in range(10):
        await world.pause(2.0, 6.0)
        outside.provider.befall()
    outside.provider.decide_all()
    await world.pause(0.0, 20.0)
    world.heal()
    outside.join_store()
    history.healed_at = world.now()
    await asyncio.gather(*clients)
    history.calm_after = await _rest(history)
    # Copies that the network still has change nothing any more; but of an order that was undone,
    # and that its client has given up, one may still make another.
    await asyncio.sleep(60.0)
    if history.calm_after is not None and await _rest(history) is None:
        history.calm_after = None


async def _rest(history: History) -> float | None:
    """Wait until nothing is left to do; returns how long that took since all was well."""
    world, outside = history.world, history.outside
    give_up_at = world.loop.time() + HEALED_WITHIN_SECONDS
    while world.loop.time() < give_up_at:
        outside.provider.decide_all()
        if outside.orders.idle() and not outside.webhooks:
            return (world.now() - history.healed_at).total_seconds()
        await asyncio.sleep(5.0)
    return None


def _let_go_wrong(world: World) -> None:
    """Choose how bad each link is, and how often processes die."""
    pick = world.chance.choice
    for link in Link:
        world.weather[link] = Weather(
            lost=pick((0.0, 0.05, 0.2)),
            doubled=0.0 if link is Link.STORE else pick((0.0, 0.1, 0.3)),
            late=pick((0.0, 0.02, 0.1)),
            quick_seconds=pick((0.01, 0.2, 1.0)),
        )
    world.crash_share = pick((0.0, 0.01, 0.05, 0.15))
    world.stall_share = pick((0.0, 0.01, 0.05))
    world.split_share = pick((0.0, 0.2, 0.6))
