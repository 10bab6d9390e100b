"""One order of the day: what is known of it, and what people do with it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.shop_day.client import Json, Shop

CURRENCY: Final = "EUR"
ARTICLES: Final = (
    ("TEA", "Tea", "0.07", 499),
    ("BOOK", "Book", "0.07", 1999),
    ("MUG", "Mug", "0.19", 999),
    ("LAMP", "Lamp", "0.19", 3333),
    ("CABLE", "Cable", "0.19", 101),
)
"""SKU, name, rate of the tax that the price includes, price of one in cents."""
UNDER_WAY: Final = {"pending", "requires_action"}


@dataclass(slots=True)
class Life:
    """An order, its way of paying, and what befalls it."""

    shop: Shop
    number: int
    way: str
    twist: str
    chance: random.Random
    order: Json = field(default_factory=dict)
    received: int = 0
    """The shop's own journal: cents that came without the payment service."""
    paid_out: int = 0
    """Cents that were given back without the payment service."""
    failure: str = ""
    steps: int = 0

    @property
    def totals(self) -> Json:
        """The order's amounts."""
        totals: Json = self.order["totals"]
        return totals

    async def place(self, **members: Any) -> None:
        """A till places the order. Prices include tax."""
        lines = [
            {
                "sku": sku,
                "name": name,
                "unit_price": price,
                "tax_rate": rate,
                "quantity": self.chance.randint(1, 3),
            }
            for sku, name, rate, price in self.chance.sample(ARTICLES, self.chance.randint(2, 4))
        ]
        draft = {
            "currency": CURRENCY,
            "prices_include_tax": True,
            "lines": lines,
            "shipping": {"method": "standard", "price": 495, "tax_rate": "0.19"},
            "customer_id": f"customer-{self.number % 40}",
            "external_reference": f"day-{self.number}",
        }
        self.order = await self.shop.send(
            "till", "POST", "/orders", draft | members, Idempotency_Key=self.key()
        )

    async def do(self, who: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Have a command carried out on the order, as it is now."""
        self.order = await self.shop.send(
            who,
            "POST",
            f"/orders/{self.order['id']}{path}",
            body or {},
            Idempotency_Key=self.key(),
            If_Match=f'"{await self.version()}"' if path.endswith("/apply") else "*",
        )
        return self.order

    async def version(self) -> int:
        """The newest version of the order."""
        self.order = await self.shop.send("support", "GET", f"/orders/{self.order['id']}")
        version: int = self.order["version"]
        return version

    async def until(self, holds: Callable[[Json], bool], what: str) -> None:
        """Wait for the payment service or a worker."""
        self.order = await self.shop.until(self.order["id"], holds, what)

    async def decided(self) -> None:
        """Wait until no payment and no refund is under way."""
        await self.until(
            lambda order: (
                not any(each["status"] in UNDER_WAY for each in order["payments"])
                and not order["totals"]["pending_refunds"]
            ),
            "decided",
        )

    async def record_payment(self, amount: int, method: str) -> None:
        """Money has come to the shop; finance writes it down, and tells the service."""
        self.received += amount
        manual = {"method": method, "reference": self.key(), "received_at": now()}
        await self.do("finance", "/payments", {"amount": amount, "manual": manual})

    async def record_refund(self, amount: int) -> None:
        """The shop has given money back; finance writes it down, and tells the service."""
        self.paid_out += amount
        body = {"amount": amount, "reference": self.key(), "reason": "customer", "recorded": True}
        await self.do("finance", "/refunds", body)

    async def charges(self) -> list[Json]:
        """The order's payments as the payment service has them."""
        start = f"{self.order['id']}:"
        return [each for each in await self.shop.ledger() if each["reference"].startswith(start)]

    def key(self) -> str:
        """A name for one thing that is done, the same in each run of a seed."""
        self.steps += 1
        return f"day-{self.number}-{self.steps}"


def now() -> str:
    """The time as the API reads it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def units_left(order: Json) -> list[Json]:
    """All that is wanted and in no parcel."""
    return [
        {"line_id": line["id"], "quantity": left}
        for line in order["lines"]
        if (left := wanted(line) - line["allocated"] - line["shipped"])
    ]


def wanted(line: Json) -> int:
    """Units that are to be delivered."""
    units: int = line["quantity"] - line["cancelled"] - line["undeliverable"]
    return units
