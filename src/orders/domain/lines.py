"""The lines of an order: what was ordered, and how far each unit has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orders.domain.errors import InvalidValue, PartNotFound, QuantityExceedsAvailable
from orders.domain.identifiers import PartId
from orders.domain.money import allocate, share_of_units
from orders.domain.validation import (
    MAX_NAME,
    OrderLimits,
    validate_amount,
    validate_sku,
    validate_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """A line as asked for. Amounts are minor units of the order's currency.

    `discount` and `tax` are for the whole line. Without a `unit_price` the price list gives it.
    """

    sku: str
    name: str
    quantity: int
    unit_price: int | None = None
    discount: int = 0
    tax: int = 0
    shippable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a placed order. Two lines may have one SKU, at two prices.

    Always 0 <= returned <= delivered <= shipped and shipped + allocated <= live.
    """

    id: PartId
    sku: str
    name: str
    quantity: int
    unit_price: int
    discount: int = 0
    order_discount: int = 0
    """This line's share of the discount on the whole order."""
    tax: int = 0
    shippable: bool = True
    cancelled: int = 0
    allocated: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0

    @property
    def live(self) -> int:
        """Units that are still wanted."""
        return self.quantity - self.cancelled

    @property
    def unallocated(self) -> int:
        """Live units in no shipment: they can still be cancelled or packed."""
        return self.live - self.allocated - self.shipped

    @property
    def gross(self) -> int:
        """What the live units cost, tax in and discounts off."""
        return self.value_of(self.live)

    def value_of(self, units: int) -> int:
        """What the first `units` cost. Differences of this are what any later run costs."""
        # Both discounts in one share: apart, their roundings could take a unit below zero.
        discount = self.discount + self.order_discount
        price = self.unit_price * units
        if not discount and not self.tax:
            return price
        return price + self.tax_of(units) - share_of_units(discount, units=units, of=self.quantity)

    def tax_of(self, units: int) -> int:
        """The part of the line's tax that its first `units` carry."""
        return share_of_units(self.tax, units=units, of=self.quantity)


Items = Mapping[PartId, int]
"""Units by line id: what a cancellation, a shipment or a return is about."""


def lines_of(
    drafts: Sequence[DraftLine], *, order_discount: int, limits: OrderLimits
) -> tuple[Line, ...]:
    """Check what was asked for and give every line its number and share of the discount.

    Raises:
        InvalidValue: If there is no line or too many, or one of them is not possible.
    """
    require_line_count(drafts, limits)
    checked = [_line_of(draft, index, limits) for index, draft in enumerate(drafts)]
    worth = [line.unit_price * line.quantity - line.discount for line in checked]
    if order_discount > sum(worth):
        raise InvalidValue("discount", "must not exceed what the lines cost")
    if not order_discount:
        return tuple(checked)
    shares = allocate(order_discount, worth)
    return tuple(
        replace(line, order_discount=share) for line, share in zip(checked, shares, strict=True)
    )


def require_line_count(drafts: Sequence[DraftLine], limits: OrderLimits) -> None:
    """Check that there is a line, and not too many.

    Raises:
        InvalidValue: If not.
    """
    if not 1 <= len(drafts) <= limits.lines:
        raise InvalidValue("lines", f"must have 1 to {limits.lines} entries")


def _line_of(draft: DraftLine, index: int, limits: OrderLimits) -> Line:
    try:
        if draft.unit_price is None:
            raise InvalidValue("unit_price", "is missing")
        price = validate_amount(draft.unit_price, "unit_price", most=limits.unit_price)
        quantity = validate_amount(draft.quantity, "quantity", least=1, most=limits.quantity)
        return Line(
            id=PartId(str(index + 1)),
            sku=validate_sku(draft.sku, "sku"),
            name=validate_text(draft.name, "name", most=MAX_NAME),
            quantity=quantity,
            unit_price=price,
            discount=validate_amount(draft.discount, "discount", most=price * quantity),
            tax=validate_amount(draft.tax, "tax"),
            shippable=draft.shippable,
        )
    except InvalidValue as refusal:
        raise InvalidValue(f"lines/{index}/{refusal.field}", refusal.problem) from None


def move_units(
    lines: tuple[Line, ...], items: Items, **counters: Literal[1, -1]
) -> tuple[Line, ...]:
    """Add the units of `items` to some counters of their lines, or take them off.

    The caller has checked that there are as many.
    """
    return tuple(
        replace(
            line,
            **{
                name: getattr(line, name) + sign * items[line.id] for name, sign in counters.items()
            },
        )
        if line.id in items
        else line
        for line in lines
    )


def require_units(lines: tuple[Line, ...], items: Items, available: Mapping[PartId, int]) -> None:
    """Check that each line has the units asked for.

    Raises:
        InvalidValue: If nothing is asked for, or a number below 1.
        PartNotFound: If there is no such line.
        QuantityExceedsAvailable: If a line has fewer.
    """
    if not items:
        raise InvalidValue("items", "must name at least one line")
    known = {line.id for line in lines}
    for line_id, wanted in items.items():
        if line_id not in known:
            raise PartNotFound("line", line_id)
        if wanted < 1:
            raise InvalidValue("items", "quantities must be at least 1")
        if wanted > available.get(line_id, 0):
            raise QuantityExceedsAvailable(
                line_id, wanted=wanted, available=available.get(line_id, 0)
            )
