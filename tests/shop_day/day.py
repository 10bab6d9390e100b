"""A day: many orders, several at a time, each lived to its end; then the books are compared."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from tests.shop_day.client import Json, Refused, Shop, Stuck
from tests.shop_day.life import Life
from tests.shop_day.twists import TWISTS, Stage, send_left
from tests.shop_day.ways import AT_DISPATCH, WAYS, card

AT_ONCE: Final = 12
ENDED: Final = {"completed", "cancelled"}
ONE_IN: Final = 5
"""Of so many orders, something befalls one."""
PLAIN: Final = "nothing"
UNTOUCHED: Final = {"nobody pays", "transfer that comes too late", "invoice that nobody pays"}
"""Ways to pay of orders that end before anything befalls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """Cents."""

    captured: int = 0
    refunded: int = 0
    charged_back: int = 0

    @property
    def net(self) -> int:
        """What is left."""
        return self.captured - self.refunded - self.charged_back


@dataclass(slots=True)
class Day:
    """What came of it."""

    lives: list[Life]
    differing: dict[int, str] = field(default_factory=dict)
    """By the number of the order: what its books say differently."""
    orders: Money = field(default_factory=Money)
    ledger: Money = field(default_factory=Money)
    journal: Money = field(default_factory=Money)

    @property
    def open(self) -> dict[int, str]:
        """Why orders are neither completed nor cancelled, by their number."""
        return {
            life.number: life.failure or why_open(life.order)
            for life in self.lives
            if life.failure or life.order["status"] not in ENDED
        }


def plan(shop: Shop, *, orders: int, seed: int) -> list[Life]:
    """Who pays how, and what befalls whom: every way and every twist has its share."""
    chance = random.Random(seed)
    ways = [name for name, way in WAYS.items() for _ in range(way.share)]
    chance.shuffle(ways)
    way_of, twist_of = cycle(ways), cycle(TWISTS)
    lives = []
    for number in range(1, orders + 1):
        name, way = PLAIN, next(way_of)
        if number % ONE_IN == 0:
            name = next(twist_of)
            way = AT_DISPATCH if TWISTS[name].method or way in UNTOUCHED else way
        lives.append(Life(shop, number, way, name, random.Random(f"{seed}:{number}")))
    return lives


async def live_all(lives: list[Life], tell: Callable[[Life], None]) -> Day:
    """Live each life to its end."""
    waiting = iter(lives)

    async def live_some() -> None:
        for life in waiting:
            try:
                await live(life)
            except (Refused, Stuck) as failure:
                life.failure = f"{type(failure).__name__}: {failure}"
            tell(life)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(live_some())
    return Day(lives)


async def live(life: Life) -> None:
    """Place, pay, send, deliver, collect, with what befalls the order in between."""
    way, twist = WAYS[life.way], TWISTS.get(life.twist)
    members = dict(way.members)
    if twist and twist.method:
        members = card(twist.method) | dict(twist.members)
    await life.place(**members)
    await way.cover(life)
    if twist and twist.at is Stage.PAID:
        await twist.play(life)
    if life.order["status"] == "confirmed":
        await send(life)
        if twist and twist.at is Stage.DISPATCHED:
            await twist.play(life)
        await deliver(life)
        await way.collect(life)
        if twist and twist.at is Stage.DELIVERED:
            await twist.play(life)
    await life.decided()


async def send(life: Life) -> None:
    """Pack and dispatch all that is left, and capture what is held for it."""
    await send_left(life)
    for payment in life.order["payments"]:
        if payment["authorized"] and life.totals["outstanding"]:
            await life.do("finance", f"/payments/{payment['id']}/capture")
            await life.decided()


async def deliver(life: Life) -> None:
    """Every parcel that is under way arrives."""
    for shipment in life.order["shipments"]:
        if shipment["status"] == "dispatched":
            await life.do("warehouse", f"/shipments/{shipment['id']}/deliver")


async def compare(day: Day, shop: Shop) -> None:
    """Read every order again, and hold it to the payment service's ledger and to the journal."""
    theirs: dict[str, Money] = {}
    for payment in await shop.ledger():
        order_id = payment["reference"].partition(":")[0]
        theirs[order_id] = _sum(theirs.get(order_id, Money()), _money(payment))
    for life in day.lives:
        if not life.order:
            continue
        life.order = await shop.send("support", "GET", f"/orders/{life.order['id']}")
        ours = _sum(*map(_money, life.order["payments"]))
        ledger = theirs.pop(life.order["id"], Money())
        journal = Money(captured=life.received, refunded=life.paid_out)
        if ours != _sum(ledger, journal):
            day.differing[life.number] = f"{ours} here, {ledger} there, {journal} by hand"
        for fault in faults(life.order):
            day.differing[life.number] = fault
        day.orders = _sum(day.orders, ours)
        day.ledger = _sum(day.ledger, ledger)
        day.journal = _sum(day.journal, journal)
    for order_id, money in theirs.items():
        day.differing[0] = f"{money} of an order that nobody placed: {order_id}"


def faults(order: Json) -> Iterator[str]:
    """What contradicts itself in an order's amounts."""
    totals = order["totals"]
    if totals["tax"] != sum(line["tax"] for line in totals["tax_lines"]):
        yield "the tax lines are not the tax"
    money = _sum(*map(_money, order["payments"]))
    told = Money(
        captured=totals["captured"],
        refunded=totals["refunded"],
        charged_back=totals["charged_back"],
    )
    if money != told:
        yield f"the totals are not the payments': {told}, {money}"


def why_open(order: Json) -> str:
    """What keeps an order from being completed."""
    totals = order["totals"]
    if order["status"] == "expired":
        late = "; what came later went back" if totals["refunded"] else ""
        return f"expired: nobody paid in time{late}"
    amounts = {name: totals[name] for name in ("outstanding", "refund_due") if totals[name]}
    statuses = [order[f"{name}_status"] for name in ("payment", "fulfillment")]
    what = [order["status"], *statuses, *(f"{name} {n}" for name, n in amounts.items())]
    return ", ".join(what)


def _money(payment: Json) -> Money:
    return Money(**{name: payment[name] for name in ("captured", "refunded", "charged_back")})


def _sum(*amounts: Money) -> Money:
    return Money(
        captured=sum(each.captured for each in amounts),
        refunded=sum(each.refunded for each in amounts),
        charged_back=sum(each.charged_back for each in amounts),
    )
