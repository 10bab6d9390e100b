"""An order before it is one: what the caller asks for, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orders.domain.errors import TotalChanged
from orders.domain.lines import DraftLine, Line, lines_of
from orders.domain.money import exponent
from orders.domain.totals import LineTotals, Totals, totals_of
from orders.domain.validation import (
    MAX_NOTE,
    OrderLimits,
    Shipping,
    validate_amount,
    validate_code,
    validate_metadata,
    validate_reference,
    validate_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """What is to be ordered. Amounts are minor units of `currency`.

    `discount` is on the whole order and is shared out over the lines. With an `expected_total`
    the order is placed at that price or not at all.
    """

    currency: str
    lines: tuple[DraftLine, ...]
    shipping: Shipping | None = None
    discount: int = 0
    external_reference: str | None = None
    note: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expected_total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a draft costs: exactly what an order placed from it would."""

    currency: str
    lines: tuple[Line, ...]
    totals: Totals


def quote(draft: OrderDraft, *, limits: OrderLimits) -> Quote:
    """Check a draft and add it up.

    Raises:
        InvalidValue: If something in it cannot be ordered; the error names the field.
        TotalChanged: If it does not cost what the caller expects.
    """
    exponent(draft.currency)
    if draft.external_reference is not None:
        validate_reference(draft.external_reference, "external_reference")
    if draft.note is not None:
        validate_text(draft.note, "note", most=MAX_NOTE)
    validate_metadata(draft.metadata, "metadata")
    discount = validate_amount(draft.discount, "discount")
    lines = lines_of(draft.lines, order_discount=discount, limits=limits)
    totals = totals_of(LineTotals.of(lines), shipping=_shipping_price(draft.shipping))
    if draft.expected_total not in (None, totals.gross):
        raise TotalChanged(stated=draft.expected_total or 0, actual=totals.gross)
    return Quote(currency=draft.currency, lines=lines, totals=totals)


def _shipping_price(shipping: Shipping | None) -> int:
    if shipping is None:
        return 0
    if shipping.method is not None:
        validate_code(shipping.method, "shipping/method")
    return validate_amount(shipping.price, "shipping/price")
