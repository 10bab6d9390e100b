"""Prices: what a draft would cost, what an order costs, and what is still owed by or to the
customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orders.domain.errors import AmountTooLarge, InvalidValue, TotalChanged
from orders.domain.lines import DraftLine, Line, lines_of
from orders.domain.money import AMOUNT_LIMIT, exponent
from orders.domain.operations import Ledger
from orders.domain.read_only import read_only
from orders.domain.returns import Credit
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
    validate_message,
    validate_metadata,
    validate_reference,
    validate_text,
    validate_whole,
)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All amounts of an order, in minor units of its currency.

    `subtotal`, `discount`, `tax`, `shipping` and `gross` count the units that are not cancelled:
    subtotal - discount + tax + shipping = gross. `due` is gross less credits, at least 0.
    `authorized` is what can still be captured.
    """

    subtotal: int
    discount: int
    tax: int
    shipping: int
    gross: int
    credits: int = 0
    due: int = 0
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    charged_back: int = 0
    pending_refunds: int = 0

    @property
    def net(self) -> int:
        """What was captured and neither refunded nor charged back."""
        return self.captured - self.refunded - self.charged_back

    @property
    def outstanding(self) -> int:
        """What the customer still has to pay."""
        return max(0, self.due - self.net)

    @property
    def refund_due(self) -> int:
        """What the shop owes the customer and has not begun to refund."""
        return max(0, self.net - self.due - self.pending_refunds)

    @property
    def refundable(self) -> int:
        """What is kept and not being refunded."""
        return max(0, self.net - self.pending_refunds)

    @property
    def creditable(self) -> int:
        """How much credit can still be granted, however much was captured."""
        return max(0, self.gross - self.credits)


class LineTotals(NamedTuple):
    """What the live units of all lines cost: before tax and discounts, the tax, and the sum."""

    subtotal: int
    tax: int
    gross: int

    @classmethod
    def of(cls, lines: Sequence[Line]) -> LineTotals:
        """Add up lines."""
        subtotal = tax = gross = 0
        for line in lines:
            live = line.live
            subtotal += line.unit_price * live
            tax += line.tax_of(live)
            gross += line.value_of(live)
        return cls(subtotal, tax, gross)

    @classmethod
    def known_from(cls, totals: Totals) -> LineTotals:
        """The line totals that are part of known order totals."""
        return cls(totals.subtotal, totals.tax, totals.gross - totals.shipping)


def totals_of(
    lines: LineTotals,
    *,
    shipping: int,
    credits: Iterable[Credit] = (),
    ledger: Ledger = Ledger(),  # noqa: B008 - frozen
    ended_unpaid: bool = False,
) -> Totals:
    """Add up an order. `ended_unpaid`: it is cancelled or expired, so nothing is due.

    Raises:
        AmountTooLarge: If the total is 2**53 minor units or more.
    """
    subtotal, tax, lines_gross = lines
    gross = lines_gross + shipping
    if max(gross, subtotal + tax + shipping) >= AMOUNT_LIMIT:
        raise AmountTooLarge
    credited = sum(credit.amount for credit in credits)
    return Totals(
        subtotal=subtotal,
        discount=subtotal + tax - lines_gross,
        tax=tax,
        shipping=shipping,
        gross=gross,
        credits=credited,
        due=0 if ended_unpaid else max(0, gross - credited),
        authorized=sum(payment.capturable_amount for payment in ledger.payments),
        captured=sum(payment.captured for payment in ledger.payments),
        refunded=sum(payment.refunded for payment in ledger.payments),
        charged_back=sum(payment.charged_back for payment in ledger.payments),
        pending_refunds=ledger.pending_refunds(),
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
    contact: Contact | None = None
    billing: Billing | None = None
    gift_message: str | None = None
    """What the recipient reads: 1 to 1,000 characters."""


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
    _check_people(draft)
    discount = validate_amount(draft.discount, "discount")
    lines = lines_of(draft.lines, order_discount=discount, limits=limits)
    totals = totals_of(LineTotals.of(lines), shipping=_shipping_price(draft.shipping))
    expected = draft.expected_total
    if expected is not None and validate_whole(expected, "expected_total") != totals.gross:
        raise TotalChanged(stated=expected, actual=totals.gross)
    return Quote(currency=draft.currency, lines=lines, totals=totals)


def _check_people(draft: OrderDraft) -> None:
    if draft.contact is not None:
        validate_contact(draft.contact)
    if draft.billing is not None:
        validate_billing(draft.billing)
    if draft.gift_message is not None:
        validate_message(draft.gift_message, "gift_message")


def _shipping_price(shipping: Shipping | None) -> int:
    if shipping is None:
        return 0
    if not isinstance(shipping, Shipping):
        raise InvalidValue("shipping", "must be Shipping")
    if shipping.address is not None and not isinstance(shipping.address, Address):
        raise InvalidValue("shipping/address", "must be an Address")
    if shipping.method is not None:
        validate_code(shipping.method, "shipping/method")
    if shipping.instructions is not None:
        validate_message(shipping.instructions, "shipping/instructions")
    return validate_amount(shipping.price, "shipping/price")
