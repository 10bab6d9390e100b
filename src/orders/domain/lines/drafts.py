"""Draft lines: what a caller wants to order, and the lines that it becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orders.domain.errors import InvalidValue
from orders.domain.lines.line import Line, read_only_metadata, require_metadata_room
from orders.domain.lines.tax import (
    EXCLUDED_BY_LINE,
    TaxPolicy,
    TaxRule,
    rule_for,
    stated_rate,
)
from orders.domain.money import allocate
from orders.domain.validation import (
    MAX_NAME,
    OrderLimits,
    validate_amount,
    validate_flag,
    validate_sku,
    validate_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line to order. Amounts are minor units of the order's currency.

    `quantity` is 1 or more units. `unit_price` is what one unit costs before discount, with its
    tax if the draft's prices include tax; without it, the service takes the price from its price
    list. `discount` and `tax` are for the whole line. Instead of `tax` a line may state its
    `tax_rate`, a decimal from "0" to "1" such as "0.19".
    """

    sku: str
    name: str
    quantity: int
    unit_price: int | None = None
    discount: int = 0
    tax: int = 0
    shippable: bool = True
    tax_rate: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What packing needs to know of this line, such as an engraving."""


def lines_of(
    drafts: Sequence[DraftLine],
    *,
    order_discount: int,
    limits: OrderLimits,
    policy: TaxPolicy = EXCLUDED_BY_LINE,
    taxed: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Line, ...]:
    """Check draft lines, number them from "1", share `order_discount` out over them, and tax them.

    `taxed` is what the order already has at each rate; see `taxed_at`.

    Raises:
        InvalidValue: If there is no line or too many, or a value of one is not valid.
    """
    require_line_count(drafts, limits)
    checked = [_line_of(draft, index, limits) for index, draft in enumerate(drafts)]
    require_metadata_room(checked)
    worth = [line.unit_price * line.quantity - line.discount for line in checked]
    if order_discount > sum(worth):
        raise InvalidValue("discount", "must not exceed what the lines cost")
    if order_discount:
        shares = allocate(order_discount, worth)
        checked = [
            replace(line, order_discount=share) for line, share in zip(checked, shares, strict=True)
        ]
    if policy.prices_include_tax or [line for line in checked if line.tax_rule is not None]:
        return tuple(_taxed(checked, policy, Counter(taxed)))
    return tuple(checked)


def taxed_at(lines: Iterable[Line]) -> Counter[str]:
    """What lines cost at each rate, as they were ordered: the tax of the order is rounded on it."""
    sums: Counter[str] = Counter()
    for line in lines:
        if line.tax_rate is not None:
            sums[line.tax_rate] += line.price_of(line.quantity)
    return sums


def _taxed(lines: Iterable[Line], policy: TaxPolicy, taxed: Counter[str]) -> Iterator[Line]:
    """The lines, each with the rule of its tax, and with the tax at its rate."""
    for index, line in enumerate(lines):
        price, rate = line.price_of(line.quantity), line.tax_rate
        if rate is not None:
            rule = rule_for(rate, policy, taxed)
            taxed[rate] += price
            yield replace(line, tax=rule.tax_on(price), tax_rule=rule)
        elif not (line.tax and policy.prices_include_tax):
            yield line
        elif line.tax > price:
            raise InvalidValue(f"lines/{index}/tax", "must not exceed the price, which includes it")
        else:
            yield replace(line, tax_rule=TaxRule(rate=None, included=True))


def require_line_count(drafts: Sequence[DraftLine], limits: OrderLimits) -> None:
    """Check the number of lines.

    Raises:
        InvalidValue: If there is no line, or more than `limits` allow.
    """
    if not isinstance(drafts, list | tuple):
        raise InvalidValue("lines", "must be a tuple or list of DraftLine")
    if not 1 <= len(drafts) <= limits.lines:
        raise InvalidValue("lines", f"must have 1 to {limits.lines} entries")


def _line_of(draft: DraftLine, index: int, limits: OrderLimits) -> Line:
    if not isinstance(draft, DraftLine):
        raise InvalidValue(f"lines/{index}", "must be a DraftLine")
    try:
        if draft.unit_price is None:
            raise InvalidValue("unit_price", "is missing")
        price = validate_amount(draft.unit_price, "unit_price", most=limits.unit_price)
        quantity = validate_amount(draft.quantity, "quantity", least=1, most=limits.quantity)
        tax = validate_amount(draft.tax, "tax")
        return Line(
            id=str(index + 1),
            sku=validate_sku(draft.sku, "sku"),
            name=validate_text(draft.name, "name", most=MAX_NAME),
            quantity=quantity,
            unit_price=price,
            discount=validate_amount(draft.discount, "discount", most=price * quantity),
            tax=tax,
            shippable=validate_flag(draft.shippable, "shippable"),
            tax_rule=None if draft.tax_rate is None else _rule(draft.tax_rate, tax),
            metadata=(
                None if draft.metadata == {} else read_only_metadata(draft.metadata, "metadata")
            ),
        )
    except InvalidValue as refusal:
        raise InvalidValue(f"lines/{index}/{refusal.field}", refusal.problem) from None


def _rule(rate: str, tax: int) -> TaxRule:
    return TaxRule(rate=stated_rate(rate, tax, "tax_rate"), included=False)
