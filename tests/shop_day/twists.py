"""What befalls one order in five."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from tests.shop_day.client import Json, Refused
from tests.shop_day.life import Life, units_left
from tests.shop_day.ways import pay_by_card

Step = Callable[[Life], Awaitable[None]]


class Stage(Enum):
    """When it happens."""

    PAID = "paid"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """Something that befalls an order. With a `method` it is paid by this card."""

    at: Stage
    play: Step
    method: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    """What else it needs of the draft."""


async def give_back(life: Life) -> None:
    """Refund what is owed: by the payment service as far as it can, and else elsewhere."""
    await life.decided()
    if life.totals["refund_due"]:
        try:
            await life.do("finance", "/refunds", {"reason": "customer"})
        except Refused as refused:
            if refused.code != "refund-must-be-recorded":
                raise
        await life.decided()
    if owed := life.totals["refund_due"]:
        await life.record_refund(owed)


async def change(life: Life, **wanted: Any) -> None:
    """Propose a change, apply it, and pay or give back what it makes of the price."""
    await life.do("support", "/changes", {"reason": "customer", **wanted})
    proposed = life.order["changes"][-1]["id"]
    await life.do("support", f"/changes/{proposed}/apply")
    has_terms = life.order["terms"] != "prepaid"
    missing = life.totals["outstanding"] - life.totals["authorized"]
    if missing > 0 and not has_terms:
        await pay_by_card(life)
    await give_back(life)


async def add_a_line(life: Life) -> None:
    line = {"sku": "TEA", "name": "Tea", "unit_price": 499, "tax_rate": "0.07", "quantity": 2}
    await change(life, lines=[line])


async def swap_a_unit(life: Life) -> None:
    line = {"sku": "CABLE", "name": "Cable", "unit_price": 101, "tax_rate": "0.19", "quantity": 1}
    await change(life, lines=[line], items=[one_of(life.order["lines"][0])])


async def ship_express(life: Life) -> None:
    await change(life, shipping={"method": "express", "price": 995, "tax_rate": "0.19"})


async def cancel(life: Life) -> None:
    await life.do("support", "/cancel", {"reason": "customer"})
    await give_back(life)


async def cancel_a_unit(life: Life) -> None:
    unit = one_of(life.order["lines"][0])
    await life.do("support", "/cancellations", {"items": [unit], "reason": "inventory"})
    await give_back(life)


async def release(life: Life) -> None:
    """Held and to be confirmed by staff from the start."""
    for hold in life.order["holds"]:
        await life.do("support", f"/holds/{hold['id']}/release")
    await life.do("support", "/confirm")


async def pay_twice(life: Life) -> None:
    """The customer transfers the price once more."""
    await life.record_payment(life.totals["gross"], "bank_transfer")
    await life.record_refund(life.totals["gross"])


async def lose_and_send_again(life: Life) -> None:
    await fail(life, "lost")
    await send_left(life)


async def lose_and_give_up_a_line(life: Life) -> None:
    """Of a lost parcel all but one line is sent again; that one is credited."""
    await fail(life, "damaged")
    line = life.order["lines"][0]
    credit = {
        "amount": line["total"],
        "reason": "lost",
        "line_id": line["id"],
        "undeliverable": line["quantity"] - line["cancelled"],
    }
    await life.do("finance", "/credits", credit)
    await send_left(life)
    await give_back(life)


async def refuse_and_cancel(life: Life) -> None:
    await fail(life, "refused")
    await cancel(life)


async def correct_the_tracking(life: Life) -> None:
    shipment = life.order["shipments"][-1]["id"]
    path = f"/orders/{life.order['id']}/shipments/{shipment}"
    version = f'"{await life.version()}"'
    await life.shop.send("warehouse", "PATCH", path, {"tracking": "1Z-77"}, If_Match=version)
    await life.version()


async def leave_before_the_cancellation(life: Life) -> None:
    """A unit is cancelled, and it turns out that all of its line had left by then."""
    line = life.order["lines"][0]
    items = [one_of(line)]
    await life.do("support", "/cancellations", {"items": items, "reason": "customer"})
    await give_back(life)
    left = {"line_id": line["id"], "quantity": line["quantity"]}
    await life.do("warehouse", "/late-shipments", {"items": [left], "tracking": life.key()})


async def return_a_part(life: Life) -> None:
    await take_back(life, one_of(life.order["lines"][-1]))
    await give_back(life)


async def return_for_a_fee(life: Life) -> None:
    """A unit comes back damaged: a tenth of its price is kept."""
    line = life.order["lines"][-1]
    await take_back(life, one_of(line), credit=line["unit_price"] * 9 // 10)
    await give_back(life)


async def return_less_than_announced(life: Life) -> None:
    line = life.order["lines"][-1]
    announced = {"line_id": line["id"], "quantity": line["delivered"]}
    await take_back(life, announced, items=[one_of(line)])
    await give_back(life)


async def give_a_discount(life: Life) -> None:
    await life.do("finance", "/credits", {"amount": 150, "reason": "goodwill"})
    await give_back(life)


async def credit_by_mistake(life: Life) -> None:
    await life.do("finance", "/credits", {"amount": 500, "reason": "goodwill"})
    credit = life.order["credits"][-1]["id"]
    await life.do("finance", f"/credits/{credit}/revoke")


async def pay_back_by_transfer(life: Life) -> None:
    """Finance gives money back that nobody owes here, and writes it down."""
    await life.record_refund(300)


async def win_a_dispute(life: Life) -> None:
    await dispute(life, "won")


async def lose_a_dispute(life: Life) -> None:
    await dispute(life, "lost")
    await give_up(life)


async def lose_a_part(life: Life) -> None:
    await dispute(life, "lost", share=3)
    await give_up(life)


async def dispute_after_a_refund(life: Life) -> None:
    """The customer has all the money back, and disputes it as well: the loss shows."""
    await life.do("finance", "/credits", {"amount": life.totals["gross"], "reason": "goodwill"})
    await give_back(life)
    await dispute(life, "lost")


async def expect_a_dispute(life: Life) -> None:
    """The payment service tells of it some seconds after the capture."""
    await life.until(lambda order: order["disputes"], "disputed")
    await give_up(life)


async def expect_a_won_dispute(life: Life) -> None:
    await life.until(
        lambda order: any(each["status"] == "won" for each in order["disputes"]), "won"
    )


async def expect_a_refund(life: Life) -> None:
    await life.until(lambda order: order["totals"]["refunded"], "refunded elsewhere")


async def send_back_a_refund(life: Life) -> None:
    """The refund of a return fails days later: the money goes another way."""
    await return_a_part(life)
    await life.until(lambda order: order["totals"]["refund_due"], "failed late")
    await life.record_refund(life.totals["refund_due"])


async def dispute(life: Life, end: str, *, share: int = 1) -> None:
    """The payer's bank takes money back, and then decides."""
    payment = next(each for each in await life.charges() if each["captured"])
    body = {"amount": payment["captured"] // share, "id": f"dp_{life.number}"}
    await life.shop.dispute(payment["id"], {**body, "status": "open"})
    await life.until(lambda order: order["disputes"], "disputed")
    await life.shop.dispute(payment["id"], {**body, "status": end})
    await life.until(
        lambda order: [each["status"] for each in order["disputes"]] == [end], f"dispute {end}"
    )


async def give_up(life: Life) -> None:
    """Finance writes off what a lost dispute has left unpaid."""
    if outstanding := life.totals["outstanding"]:
        await life.do("finance", "/credits", {"amount": outstanding, "reason": "write-off"})


async def take_back(life: Life, item: Json, **received: Any) -> None:
    await life.do("support", "/returns", {"items": [item]})
    back = life.order["returns"][-1]["id"]
    await life.do("warehouse", f"/returns/{back}/approve")
    await life.do("warehouse", f"/returns/{back}/receive", received)


async def fail(life: Life, reason: str) -> None:
    shipment = life.order["shipments"][-1]["id"]
    await life.do("warehouse", f"/shipments/{shipment}/fail", {"reason": reason})


async def send_left(life: Life) -> None:
    """Pack and dispatch what is in no parcel."""
    await life.do("warehouse", "/shipments", {"items": units_left(life.order)})
    shipment = life.order["shipments"][-1]["id"]
    await life.do("warehouse", f"/shipments/{shipment}/dispatch", {"tracking": life.key()})


def one_of(line: Json) -> Json:
    """One unit of a line."""
    return {"line_id": line["id"], "quantity": 1}


TWISTS: Final[Mapping[str, Twist]] = {
    "a line is added": Twist(at=Stage.PAID, play=add_a_line),
    "a unit is swapped": Twist(at=Stage.PAID, play=swap_a_unit),
    "shipped another way": Twist(at=Stage.PAID, play=ship_express),
    "cancelled": Twist(at=Stage.PAID, play=cancel),
    "a unit is cancelled": Twist(at=Stage.PAID, play=cancel_a_unit),
    "held, and confirmed by staff": Twist(
        at=Stage.PAID,
        play=release,
        method="tok_ok",
        members={"holds": ["fraud"], "confirmation": "manual"},
    ),
    "paid twice": Twist(at=Stage.DELIVERED, play=pay_twice, method="tok_ok"),
    "a unit had left before it was cancelled": Twist(
        at=Stage.PAID, play=leave_before_the_cancellation
    ),
    "lost, and sent again": Twist(at=Stage.DISPATCHED, play=lose_and_send_again),
    "lost, and given up in part": Twist(at=Stage.DISPATCHED, play=lose_and_give_up_a_line),
    "refused, and cancelled": Twist(at=Stage.DISPATCHED, play=refuse_and_cancel),
    "tracking corrected": Twist(at=Stage.DISPATCHED, play=correct_the_tracking),
    "returned in part": Twist(at=Stage.DELIVERED, play=return_a_part),
    "returned for a fee": Twist(at=Stage.DELIVERED, play=return_for_a_fee),
    "fewer units returned than announced": Twist(
        at=Stage.DELIVERED, play=return_less_than_announced
    ),
    "a discount afterwards": Twist(at=Stage.DELIVERED, play=give_a_discount),
    "a credit is revoked": Twist(at=Stage.DISPATCHED, play=credit_by_mistake, method="tok_ok"),
    "paid back by transfer": Twist(at=Stage.DELIVERED, play=pay_back_by_transfer, method="tok_ok"),
    "disputed, won": Twist(at=Stage.DELIVERED, play=win_a_dispute, method="tok_ok"),
    "disputed, lost": Twist(at=Stage.DELIVERED, play=lose_a_dispute, method="tok_ok"),
    "disputed in part, lost": Twist(at=Stage.DELIVERED, play=lose_a_part, method="tok_ok"),
    "disputed after a refund": Twist(
        at=Stage.DELIVERED, play=dispute_after_a_refund, method="tok_ok"
    ),
    "disputed unasked, lost": Twist(
        at=Stage.DELIVERED, play=expect_a_dispute, method="tok_disputed"
    ),
    "disputed unasked, won": Twist(
        at=Stage.DELIVERED, play=expect_a_won_dispute, method="tok_disputed_won"
    ),
    "paid back elsewhere": Twist(
        at=Stage.DELIVERED, play=expect_a_refund, method="tok_refunded_elsewhere"
    ),
    "refund refused": Twist(at=Stage.DELIVERED, play=return_a_part, method="tok_refund_fails"),
    "refund failed late": Twist(
        at=Stage.DELIVERED, play=send_back_a_refund, method="tok_refund_fails_late"
    ),
}
