"""What befalls one order in five."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from tests.shop_day.life import Life

Step = Callable[[Life], Awaitable[None]]


class Stage(Enum):
    """When it happens."""

    PAID = "paid"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """Something that befalls an order."""

    at: Stage
    play: Step
    members: Mapping[str, Any] | None = None
    """What it needs of the draft, instead of the order's own way to pay."""


async def give_back(life: Life) -> None:
    """Refund what is owed: by the payment service as far as it has the money, or else elsewhere."""
    await life.decided()
    if life.totals["refund_due"]:
        await life.do("finance", "/refunds", {"reason": "customer"})
        await life.decided()


async def add_a_line(life: Life) -> None:
    line = {"sku": "TEA", "name": "Tea", "unit_price": 499, "tax_rate": "0.07", "quantity": 2}
    await life.do("support", "/changes", {"reason": "customer", "lines": [line]})
    change = life.order["changes"][-1]["id"]
    await life.do("support", f"/changes/{change}/apply")
    await life.do("till", "/payments", {"method": "tok_ok"})
    await life.decided()


async def cancel(life: Life) -> None:
    await life.do("support", "/cancel", {"reason": "customer"})
    await give_back(life)


async def cancel_a_unit(life: Life) -> None:
    unit = {"line_id": life.order["lines"][0]["id"], "quantity": 1}
    await life.do("support", "/cancellations", {"items": [unit], "reason": "inventory"})
    await give_back(life)


async def hold_a_while(life: Life) -> None:
    await life.do("support", "/holds", {"reason": "address"})
    hold = life.order["holds"][-1]["id"]
    await life.do("support", f"/holds/{hold}/release")


async def return_a_part(life: Life) -> None:
    line = life.order["lines"][-1]
    items = [{"line_id": line["id"], "quantity": 1}]
    await life.do("support", "/returns", {"items": items})
    back = life.order["returns"][-1]["id"]
    for step in ("approve", "receive"):
        await life.do("warehouse", f"/returns/{back}/{step}")
    await give_back(life)


async def give_a_discount(life: Life) -> None:
    await life.do("finance", "/credits", {"amount": 150, "reason": "goodwill"})
    await give_back(life)


TWISTS: Final[Mapping[str, Twist]] = {
    "a line is added": Twist(at=Stage.PAID, play=add_a_line),
    "cancelled": Twist(at=Stage.PAID, play=cancel),
    "a unit is cancelled": Twist(at=Stage.PAID, play=cancel_a_unit),
    "held for a while": Twist(at=Stage.PAID, play=hold_a_while),
    "returned in part": Twist(at=Stage.DELIVERED, play=return_a_part),
    "a discount afterwards": Twist(at=Stage.DELIVERED, play=give_a_discount),
}
