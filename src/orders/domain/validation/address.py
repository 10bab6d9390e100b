"""Addresses, and how an order is delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from orders.domain.read_only import read_only
from orders.domain.validation.values import (
    COUNTRY,
    MAX_TEXT,
    matched,
    validate_optional_text,
    validate_text,
)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A delivery address. `country` is ISO 3166-1 alpha-2; the rest is printed on the parcel.

    Raises:
        InvalidValue: If a part is empty, too long or not printable, or `country` is no code.
    """

    _FIELD: ClassVar[str] = "shipping/address"

    name: str
    line1: str
    city: str
    country: str
    line2: str | None = None
    region: str | None = None
    postal_code: str | None = None
    phone: str | None = None

    def __post_init__(self) -> None:
        for field in ("name", "line1", "city"):
            validate_text(getattr(self, field), f"{self._FIELD}/{field}", most=MAX_TEXT)
        for field in ("line2", "region", "postal_code", "phone"):
            validate_optional_text(getattr(self, field), f"{self._FIELD}/{field}")
        matched(COUNTRY, self.country, f"{self._FIELD}/country", "must be two capitals")


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """Where to deliver, with which shipping method, and its price in minor units.

    `tax` is the tax on the price. A draft states it, or its `tax_rate`: see `DraftLine`.
    `instructions` are for whoever packs or delivers. `quote` and `Order.place` check them.
    """

    address: Address | None = None
    method: str | None = None
    price: int = 0
    tax: int = 0
    tax_rate: str | None = None
    instructions: str | None = None
