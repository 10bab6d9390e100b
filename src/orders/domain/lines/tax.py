"""Tax: rates, its rounding, and how much of it is on a part of an order.

Tax is rounded half up, to whole minor units. The tax of some units is the difference of two
roundings: of all units up to the last, and of all units before the first. So the tax of the parts
of a line adds up to exactly the tax of the line, however it is parted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from orders.domain.errors import InvalidValue
from orders.domain.read_only import read_only
from orders.domain.validation.values import matched

RATE: Final = re.compile(r"(?:0(?:\.[0-9]{1,6})?|1(?:\.0{1,6})?)\Z")
_DIGITS: Final = 6
_ONE: Final = 10**_DIGITS


class TaxRounding(StrEnum):
    """What tax is rounded for: each line, or all that an order has at one rate."""

    LINE = "line"
    ORDER = "order"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class TaxPolicy:
    """How the tax of an order is computed. It is fixed when the order is placed."""

    prices_include_tax: bool = False
    rounding: TaxRounding = TaxRounding.LINE


EXCLUDED_BY_LINE: Final = TaxPolicy()
"""The policy of an order that states none."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRule:
    """How the tax on some units of a line follows from their price.

    Without a rate the tax of the whole line was stated, and its parts are in proportion.
    `taxed_before` is what the order has at the same rate before this line, in minor units; 0 if
    tax is rounded by line.
    """

    rate: str | None
    included: bool
    taxed_before: int = 0

    def tax_on(self, price: int) -> int:
        """The tax on the first units of the line, which cost `price`, for a rule with a rate."""
        rate, before = self.rate or "0", self.taxed_before
        tax = tax_at(rate, before + price, included=self.included)
        return tax - tax_at(rate, before, included=self.included) if before else tax


class TaxedPart(NamedTuple):
    """What some units or the shipping cost, with their tax, and the tax in it.

    `is_taxed` says whether a rate or tax was stated for it.
    """

    rate: str | None
    gross: int
    tax: int
    is_taxed: bool


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """The tax at one rate, and what it is on, without the tax. Minor units.

    `rate` is None for tax that was stated as an amount.
    """

    rate: str | None
    taxable: int
    tax: int


def validate_rate(value: str, field: str) -> str:
    """A tax rate from "0" to "1" with at most six decimals, such as "0.19".

    Returns it without zeros at the end, so that one rate has one form.
    """
    matched(RATE, value, field, 'must be a decimal from "0" to "1" such as "0.19"')
    return value.rstrip("0").rstrip(".") if "." in value else value


def stated_rate(rate: str, tax: int, field: str) -> str:
    """The rate of something whose tax is not stated as well. Else it is refused."""
    if tax:
        raise InvalidValue(field, "must be left out where `tax` is stated")
    return validate_rate(rate, field)


def rule_for(rate: str, policy: TaxPolicy, taxed: Mapping[str, int]) -> TaxRule:
    """The rule for what an order has at a rate, after what is `taxed` at each rate already."""
    before = taxed.get(rate, 0) if policy.rounding is TaxRounding.ORDER else 0
    return TaxRule(rate=rate, included=policy.prices_include_tax, taxed_before=before)


def tax_at(rate: str, amount: int, *, included: bool) -> int:
    """The tax on an amount, rounded half up; with `included`, the tax in the amount."""
    parts = _millionths(rate)
    return rounded_share(amount, parts, _ONE + parts if included else _ONE)


def rounded_share(amount: int, numerator: int, denominator: int) -> int:
    """A share of an amount, rounded half up; 0 of 0."""
    return (2 * amount * numerator + denominator) // (2 * denominator) if amount else 0


def tax_lines(parts: Iterable[TaxedPart]) -> tuple[TaxLine, ...]:
    """Add up the taxed parts by their rate, in the order in which the rates occur first."""
    sums: dict[str | None, tuple[int, int]] = {}
    for rate, gross, tax, is_taxed in parts:
        if is_taxed:
            taxable, taxed = sums.get(rate, (0, 0))
            sums[rate] = taxable + gross - tax, taxed + tax
    return tuple(
        TaxLine(rate=rate, taxable=taxable, tax=tax) for rate, (taxable, tax) in sums.items()
    )


@lru_cache(maxsize=1_024)
def _millionths(rate: str) -> int:
    whole, _, decimals = rate.partition(".")
    return int(whole) * _ONE + int(decimals.ljust(_DIGITS, "0"))
