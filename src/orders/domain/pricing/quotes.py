"""Quotes: what a draft of an order would cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from orders.domain.errors import InvalidValue, TotalChanged
from orders.domain.lines import (
    EXCLUDED_BY_LINE,
    DraftLine,
    Line,
    TaxPolicy,
    TaxRounding,
    lines_of,
    rule_for,
    stated_rate,
    taxed_at,
)
from orders.domain.money import exponent
from orders.domain.payments import PaymentTerms
from orders.domain.pricing.totals import LineTotals, Totals, totals_of
from orders.domain.validation import (
    MAX_NOTE,
    Address,
    Billing,
    Contact,
    OrderLimits,
    Shipping,
    validate_amount,
    validate_billing,
    validate_code,
    validate_contact,
    validate_flag,
    validate_kind,
    validate_message,
    validate_metadata,
    validate_reference,
    validate_text,
    validate_whole,
)

MAX_FIRST_HOLDS: Final = 20
"""The most holds that an order can be placed with."""


class Confirmation(StrEnum):
    """Who confirms an order: the order itself once it is covered, or only staff."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """What a caller wants to order. Amounts are minor units of `currency` (ISO 4217).

    `discount` is for the whole order; it is shared out over the lines. With `expected_total`,
    the order is placed at exactly this price or not at all. `quote` and `Order.place` check it.
    With `prices_include_tax`, all prices and discounts are with tax; None says what False says,
    unless the service takes prices from a price list that includes tax. The order keeps its
    `tax_rounding`, which is the service's to set.

    `holds` are codes that say why it is held from the start, at most 20. With manual
    `confirmation` it does not confirm itself.
    """

    currency: str
    lines: tuple[DraftLine, ...]
    shipping: Shipping | None = None
    discount: int = 0
    external_reference: str | None = None
    note: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expected_total: int | None = None
    terms: PaymentTerms | None = None
    prices_include_tax: bool | None = None
    contact: Contact | None = None
    billing: Billing | None = None
    gift_message: str | None = None
    """What the recipient reads: 1 to 1,000 characters."""
    tax_rounding: TaxRounding = TaxRounding.LINE
    holds: tuple[str, ...] = ()
    confirmation: Confirmation = Confirmation.AUTOMATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a draft costs, and so exactly what an order placed from it costs."""

    currency: str
    lines: tuple[Line, ...]
    totals: Totals
    shipping: Shipping | None = None
    tax_policy: TaxPolicy | None = None
    """None: prices exclude tax, and it is rounded by line."""


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
    _check(draft)
    policy = _policy(draft)
    lines = lines_of(draft.lines, order_discount=draft.discount, limits=limits, policy=policy)
    shipping = taxed_shipping(draft.shipping, lines, policy)
    totals = totals_of(LineTotals.of(lines, policy), shipping=shipping, policy=policy)
    expected = draft.expected_total
    if expected is not None and validate_whole(expected, "expected_total") != totals.gross:
        raise TotalChanged(stated=expected, actual=totals.gross)
    return Quote(
        currency=draft.currency,
        lines=lines,
        totals=totals,
        shipping=shipping,
        tax_policy=None if policy is EXCLUDED_BY_LINE else policy,
    )


def _check(draft: OrderDraft) -> None:
    if not isinstance(draft, OrderDraft):
        raise InvalidValue("draft", "must be an OrderDraft")
    exponent(draft.currency)
    if draft.external_reference is not None:
        validate_reference(draft.external_reference, "external_reference")
    if draft.note is not None:
        validate_text(draft.note, "note", most=MAX_NOTE)
    validate_metadata(draft.metadata, "metadata")
    if draft.terms is not None:
        validate_kind(draft.terms, PaymentTerms, "terms")
    validate_amount(draft.discount, "discount")
    validate_kind(draft.confirmation, Confirmation, "confirmation")
    _check_holds(draft.holds)
    _check_people(draft)


def _check_people(draft: OrderDraft) -> None:
    if draft.contact is not None:
        validate_contact(draft.contact)
    if draft.billing is not None:
        validate_billing(draft.billing)
    if draft.gift_message is not None:
        validate_message(draft.gift_message, "gift_message")


def _check_holds(reasons: Sequence[str]) -> None:
    if not isinstance(reasons, list | tuple):
        raise InvalidValue("holds", "must be a tuple or list of codes")
    if len(reasons) > MAX_FIRST_HOLDS:
        raise InvalidValue("holds", f"must have at most {MAX_FIRST_HOLDS} entries")
    for index, reason in enumerate(reasons):
        validate_code(reason, f"holds/{index}")
    if len({*reasons}) < len(reasons):
        raise InvalidValue("holds", "must contain each reason once")


def _policy(draft: OrderDraft) -> TaxPolicy:
    included, rounding = draft.prices_include_tax, draft.tax_rounding
    validate_kind(rounding, TaxRounding, "tax_rounding")
    if included is not None:
        validate_flag(included, "prices_include_tax")
    if not included and rounding is TaxRounding.LINE:
        return EXCLUDED_BY_LINE
    return TaxPolicy(prices_include_tax=bool(included), rounding=rounding)


def taxed_shipping(
    shipping: Shipping | None, lines: Iterable[Line], policy: TaxPolicy
) -> Shipping | None:
    """Check a draft's shipping, and add the tax at its rate. `lines` are those of the order.

    Raises:
        InvalidValue: If a value of it is not valid.
    """
    if shipping is None:
        return None
    if not isinstance(shipping, Shipping):
        raise InvalidValue("shipping", "must be Shipping")
    if shipping.address is not None and not isinstance(shipping.address, Address):
        raise InvalidValue("shipping/address", "must be an Address")
    if shipping.method is not None:
        validate_code(shipping.method, "shipping/method")
    if shipping.instructions is not None:
        validate_message(shipping.instructions, "shipping/instructions")
    price = validate_amount(shipping.price, "shipping/price")
    tax = validate_amount(shipping.tax, "shipping/tax")
    if shipping.tax_rate is None:
        if policy.prices_include_tax and tax > price:
            raise InvalidValue("shipping/tax", "must not exceed the price, which includes it")
        return shipping
    rate = stated_rate(shipping.tax_rate, tax, "shipping/tax_rate")
    rule = rule_for(rate, policy, taxed_at(lines))
    return replace(shipping, tax=rule.tax_on(price), tax_rate=rate)
