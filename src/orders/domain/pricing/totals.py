"""The totals of an order: what it costs, and what is still owed by or to the customer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orders.domain.errors import AmountTooLarge
from orders.domain.lines import Line, TaxedPart, TaxLine, TaxPolicy, tax_lines
from orders.domain.money import AMOUNT_LIMIT
from orders.domain.payments import Ledger
from orders.domain.read_only import read_only
from orders.domain.returns import Credit
from orders.domain.validation import Shipping


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All amounts of an order, in minor units of its currency.

    `subtotal`, `discount`, `tax`, `shipping` and `gross` count the units that are not cancelled:
    subtotal - discount + tax + shipping = gross; without the tax, where prices include it. `tax`
    has the tax on shipping, too. `due` is gross less credits, at least 0. `authorized` is what can
    still be captured.
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
    """What the live units of all lines cost: before discounts and added tax, the discounts, the
    tax, and the sum.
    """

    subtotal: int
    discount: int
    tax: int
    gross: int

    @classmethod
    def of(cls, lines: Sequence[Line], policy: TaxPolicy | None) -> LineTotals:
        """Add up lines."""
        subtotal = tax = gross = 0
        for line in lines:
            live = line.live
            subtotal += line.unit_price * live
            tax += line.tax_of(live)
            gross += line.value_of(live)
        return cls(subtotal, subtotal + _added(tax, policy) - gross, tax, gross)

    @classmethod
    def known_from(
        cls, totals: Totals, shipping: Shipping | None, policy: TaxPolicy | None
    ) -> LineTotals:
        """The line totals that are part of known order totals with this shipping."""
        tax = shipping.tax if shipping else 0
        gross = totals.gross - totals.shipping - _added(tax, policy)
        return cls(totals.subtotal, totals.discount, totals.tax - tax, gross)


def totals_of(
    lines: LineTotals,
    *,
    shipping: Shipping | None,
    policy: TaxPolicy | None,
    credits: Iterable[Credit] = (),
    ledger: Ledger = Ledger(),  # noqa: B008 - frozen
    ended_unpaid: bool = False,
) -> Totals:
    """Add up an order. `ended_unpaid`: it is cancelled or expired, so nothing is due.

    Raises:
        AmountTooLarge: If the total is 2**53 minor units or more.
    """
    price, shipping_tax = (shipping.price, shipping.tax) if shipping else (0, 0)
    tax = lines.tax + shipping_tax
    gross = lines.gross + price + _added(shipping_tax, policy)
    if max(gross, lines.subtotal + tax + price) >= AMOUNT_LIMIT:
        raise AmountTooLarge
    credited = sum(credit.amount for credit in credits if credit.revoked_at is None)
    return Totals(
        subtotal=lines.subtotal,
        discount=lines.discount,
        tax=tax,
        shipping=price,
        gross=gross,
        credits=credited,
        due=0 if ended_unpaid else max(0, gross - credited),
        authorized=sum(payment.capturable_amount for payment in ledger.payments),
        captured=sum(payment.captured for payment in ledger.payments),
        refunded=sum(payment.total_refunded for payment in ledger.payments),
        charged_back=sum(payment.charged_back for payment in ledger.payments),
        pending_refunds=ledger.pending_refunds(),
    )


def tax_lines_of(
    lines: Sequence[Line], shipping: Shipping | None, policy: TaxPolicy | None
) -> tuple[TaxLine, ...]:
    """The tax of an order by rate: together exactly the `tax` of its totals.

    What has neither a rate nor tax is in none of them.
    """
    taxed = [line for line in lines if line.tax or line.tax_rule]
    is_shipping_taxed = shipping and (shipping.tax or shipping.tax_rate is not None)
    if not taxed and not is_shipping_taxed:
        return ()
    parts = [line.taxed_part(line.live) for line in taxed if line.live]
    if shipping and is_shipping_taxed:
        gross = shipping.price + _added(shipping.tax, policy)
        parts.append(TaxedPart(shipping.tax_rate, gross, shipping.tax, is_taxed=True))
    return tax_lines(parts)


def _added(tax: int, policy: TaxPolicy | None) -> int:
    """What tax adds to the price."""
    return 0 if policy is not None and policy.prices_include_tax else tax
