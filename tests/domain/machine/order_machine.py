"""One order under random commands and facts, judged by the invariants after every step.

To drive something new, write a rule in the part that it belongs to, or another part, and say in
`invariants` or `books` what must be true after it. `__main__` counts how often each event happens.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from orders.domain.lines import DraftLine
from orders.domain.payments import ProviderStatus
from orders.domain.validation import Shipping as ShippingWanted
from tests.domain.machine import invariants
from tests.domain.machine.changing import LINES, Changing
from tests.domain.machine.goods import Returning, Shipping
from tests.domain.machine.paying import Paying
from tests.support.orders import a_placed_order

START = st.sampled_from(
    [
        *("placed", "asked", "authorized", "captured", "sent", "delivered"),
        *("reduced", "cancelled", "refunding", "expired"),
    ]
)
"""How far an order has come when chance takes over: most of an order's life is late."""


class OrderMachine(Paying, Shipping, Returning, Changing):
    """Everything that may happen to an order."""

    @initialize(
        lines=LINES,
        discount=st.integers(0, 5),
        shipping=st.integers(0, 9),
        currency=st.sampled_from(["EUR", "EUR", "JPY", "BHD", "CLF"]),
        start=START,
    )
    def place(
        self, lines: list[DraftLine], discount: int, shipping: int, currency: str, start: str
    ) -> None:
        worth = sum(line.quantity * (line.unit_price or 0) for line in lines)
        order = a_placed_order(
            currency=currency,
            lines=tuple(lines),
            discount=min(discount, worth),
            shipping=ShippingWanted(price=shipping),
        )
        self.begin(order)
        self.come_to(start)

    def come_to(self, start: str) -> None:
        match start:
            case "asked" | "cancelled":
                self.pay(None, True)
            case "authorized" | "reduced":
                self.pay_what_is_left(ProviderStatus.AUTHORIZED)
            case "expired":
                self.pay_what_is_left(ProviderStatus.DECLINED)
                self.expire()
            case "captured" | "refunding" | "sent" | "delivered":
                self.pay_what_is_left(ProviderStatus.CAPTURED)
            case _:
                pass
        if start == "reduced":
            self.cancel_items(0, 1 - invariants.left(self.state.lines[-1]))
        if start in {"cancelled", "refunding"}:
            self.cancel("customer")
        if start in {"sent", "delivered"}:
            self.send_all(start == "delivered")
