"""Orders to store, and what they are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from orders.domain.identifiers import Actor, OrderId, order_number
from orders.domain.lines import DraftLine
from orders.domain.order.order import Order
from orders.domain.pricing import OrderDraft
from orders.domain.validation import Address, Billing, BillingAddress

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)
"""Every store must keep milliseconds."""
LATER = NOW + timedelta(hours=1, milliseconds=1)
CUSTOMER = Actor.customer("customer-1")
STAFF = Actor.staff("staff-1")
TEXT = 'Zoë Ångström 東京 \U0001f4e6 "quoted" $set \\ a.b\n\tline two \u202e \u0301'
"""Text that has broken stores: astral characters, operators, paths, combining and bidi marks."""
LARGE = 2**53 - 1
"""The largest amount. It does not fit in 32 bits."""
ADDRESS = Address(
    name=TEXT.split("\n", maxsplit=1)[0],
    line1="1 Mill Lane",
    line2="Flat 2",
    city="Corcaigh",
    region="Munster",
    postal_code="T12 X70A",
    country="IE",
    phone="+353 21 000 0000",
)

BILLING = Billing(
    address=BillingAddress(
        name="Zoë Ångström",
        line1="9 Inn Row",
        line2="Floor 3",
        city="Corcaigh",
        region="Munster",
        postal_code="T12 X70B",
        country="IE",
        phone="+353 21 000 0001",
    ),
    company="Ångström & Töchter",
    vat_id="IE 1234567*",
)


def a_new_order(
    *,
    order_id: UUID | None = None,
    tenant: str = "shop",
    customer_id: str | None = CUSTOMER.subject,
    now: datetime = NOW,
    number: str | None = None,
    **draft: Any,
) -> Order:
    """A pending order of 2 x 5.00 EUR, not stored yet. Its id and number are new by default."""
    line = DraftLine(sku="MUG", name="Mug", quantity=2, unit_price=500)
    order_id = order_id or uuid4()
    return Order.place(
        replace(OrderDraft(currency="EUR", lines=(line,)), **draft),
        order_id=OrderId(order_id),
        number=number or order_number(order_id.int),
        tenant=tenant,
        customer_id=customer_id,
        expires_at=now + timedelta(days=1),
        by=CUSTOMER,
        now=now,
    )
