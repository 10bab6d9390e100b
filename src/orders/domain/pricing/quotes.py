"""Quotes: what a draft of an order would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orders.domain.errors import InvalidValue, TotalChanged
from orders.domain.lines import DraftLine, Line, lines_of
from orders.domain.money import exponent
from orders.domain.pricing.totals import LineTotals, Totals, totals_of
from orders.domain.validation import (
    MAX_NOTE,
    Address,
    OrderLimits,
    Shipping,
    validate_amount,
    validate_code,
    validate_metadata,
    validate_reference,
    validate_text,
    validate_whole,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """What a caller wants to order. Amounts are minor units of `currency` (ISO 4217).

    `discount` is for the whole order; it is shared out over the lines. With `expected_total`,
    the order is placed at exactly this price or not at all. `quote` and `Order.place` check it.
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
    """What a draft costs, and so exactly what an order placed from it costs."""

    currency: str
    lines: tuple[Line, ...]
    totals: Totals


def quote(
    draft: OrderDraft,
    *,
    limits: OrderLimits = OrderLimits(),  # noqa: B008 - frozen
) -> Quote:
    """Check a draft and add it up. May be repeated.

    Raises:
        InvalidValue: If a value of it is not valid; `field` says which.
        TotalChanged: If it does not cost its `expected_total`.
    """
    if not isinstance(draft, OrderDraft):
        raise InvalidValue("draft", "must be an OrderDraft")
    exponent(draft.currency)
    if draft.external_reference is not None:
        validate_reference(draft.external_reference, "external_reference")
    if draft.note is not None:
        validate_text(draft.note, "note", most=MAX_NOTE)
    validate_metadata(draft.metadata, "metadata")
    discount = validate_amount(draft.discount, "discount")
    lines = lines_of(draft.lines, order_discount=discount, limits=limits)
    totals = totals_of(LineTotals.of(lines), shipping=_shipping_price(draft.shipping))
    expected = draft.expected_total
    if expected is not None and validate_whole(expected, "expected_total") != totals.gross:
        raise TotalChanged(stated=expected, actual=totals.gross)
    return Quote(currency=draft.currency, lines=lines, totals=totals)


def _shipping_price(shipping: Shipping | None) -> int:
    if shipping is None:
        return 0
    if not isinstance(shipping, Shipping):
        raise InvalidValue("shipping", "must be Shipping")
    if shipping.address is not None and not isinstance(shipping.address, Address):
        raise InvalidValue("shipping/address", "must be an Address")
    if shipping.method is not None:
        validate_code(shipping.method, "shipping/method")
    return validate_amount(shipping.price, "shipping/price")
