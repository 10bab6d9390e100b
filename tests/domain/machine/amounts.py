"""The amounts of an order, worked out a second time: unit by unit, and tax as exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from orders.domain.lines import Line, TaxPolicy, TaxRounding
from orders.domain.payments import Payment, PaymentStatus, RefundStatus
from orders.domain.pricing import Totals
from orders.domain.state import OrderState

ENDED = {"cancelled", "expired"}


def totals_by_unit(state: OrderState) -> Totals:
    """The totals: each line's live units are its first ones."""
    added = not includes_tax(state)
    shipping = state.shipping.price if state.shipping else 0
    shipping_tax = state.shipping.tax if state.shipping else 0
    subtotal = sum(line.unit_price * wanted(line) for line in state.lines)
    discount = sum(first(discount_of(line), wanted(line), line.quantity) for line in state.lines)
    tax = shipping_tax + sum(tax_of_first(line, wanted(line)) for line in state.lines)
    gross = subtotal - discount + shipping + (tax if added else 0)
    credits = sum(credit.amount for credit in state.credits if credit.revoked_at is None)
    payments = state.ledger.payments
    return Totals(
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        shipping=shipping,
        gross=gross,
        credits=credits,
        due=0 if state.status in ENDED else max(0, gross - credits),
        authorized=sum(held(payment) for payment in payments),
        captured=sum(payment.captured for payment in payments),
        refunded=sum(payment.refunded + payment.refunded_elsewhere for payment in payments),
        charged_back=sum(payment.charged_back for payment in payments),
        pending_refunds=sum(
            refund.amount
            for refund in state.ledger.refunds
            if refund.status is RefundStatus.REQUESTED
        ),
    )


def check_tax_at_placing(state: OrderState) -> None:
    """Every stated rate gives the tax that a fraction gives, by line or by the whole order."""
    policy = state.tax_policy or TaxPolicy()
    rated: dict[str, list[tuple[int, int]]] = {}
    for line in state.lines:
        if line.tax_rate is not None:
            price = price_of_first(line, line.quantity)
            rated.setdefault(line.tax_rate, []).append((price, line.tax))
    if state.shipping and state.shipping.tax_rate is not None:
        rated.setdefault(state.shipping.tax_rate, []).append(
            (state.shipping.price, state.shipping.tax)
        )
    for rate, parts in rated.items():
        by_order = policy.rounding is TaxRounding.ORDER
        groups = [parts] if by_order else [[part] for part in parts]
        for group in groups:
            exact = tax_at(rate, sum(price for price, _ in group), policy.prices_include_tax)
            assert sum(tax for _, tax in group) == half_up(exact), "tax of a rate"


def check_parts(state: OrderState) -> None:
    """Whatever is cancelled or comes back: the tax and price of the parts are those of the line."""
    for line in state.lines:
        taxes = [line.tax_of(units) for units in range(line.quantity + 1)]
        values = [line.value_of(units) for units in range(line.quantity + 1)]
        assert (taxes[0], values[0]) == (0, 0), "no unit costs nothing"
        assert taxes[-1] == line.tax, "the tax of the units is not the line's"
        assert taxes == sorted(taxes), "a unit with less than no tax"
        assert values == sorted(values), "a unit that costs less than nothing"
        assert taxes == [tax_of_first(line, n) for n in range(line.quantity + 1)], "tax of a part"


def tax_of_first(line: Line, units: int) -> int:
    """The tax on the first units of a line."""
    rule = line.tax_rule
    if rule is None:
        return first(line.tax, units, line.quantity)
    price = price_of_first(line, units)
    if rule.rate is None:
        whole = price_of_first(line, line.quantity)
        return half_up(Fraction(line.tax * price, whole)) if whole else 0
    before = half_up(tax_at(rule.rate, rule.taxed_before, rule.included))
    return half_up(tax_at(rule.rate, rule.taxed_before + price, rule.included)) - before


def value_of(state: OrderState, line: Line, units: int) -> int:
    """What the first units of a line cost, with tax."""
    tax = 0 if includes_tax(state) else tax_of_first(line, units)
    return price_of_first(line, units) + tax


def price_of_first(line: Line, units: int) -> int:
    """What the first units of a line cost after discounts, before tax is added."""
    return line.unit_price * units - first(discount_of(line), units, line.quantity)


def discount_of(line: Line) -> int:
    """Both discounts."""
    return line.discount + line.order_discount


def wanted(line: Line) -> int:
    """Units that are not cancelled."""
    return line.quantity - line.cancelled


def held(payment: Payment) -> int:
    """What is authorised of a payment and can still be captured."""
    is_held = payment.status in {PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED}
    return payment.amount - payment.captured if is_held and not payment.released else 0


def first(amount: int, units: int, of: int) -> int:
    """Hand an amount out unit by unit, and count what the first ones got."""
    shares = [amount // of] * of
    for unit in range(amount - sum(shares)):
        shares[unit] += 1
    return sum(shares[:units])


def tax_at(rate: str, amount: int, included: bool) -> Fraction:
    """The exact tax on an amount, or in it."""
    exact = Fraction(rate)
    return amount * exact / (1 + exact) if included else amount * exact


def half_up(exact: Fraction) -> int:
    """Round to a whole minor unit."""
    return floor(exact + Fraction(1, 2))


def includes_tax(state: OrderState) -> bool:
    """Whether prices have the tax in them."""
    return state.tax_policy is not None and state.tax_policy.prices_include_tax
