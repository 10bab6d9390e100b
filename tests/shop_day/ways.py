"""The ways to pay for an order, from the till to the last cent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.shop_day.client import Refused
from tests.shop_day.life import Life, units_left

Step = Callable[[Life], Awaitable[None]]

AT_DISPATCH: Final = "card, captured at dispatch"
ON_DELIVERY: Final = {"terms": "on_delivery"}
INVOICE: Final = {"terms": "invoice", "due_in_days": 14}


async def nothing(life: Life) -> None:
    """Nothing needs to be done."""


async def wait(life: Life) -> None:
    """The payment service decides."""
    await life.decided()


async def pay_by_card(life: Life, **body: Any) -> None:
    await life.do("till", "/payments", {"method": "tok_ok", **body})
    await life.decided()


async def pay_with_another_card(life: Life) -> None:
    await life.decided()
    await pay_by_card(life)


async def pay_with_two_cards(life: Life) -> None:
    await pay_by_card(life, amount=life.totals["due"] // 2)
    await pay_by_card(life, capture=True)


async def pay_half_by_transfer(life: Life) -> None:
    await pay_by_card(life, amount=life.totals["due"] // 2)
    await life.record_payment(life.totals["due"] - life.totals["authorized"], "bank_transfer")


async def transfer_in_advance(life: Life) -> None:
    await life.record_payment(life.totals["outstanding"], "bank_transfer")


async def transfer_in_two_parts(life: Life) -> None:
    part = life.totals["outstanding"] // 3
    await life.record_payment(part, "bank_transfer")
    await life.record_payment(life.totals["outstanding"], "bank_transfer")


async def cheque(life: Life) -> None:
    await life.record_payment(life.totals["outstanding"], "cheque")


async def terminal(life: Life) -> None:
    await life.record_payment(life.totals["outstanding"], "card_terminal")


async def collect_cash(life: Life) -> None:
    if life.totals["outstanding"]:
        await life.record_payment(life.totals["outstanding"], "cash")


async def collect_transfer(life: Life) -> None:
    if life.totals["outstanding"]:
        await life.record_payment(life.totals["outstanding"], "bank_transfer")


async def write_off(life: Life) -> None:
    """Nobody ever pays the invoice."""
    if outstanding := life.totals["outstanding"]:
        await life.do("finance", "/credits", {"amount": outstanding, "reason": "write-off"})


async def pay_anew_after_the_hold_ended(life: Life) -> None:
    """The bank lets the authorisation lapse: nothing can be sent until it is paid anew."""
    await life.until(
        lambda order: order["status"] == "confirmed" and not order["totals"]["authorized"],
        "lapsed",
    )
    try:
        await life.do("warehouse", "/shipments", {"items": units_left(life.order)})
    except Refused as refused:
        if refused.code != "payment-not-covered":
            raise
    else:
        life.failure = "packed without cover"
    await pay_by_card(life)


async def expire(life: Life) -> None:
    await life.until(lambda order: order["status"] == "expired", "expired")


async def come_too_late(life: Life) -> None:
    """The transfer arrives when the order has expired: it goes back the same way."""
    await expire(life)
    await life.record_payment(life.totals["gross"], "bank_transfer")
    await life.record_refund(life.totals["refund_due"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an order is paid. `share` is how often, `cover` what makes it shippable."""

    share: int
    members: Mapping[str, Any] = field(default_factory=dict)
    """Of the draft."""
    cover: Step = wait
    collect: Step = nothing
    """What brings the money after delivery."""


def card(method: str, *, capture: bool = False) -> dict[str, Any]:
    return {"payment": {"method": method, "capture": capture}}


WAYS: Final[Mapping[str, Way]] = {
    AT_DISPATCH: Way(share=8, members=card("tok_ok")),
    "card, captured at once": Way(share=6, members=card("tok_ok", capture=True)),
    "card, decided later": Way(share=3, members=card("tok_pending", capture=True)),
    "card, payer asked at their bank": Way(share=3, members=card("tok_requires_action")),
    "card, service slow": Way(share=2, members=card("tok_slow")),
    "card, service unavailable twice": Way(share=2, members=card("tok_flaky")),
    "card, answer lost": Way(share=1, members=card("tok_timeout_booked")),
    "card, request lost": Way(share=1, members=card("tok_timeout_unbooked", capture=True)),
    "card, declined, then another": Way(
        share=3, members=card("tok_insufficient_funds"), cover=pay_with_another_card
    ),
    "card, authorisation lapses, then anew": Way(
        share=2,
        members=card("tok_authorization_expires"),
        cover=pay_anew_after_the_hold_ended,
    ),
    "two cards": Way(share=3, cover=pay_with_two_cards),
    "card and bank transfer": Way(share=3, cover=pay_half_by_transfer),
    "bank transfer in advance": Way(share=4, cover=transfer_in_advance),
    "bank transfer in two parts": Way(share=2, cover=transfer_in_two_parts),
    "cheque": Way(share=1, cover=cheque),
    "card terminal": Way(share=2, cover=terminal),
    "cash on delivery": Way(share=5, members=ON_DELIVERY, cover=nothing, collect=collect_cash),
    "invoice": Way(share=6, members=INVOICE, cover=nothing, collect=collect_transfer),
    "invoice that nobody pays": Way(share=1, members=INVOICE, cover=nothing, collect=write_off),
    "nobody pays": Way(share=1, members={"pay_within_seconds": 60}, cover=expire),
    "transfer that comes too late": Way(
        share=1, members={"pay_within_seconds": 60}, cover=come_too_late
    ),
}
