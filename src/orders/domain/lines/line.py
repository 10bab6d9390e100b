"""The lines of an order: what was ordered, and how many units were packed, sent and returned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from orders.domain.errors import InvalidValue, PartNotFound, QuantityExceedsAvailable
from orders.domain.lines.tax import TaxedPart, TaxRule, rounded_share
from orders.domain.money import share_of_units
from orders.domain.read_only import ReadOnlyDict, read_only
from orders.domain.validation import validate_metadata

MAX_LINE_METADATA: Final = 100_000
"""The most code points of metadata, names included, on all lines and changes of one order."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a placed order. Two lines may have one SKU, at two prices.

    Always 0 <= returned <= delivered <= shipped and shipped + allocated <= deliverable <= live.
    """

    id: str
    sku: str
    name: str
    quantity: int
    unit_price: int
    discount: int = 0
    order_discount: int = 0
    """This line's share of the discount on the whole order."""
    tax: int = 0
    """The tax on all its units, whether it was stated or follows from a rate."""
    shippable: bool = True
    cancelled: int = 0
    allocated: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0
    undeliverable: int = 0
    """Live units that nobody will deliver any more. What they cost was settled by a credit."""
    metadata: ReadOnlyDict[str, str] | None = None
    tax_rule: TaxRule | None = None
    """None: the tax was stated and is not in the price; each unit has an equal part of it."""

    @property
    def live(self) -> int:
        """Units that are not cancelled."""
        return self.quantity - self.cancelled

    @property
    def deliverable(self) -> int:
        """Units that are delivered, or still to be delivered."""
        return self.quantity - self.cancelled - self.undeliverable

    @property
    def unallocated(self) -> int:
        """Deliverable units that are in no shipment: they can still be cancelled or packed."""
        return self.deliverable - self.allocated - self.shipped

    @property
    def gross(self) -> int:
        """What the live units cost, with tax and after discounts."""
        return self.value_of(self.live)

    @property
    def tax_rate(self) -> str | None:
        """The rate that was stated."""
        return self.tax_rule.rate if self.tax_rule else None

    def value_of(self, units: int) -> int:
        """What the first `units` cost. What later units cost is the difference of two values."""
        # One share for both discounts: rounded apart, they could take a unit below zero.
        discount = self.discount + self.order_discount
        price = self.unit_price * units
        if discount:
            price -= share_of_units(discount, units=units, of=self.quantity)
        if not self.tax or (self.tax_rule and self.tax_rule.included):
            return price
        return price + self.tax_of(units)

    def tax_of(self, units: int) -> int:
        """The part of the line's tax that is on its first `units`."""
        if not self.tax or self.tax_rule is None:
            return share_of_units(self.tax, units=units, of=self.quantity)
        if self.tax_rule.rate is None:
            return rounded_share(self.price_of(units), self.tax, self.price_of(self.quantity))
        return self.tax_rule.tax_on(self.price_of(units))

    def price_of(self, units: int) -> int:
        """What the first `units` cost after discounts, before tax is added to it."""
        discount = self.discount + self.order_discount
        return self.unit_price * units - share_of_units(discount, units=units, of=self.quantity)

    def tax_in(self, amount: int) -> int:
        """The part of the line's tax that is in the first `amount` of what its units cost.

        For what whole units cost it is exactly their tax; within one unit it is in proportion.
        """
        units = bisect_right(range(1, self.quantity + 1), amount, key=self.value_of)
        tax, paid = self.tax_of(units), self.value_of(units)
        if units == self.quantity or amount <= paid:
            return tax
        unit = self.taxed_part(1, after=units)
        return tax + rounded_share(amount - paid, unit.tax, unit.gross)

    def taxed_part(self, units: int, *, after: int = 0) -> TaxedPart:
        """What `units` that follow the first `after` ones cost, and the tax in it."""
        last = after + units
        tax = self.tax_of(last) - self.tax_of(after)
        return self.part_of(self.value_of(last) - self.value_of(after), tax=tax)

    def part_of(self, gross: int, *, tax: int) -> TaxedPart:
        """A part of what the line costs, at its rate."""
        is_taxed = self.tax > 0 or self.tax_rule is not None
        return TaxedPart(self.tax_rate, gross, tax, is_taxed)


Items = Mapping[str, int]
"""Units by line id, each 1 or more: what is cancelled, packed or returned."""


def read_only_items(items: Items) -> Items:
    """A copy that cannot be written."""
    return ReadOnlyDict(items)


def read_only_metadata(metadata: Mapping[str, str], field: str) -> ReadOnlyDict[str, str] | None:
    """Checked metadata of a line, in the form that a line holds it.

    Raises:
        InvalidValue: If it is not valid.
    """
    return None if metadata == {} else ReadOnlyDict(validate_metadata(metadata, field))


def require_metadata_room(lines: Iterable[Line]) -> None:
    """Check the size of the metadata of all these lines: an order must stay small enough to store.

    Raises:
        InvalidValue: If it is more than `MAX_LINE_METADATA`.
    """
    entries = [line.metadata for line in lines if line.metadata is not None]
    if not entries:
        return
    used = sum(len(name) + len(text) for each in entries for name, text in each.items())
    if used > MAX_LINE_METADATA:
        most = f"{MAX_LINE_METADATA:,}"
        raise InvalidValue("lines", f"must have at most {most} characters of metadata in all")


def move_units(
    lines: tuple[Line, ...], items: Items, **counters: Literal[1, -1]
) -> tuple[Line, ...]:
    """Add the units of `items` to counters of their lines (1), or subtract them (-1).

    The caller has checked that the lines have these units.
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


def require_units(lines: tuple[Line, ...], items: Items, available: Mapping[str, int]) -> None:
    """Check that the lines have the units of `items` available.

    Raises:
        InvalidValue: If `items` is empty, or a number of units is not a whole number from 1.
        PartNotFound: If the order has no such line.
        QuantityExceedsAvailable: If a line has fewer units available.
    """
    if not isinstance(items, Mapping):
        raise InvalidValue("items", "must be units by line id")
    if not items:
        raise InvalidValue("items", "must name at least one line")
    known = {line.id for line in lines}
    for line_id, wanted in items.items():
        if not isinstance(line_id, str):
            raise InvalidValue("items", "line ids must be text")
        if line_id not in known:
            raise PartNotFound("line", line_id)
        if type(wanted) is not int or wanted < 1:
            raise InvalidValue("items", "quantities must be whole numbers of at least 1")
        if wanted > available.get(line_id, 0):
            raise QuantityExceedsAvailable(
                line_id, wanted=wanted, available=available.get(line_id, 0)
            )
