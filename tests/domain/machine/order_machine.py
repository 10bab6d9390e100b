"""One order under random commands and facts, judged by the invariants after every step.

To drive something new, write a rule in the part that it belongs to, or another part, and say in
`invariants` or `books` what must be true after it. `__main__` counts how often each event happens.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from orders.domain.lines import DraftLine, TaxRounding
from orders.domain.payments import PaymentTerms, ProviderStatus, TermsKind
from orders.domain.pricing import Confirmation
from orders.domain.validation import Shipping as ShippingWanted
from tests.domain.machine import invariants
from tests.domain.machine.amounts import check_tax_at_placing
from tests.domain.machine.rules.changing import LINES, RATES, Changing
from tests.domain.machine.rules.goods import Returning, Shipping
from tests.domain.machine.rules.manual import ByHand
from tests.domain.machine.rules.paying import Paying
from tests.support.orders import CUSTOMER, a_placed_order

START = st.sampled_from(
    [
        *("placed", "asked", "authorized", "captured", "sent", "delivered"),
        *("reduced", "cancelled", "refunding", "refunded", "expired", "packed", "uncovered"),
    ]
)
"""How far an order has come when chance takes over: most of an order's life is late."""


TERMS = st.sampled_from(
    [
        *(None,) * 5,
        PaymentTerms(kind=TermsKind.ON_DELIVERY),
        PaymentTerms(kind=TermsKind.INVOICE, due_in_days=14),
    ]
)
SHIPPING = st.builds(
    lambda price, tax, rate: ShippingWanted(
        price=price, tax=0 if rate else min(tax, price), tax_rate=rate
    ),
    st.integers(0, 9),
    st.integers(0, 2),
    st.none() | st.sampled_from(RATES),
)


DRAFT = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from([CUSTOMER.subject, CUSTOMER.subject, None]),
        "currency": st.sampled_from(["EUR", "EUR", "JPY", "BHD", "CLF"]),
        "prices_include_tax": st.booleans(),
        "tax_rounding": st.sampled_from(TaxRounding),
        "terms": TERMS,
        "confirmation": st.sampled_from([*(Confirmation.AUTOMATIC,) * 4, Confirmation.MANUAL]),
        "holds": st.sampled_from([(), (), (), (), ("fraud",), ("fraud", "address")]),
    }
)


class OrderMachine(Paying, ByHand, Shipping, Returning, Changing):
    """Everything that may happen to an order."""

    @initialize(
        lines=LINES,
        shipping=SHIPPING,
        discount=st.integers(0, 5),
        draft=DRAFT,
        lists_parts=st.sampled_from([True, True, False]),
        start=START,
    )
    def place(
        self,
        lines: list[DraftLine],
        shipping: ShippingWanted,
        discount: int,
        draft: dict[str, Any],
        lists_parts: bool,
        start: str,
    ) -> None:
        worth = sum(line.quantity * (line.unit_price or 0) for line in lines)
        # Tax that is stated and included has to fit into what the discount leaves.
        is_tight = draft["prices_include_tax"] and any(line.tax for line in lines)
        order = a_placed_order(
            lines=tuple(lines),
            shipping=shipping,
            discount=0 if is_tight else min(discount, worth),
            **draft,
        )
        check_tax_at_placing(order.state)
        self.begin(order, lists_parts=lists_parts)
        self.come_to(start)

    def come_to(self, start: str) -> None:
        match start:
            case "asked" | "cancelled":
                self.pay(None, True)
            case "authorized" | "reduced" | "packed" | "uncovered":
                self.pay_what_is_left(ProviderStatus.AUTHORIZED)
            case "expired":
                self.pay_what_is_left(ProviderStatus.DECLINED)
                self.expire()
            case "captured" | "refunding" | "refunded" | "sent" | "delivered":
                self.pay_what_is_left(ProviderStatus.CAPTURED)
            case _:
                pass
        if start == "reduced":
            self.cancel_items(0, 1 - invariants.left(self.state.lines[-1]))
            self.pack_what_was_ordered(0)
        if start in {"cancelled", "refunding", "refunded"}:
            self.cancel("customer")
        if start == "refunded":
            self.answer_all()
        if start in {"packed", "uncovered"}:
            self.pack(0, 0)
        if start == "uncovered" and self.payments.accounts:
            self.authorization_ends(0, True)
        if start in {"sent", "delivered"}:
            self.send_all(start == "delivered")
