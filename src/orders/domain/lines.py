"""The lines of an order: what was ordered, and how many units were packed, sent and returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from orders.domain.errors import InvalidValue, PartNotFound, QuantityExceedsAvailable
from orders.domain.money import allocate, share_of_units
from orders.domain.read_only import ReadOnlyDict, read_only
from orders.domain.validation import (
    MAX_NAME,
    OrderLimits,
    validate_amount,
    validate_flag,
    validate_metadata,
    validate_sku,
    validate_text,
)

MAX_LINE_METADATA: Final = 100_000
"""The most code points of metadata, names included, on all lines and changes of one order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line to order. Amounts are minor units of the order's currency.

    `quantity` is 1 or more units. `unit_price` is what one unit costs before tax and discount;
    without it, the service takes the price from its price list. `discount` and `tax` are for the
    whole line.
    """

    sku: str
    name: str
    quantity: int
    unit_price: int | None = None
    discount: int = 0
    tax: int = 0
    shippable: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What packing needs to know of this line, such as an engraving."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a placed order. Two lines may have one SKU, at two prices.

    Always 0 <= returned <= delivered <= shipped and shipped + allocated <= live.
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
    shippable: bool = True
    cancelled: int = 0
    allocated: int = 0
    shipped: int = 0
    delivered: int = 0
    returned: int = 0
    metadata: ReadOnlyDict[str, str] | None = None

    @property
    def live(self) -> int:
        """Units that are not cancelled."""
        return self.quantity - self.cancelled

    @property
    def unallocated(self) -> int:
        """Live units that are in no shipment: they can still be cancelled or packed."""
        return self.live - self.allocated - self.shipped

    @property
    def gross(self) -> int:
        """What the live units cost, with tax and after discounts."""
        return self.value_of(self.live)

    def value_of(self, units: int) -> int:
        """What the first `units` cost. What later units cost is the difference of two values."""
        # One share for both discounts: rounded apart, they could take a unit below zero.
        discount = self.discount + self.order_discount
        price = self.unit_price * units
        if not discount and not self.tax:
            return price
        return price + self.tax_of(units) - share_of_units(discount, units=units, of=self.quantity)

    def tax_of(self, units: int) -> int:
        """The part of the line's tax that is on its first `units`."""
        return share_of_units(self.tax, units=units, of=self.quantity)


Items = Mapping[str, int]
"""Units by line id, each 1 or more: what is cancelled, packed or returned."""


def read_only_items(items: Items) -> Items:
    """A copy that cannot be written."""
    return ReadOnlyDict(items)


def lines_of(
    drafts: Sequence[DraftLine], *, order_discount: int, limits: OrderLimits
) -> tuple[Line, ...]:
    """Check draft lines, number them from "1", and share `order_discount` out over them.

    Raises:
        InvalidValue: If there is no line or too many, or a value of one is not valid.
    """
    require_line_count(drafts, limits)
    checked = [_line_of(draft, index, limits) for index, draft in enumerate(drafts)]
    require_metadata_room(checked)
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
    """Check the number of lines.

    Raises:
        InvalidValue: If there is no line, or more than `limits` allow.
    """
    if not isinstance(drafts, list | tuple):
        raise InvalidValue("lines", "must be a tuple or list of DraftLine")
    if not 1 <= len(drafts) <= limits.lines:
        raise InvalidValue("lines", f"must have 1 to {limits.lines} entries")


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
    entries = (line.metadata for line in lines if line.metadata is not None)
    used = sum(len(name) + len(text) for each in entries for name, text in each.items())
    if used > MAX_LINE_METADATA:
        most = f"{MAX_LINE_METADATA:,}"
        raise InvalidValue("lines", f"must have at most {most} characters of metadata in all")


def _line_of(draft: DraftLine, index: int, limits: OrderLimits) -> Line:
    if not isinstance(draft, DraftLine):
        raise InvalidValue(f"lines/{index}", "must be a DraftLine")
    try:
        if draft.unit_price is None:
            raise InvalidValue("unit_price", "is missing")
        price = validate_amount(draft.unit_price, "unit_price", most=limits.unit_price)
        quantity = validate_amount(draft.quantity, "quantity", least=1, most=limits.quantity)
        return Line(
            id=str(index + 1),
            sku=validate_sku(draft.sku, "sku"),
            name=validate_text(draft.name, "name", most=MAX_NAME),
            quantity=quantity,
            unit_price=price,
            discount=validate_amount(draft.discount, "discount", most=price * quantity),
            tax=validate_amount(draft.tax, "tax"),
            shippable=validate_flag(draft.shippable, "shippable"),
            metadata=read_only_metadata(draft.metadata, "metadata"),
        )
    except InvalidValue as refusal:
        raise InvalidValue(f"lines/{index}/{refusal.field}", refusal.problem) from None


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
