"""Changes of what was ordered: units to remove and lines to add, agreed before they apply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orders.domain.identifiers import ActorKind
from orders.domain.lines import Items, Line
from orders.domain.read_only import freeze, read_only
from orders.domain.validation import Shipping


class ChangeStatus(StrEnum):
    """A proposed change has no effect yet. An order has at most one proposed change."""

    PROPOSED = "proposed"
    APPLIED = "applied"
    DECLINED = "declined"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingChange:
    """Another shipping method, and its price in minor units. The address stays as it is.

    `tax` is the tax on the price. A change states it, or its `tax_rate`; without both the rate
    stays as it is.
    """

    method: str
    price: int = 0
    tax: int = 0
    tax_rate: str | None = None

    def applied_to(self, shipping: Shipping | None) -> Shipping:
        """Shipping with this method, price and tax."""
        before = shipping or Shipping()
        rate = before.tax_rate if self.tax_rate is None and self.tax == 0 else self.tax_rate
        return replace(before, method=self.method, price=self.price, tax=self.tax, tax_rate=rate)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of an order's lines or shipping method, and what the order then costs.

    More units of an item are a new line: existing lines keep their price, tax and discounts.
    """

    id: str
    removed: Items
    added: tuple[Line, ...]
    """The new lines, with their ids. No other lines are added while the change is open."""
    reason: str
    base_version: int
    """The order's version when the change was proposed; 0 if it was not stored yet."""
    gross: int
    """What the order costs with the change, in minor units. It is applied at this price only."""
    created_at: datetime
    status: ChangeStatus = ChangeStatus.PROPOSED
    shipping: ShippingChange | None = None
    """None leaves the shipping method as it is."""
    proposed_by: ActorKind | None = None
    """None if it was proposed before this was recorded."""

    def __post_init__(self) -> None:
        freeze(self, "removed")

    @property
    def is_applied(self) -> bool:
        """Whether the change has taken effect."""
        return self.status is ChangeStatus.APPLIED

    @property
    def waits_for_customer(self) -> bool:
        """Whether staff have proposed it, so that only its customer has not agreed yet."""
        return self.status is ChangeStatus.PROPOSED and self.proposed_by is ActorKind.STAFF
