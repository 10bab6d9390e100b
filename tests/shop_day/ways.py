"""The ways to pay for an order, from the till to the last cent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.shop_day.life import Life

Step = Callable[[Life], Awaitable[None]]


async def nothing(life: Life) -> None:
    """Nothing needs to be done."""


async def wait(life: Life) -> None:
    """The payment service decides."""
    await life.decided()


async def pay_with_another_card(life: Life) -> None:
    await life.decided()
    await life.do("till", "/payments", {"method": "tok_ok"})
    await life.decided()


async def pay_with_two_cards(life: Life) -> None:
    half = life.totals["due"] // 2
    await life.do("till", "/payments", {"method": "tok_ok", "amount": half})
    await life.do("till", "/payments", {"method": "tok_ok", "capture": True})
    await life.decided()


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
    "card, captured at dispatch": Way(share=10, members=card("tok_ok")),
    "card, captured at once": Way(share=8, members=card("tok_ok", capture=True)),
    "card, decided later": Way(share=4, members=card("tok_pending", capture=True)),
    "card, service slow": Way(share=2, members=card("tok_slow")),
    "card, service unavailable twice": Way(share=3, members=card("tok_flaky")),
    "card, answer lost": Way(share=1, members=card("tok_timeout_booked")),
    "card, request lost": Way(share=1, members=card("tok_timeout_unbooked", capture=True)),
    "card, declined, then another": Way(
        share=4, members=card("tok_insufficient_funds"), cover=pay_with_another_card
    ),
    "two cards": Way(share=4, cover=pay_with_two_cards),
}
