"""Tax: by rate and as an amount, in the price and on top of it, on all units and on parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain import (
    DraftLine,
    InvalidValue,
    Line,
    Order,
    OrderDraft,
    OrderState,
    Shipping,
    TaxLine,
    TaxPolicy,
    TaxRounding,
    quote,
    tax_lines_of,
)
from orders.domain.order.storing import restore
from orders.domain.returns import credited_by_line, credited_tax_by_line
from tests.support.orders import (
    CUSTOMER,
    NOW,
    STAFF,
    a_placed_order,
    deliver,
    items,
    return_units,
    take,
)

PEN = DraftLine(sku="PEN", name="Pen", quantity=3, unit_price=999, tax_rate="0.19")


def taxes_of(state: OrderState) -> list[tuple[str | None, int, int]]:
    """Rate, taxable amount and tax of each tax line."""
    found = tax_lines_of(state.lines, state.shipping, state.tax_policy)
    return [(each.rate, each.taxable, each.tax) for each in found]


def an_order(*lines: DraftLine, **draft: Any) -> Order:
    return a_placed_order(lines=lines, **draft)


# -- one line ----------------------------------------------------------------------------------


def test_included_tax_is_in_the_price() -> None:
    state = an_order(PEN, prices_include_tax=True).state

    assert (state.totals.subtotal, state.totals.gross, state.totals.tax) == (2_997, 2_997, 479)
    assert taxes_of(state) == [("0.19", 2_518, 479)]


def test_excluded_tax_is_added_to_the_price() -> None:
    state = an_order(PEN).state

    assert (state.totals.subtotal, state.totals.gross, state.totals.tax) == (2_997, 3_566, 569)
    assert taxes_of(state) == [("0.19", 2_997, 569)]


def test_a_unit_that_is_returned_and_one_that_is_cancelled_leave_the_tax_of_the_third() -> None:
    order = an_order(PEN, prices_include_tax=True)
    take(order)
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)
    assert (order.state.totals.gross, order.state.totals.tax) == (1_998, 319)
    deliver(order)
    return_units(order, "approve", "receive")

    (credit,) = order.state.credits
    assert credit.amount == 999
    assert credit.tax_lines == (TaxLine(rate="0.19", taxable=839, tax=160),)
    # 160 was cancelled, 160 came back, 159 stays.
    assert order.state.totals.due == 999
    assert order.state.totals.tax - credit.tax == 159


@pytest.mark.parametrize(
    ("price", "rate", "included", "tax"),
    [
        (50, "0.01", False, 1),  # 0.5: half up
        (49, "0.01", False, 0),
        (150, "0.01", False, 2),  # 1.5
        (101, "0.01", True, 1),
        (0, "0.19", True, 0),
        (0, "0.19", False, 0),
        (100, "1", False, 100),
        (100, "1", True, 50),
        (1, "1", True, 1),  # 0.5: half up
        (100, "0", False, 0),
        (10**10, "0.000001", False, 10_000),
        (1_000_000, "0.123457", False, 123_457),
        (2_997, "0.07", True, 196),
    ],
)
def test_tax_is_rounded_half_up(price: int, rate: str, included: bool, tax: int) -> None:
    line = replace(PEN, quantity=1, unit_price=price, tax_rate=rate)

    totals = an_order(line, prices_include_tax=included).state.totals

    assert totals.tax == tax
    assert totals.gross == price + (0 if included else tax)


@pytest.mark.parametrize(
    ("stated", "kept"),
    [("0.190", "0.19"), ("0.19", "0.19"), ("0.0", "0"), ("0", "0"), ("1.000000", "1")],
)
def test_a_rate_has_one_form(stated: str, kept: str) -> None:
    order = an_order(replace(PEN, tax_rate=stated), shipping=Shipping(price=100, tax_rate=stated))

    assert order.state.lines[0].tax_rate == order.state.shipping.tax_rate == kept  # type: ignore[union-attr]
    assert [rate for rate, *_ in taxes_of(order.state)] == [kept]


@pytest.mark.parametrize(
    "rate",
    [
        *("", " ", "19", "1.1", "1.000001", "-0.1", "+0.1", "0.1234567", ".19", "0.", "00.19"),
        *(
            "0,19",
            "19%",
            "0.19 ",
            "0.19\n",
            "1e-1",
            "\u0660.\u0661",
            "NaN",
            "Infinity",
            0.19,
            1,
            True,
            (),
        ),
    ],
)
def test_what_is_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(InvalidValue, match="decimal from") as refused:
        an_order(replace(PEN, tax_rate=rate))
    assert refused.value.field == "lines/0/tax_rate"
    with pytest.raises(InvalidValue, match="decimal from") as refused:
        an_order(PEN, shipping=Shipping(tax_rate=rate))
    assert refused.value.field == "shipping/tax_rate"


def test_tax_and_rate_together_are_refused() -> None:
    with pytest.raises(InvalidValue, match="left out") as refused:
        an_order(PEN, replace(PEN, tax=1))
    assert refused.value.field == "lines/1/tax_rate"
    with pytest.raises(InvalidValue, match="left out") as refused:
        an_order(PEN, shipping=Shipping(price=10, tax=1, tax_rate="0.1"))
    assert refused.value.field == "shipping/tax_rate"


def test_stated_tax_cannot_exceed_the_price_that_includes_it() -> None:
    line = DraftLine(sku="PEN", name="Pen", quantity=1, unit_price=100, tax=100)
    assert an_order(line, prices_include_tax=True).state.totals.gross == 100
    assert an_order(line, PEN).state.totals.tax == 100 + 569
    for draft in ({"discount": 31}, {"lines": (PEN, replace(line, tax=101))}):
        with pytest.raises(InvalidValue, match="must not exceed the price") as refused:
            a_placed_order(**({"lines": (PEN, line)} | draft), prices_include_tax=True)
        assert refused.value.field == "lines/1/tax"
    with pytest.raises(InvalidValue, match="must not exceed the price") as refused:
        an_order(line, shipping=Shipping(price=5, tax=6), prices_include_tax=True)
    assert refused.value.field == "shipping/tax"


def test_discounts_of_the_line_and_of_the_order_are_not_taxed() -> None:
    line = replace(PEN, quantity=2, unit_price=1_000, discount=400)

    with_tax = an_order(line, discount=410, prices_include_tax=True).state
    without = an_order(line, discount=410).state

    assert taxes_of(with_tax) == [("0.19", 1_000, 190)]
    assert (with_tax.totals.discount, with_tax.totals.gross) == (810, 1_190)
    assert taxes_of(without) == [("0.19", 1_190, 226)]
    assert (without.totals.discount, without.totals.gross) == (810, 1_416)


# -- the whole order ---------------------------------------------------------------------------


def test_tax_lines_are_by_rate_with_the_shipping() -> None:
    state = an_order(
        PEN,
        DraftLine(sku="BOOK", name="Book", quantity=1, unit_price=1_070, tax_rate="0.07"),
        DraftLine(sku="OLD", name="Old", quantity=1, unit_price=500, tax=80),
        DraftLine(sku="PLAIN", name="Plain", quantity=1, unit_price=300),
        replace(PEN, quantity=1),
        shipping=Shipping(price=595, tax_rate="0.19"),
        prices_include_tax=True,
    ).state

    assert taxes_of(state) == [
        ("0.19", 2_518 + 839 + 500, 734),
        ("0.07", 1_000, 70),
        (None, 420, 80),
    ]
    assert state.totals.tax == 734 + 70 + 80
    assert state.totals.gross == 2_997 + 999 + 1_070 + 500 + 300 + 595


def test_tax_on_shipping_is_added_where_prices_exclude_it() -> None:
    shipping = Shipping(price=500, tax_rate="0.19")
    rated = an_order(PEN, shipping=shipping)
    stated = an_order(PEN, shipping=Shipping(price=500, tax=95))

    for state in (rated.state, stated.state):
        assert (state.totals.tax, state.totals.gross) == (569 + 95, 2_997 + 569 + 500 + 95)
    assert taxes_of(stated.state) == [("0.19", 2_997, 569), (None, 500, 95)]


def test_tax_is_rounded_by_line_or_once_for_the_order() -> None:
    lines = [replace(PEN, quantity=1, unit_price=250, tax_rate="0.01")] * 4
    shipping = Shipping(price=250, tax_rate="0.01")

    by_line = an_order(*lines, shipping=shipping).state
    by_order = an_order(*lines, shipping=shipping, tax_rounding=TaxRounding.ORDER).state

    assert taxes_of(by_line) == [("0.01", 1_250, 15)]  # 5 x 2.5, each half up
    assert taxes_of(by_order) == [("0.01", 1_250, 13)]  # 12.5
    assert [line.tax for line in by_order.lines] == [3, 2, 3, 2]
    assert by_order.tax_policy == TaxPolicy(rounding=TaxRounding.ORDER)


def test_an_added_line_is_taxed_as_the_order_is() -> None:
    line = replace(PEN, quantity=1, unit_price=250, tax_rate="0.01")
    order = an_order(
        line,
        shipping=Shipping(price=250, tax_rate="0.01"),
        prices_include_tax=True,
        tax_rounding=TaxRounding.ORDER,
    )
    order.propose_change(removed={}, added=(line,), reason="other", by=CUSTOMER, now=NOW)
    (change,) = order.state.changes
    assert change.gross == 750
    order.apply_change("1", by=STAFF, now=NOW)

    # The tax in 250, 500 and 750 is 2.475, 4.95 and 7.426.
    assert [each.tax for each in order.state.lines] == [2, 2]
    assert taxes_of(order.state) == [("0.01", 743, 7)]
    assert order.state.totals.gross == 750


def test_an_order_without_tax_says_nothing_of_it() -> None:
    order = a_placed_order()

    assert order.state.tax_policy is None
    assert {line.tax_rule for line in order.state.lines} == {None}
    assert taxes_of(order.state) == []


def test_tax_that_was_stored_before_there_were_rates_is_a_tax_line() -> None:
    order = an_order(DraftLine(sku="PEN", name="Pen", quantity=3, unit_price=100, tax=50))
    order.cancel_items(items(_1=1), "customer", by=CUSTOMER, now=NOW)

    assert taxes_of(order.state) == [(None, 200, 34)]
    assert restore(order.state).state.totals.tax == 34


def test_a_credit_that_is_less_than_the_units_has_its_share_of_their_tax() -> None:
    order = an_order(replace(PEN, quantity=1), prices_include_tax=True)
    take(order)
    deliver(order)
    order.grant_credit(499, "goodwill", by=STAFF, now=NOW)
    return_units(order, "approve", "receive")

    goodwill, returned = order.state.credits
    assert (goodwill.tax_lines, goodwill.line_taxes) == ((), {})
    assert (returned.lines, returned.line_taxes) == ({"1": 500}, {"1": 80})
    assert returned.tax_lines == (TaxLine(rate="0.19", taxable=420, tax=80),)


def test_credits_for_a_line_and_its_returned_units_have_its_tax_together() -> None:
    order = an_order(PEN, prices_include_tax=True)
    take(order)
    deliver(order)
    order.grant_credit(100, "damaged", line_id="1", by=STAFF, now=NOW)
    for _ in range(3):
        return_units(order, "approve", "receive")

    assert [credit.amount for credit in order.state.credits] == [100, 999, 999, 899]
    assert [credit.tax for credit in order.state.credits] == [16, 160, 159, 144]
    assert sum(credit.tax for credit in order.state.credits) == 479


# -- properties --------------------------------------------------------------------------------

RATES = ["0", "0.000001", "0.01", "0.07", "0.19", "0.2", "0.255", "0.333333", "1"]
CURRENCIES = ["JPY", "EUR", "BHD", "CLF"]
"""Of 0, 2, 3 and 4 digits."""


@st.composite
def a_draft_line(draw: st.DrawFn) -> DraftLine:
    quantity = draw(st.integers(1, 7))
    price = draw(st.integers(0, 30) | st.sampled_from([999, 10**10]))
    rate = draw(st.none() | st.sampled_from(RATES))
    discount = draw(st.integers(0, price * quantity))
    # Stated tax that fits any share of the order's discount is 0; the rest is tried below.
    stated = draw(st.integers(0, 40)) if rate is None else 0
    return DraftLine(
        sku="A",
        name="A",
        quantity=quantity,
        unit_price=price,
        discount=discount,
        tax=stated,
        tax_rate=rate,
    )


@st.composite
def a_taxed_order(draw: st.DrawFn) -> Order:
    """Any lines, shipping, discounts, rates, rounding and kind of prices, in any currency."""
    included = draw(st.booleans())
    lines = draw(st.lists(a_draft_line(), min_size=1, max_size=4))
    worth = sum(_price(line) for line in lines)
    discount = draw(st.sampled_from([0, 0, worth]) | st.integers(0, worth))
    if included:
        priced = quote(
            OrderDraft(
                currency="EUR",
                lines=tuple(replace(line, tax=0) for line in lines),
                discount=discount,
            )
        ).lines
        most = [line.price_of(line.quantity) for line in priced]
        lines = [replace(line, tax=min(line.tax, each)) for line, each in zip(lines, most)]  # noqa: B905
    price = draw(st.integers(0, 500))
    rate = draw(st.none() | st.sampled_from(RATES))
    tax = draw(st.integers(0, price)) if rate is None else 0
    return a_placed_order(
        currency=draw(st.sampled_from(CURRENCIES)),
        lines=tuple(lines),
        discount=discount,
        shipping=draw(st.sampled_from([None, Shipping(price=price, tax=tax, tax_rate=rate)])),
        prices_include_tax=included,
        tax_rounding=draw(st.sampled_from(TaxRounding)),
    )


def _price(line: DraftLine) -> int:
    return line.quantity * (line.unit_price or 0) - line.discount


def exact_tax(rate: str, price: int, *, included: bool) -> Fraction:
    share = Fraction(rate)
    return price * (share / (1 + share) if included else share)


def half_up(exact: Fraction) -> int:
    return int(exact + Fraction(1, 2))


def check_sums(state: OrderState) -> None:
    """The tax lines are the tax of the totals, and included tax changes no price."""
    totals, taxes = state.totals, tax_lines_of(state.lines, state.shipping, state.tax_policy)
    assert sum(each.tax for each in taxes) == totals.tax
    assert all(each.tax >= 0 and each.taxable >= 0 for each in taxes)
    assert len({each.rate for each in taxes}) == len(taxes)
    assert sum(each.taxable + each.tax for each in taxes) <= totals.gross
    added = 0 if state.tax_policy and state.tax_policy.prices_include_tax else totals.tax
    assert totals.subtotal - totals.discount + added + totals.shipping == totals.gross
    shipping = state.shipping
    if shipping is not None:
        assert totals.shipping == shipping.price
    assert totals.tax == sum(line.tax_of(line.live) for line in state.lines) + (
        shipping.tax if shipping else 0
    )


@given(order=a_taxed_order())
def test_tax_is_the_rate_of_each_line_or_of_all_at_the_rate(order: Order) -> None:
    state = order.state
    policy = state.tax_policy or TaxPolicy()
    check_sums(state)
    for line in state.lines:
        if line.tax_rate is not None and policy.rounding is TaxRounding.LINE:
            price, included = line.price_of(line.quantity), policy.prices_include_tax
            assert line.tax == half_up(exact_tax(line.tax_rate, price, included=included))
    if policy.rounding is TaxRounding.ORDER:
        for each in tax_lines_of(state.lines, state.shipping, state.tax_policy):
            if each.rate is not None:
                price = each.taxable + (each.tax if policy.prices_include_tax else 0)
                exact = exact_tax(each.rate, price, included=policy.prices_include_tax)
                assert each.tax == half_up(exact)


@given(order=a_taxed_order())
def test_included_tax_never_changes_the_price(order: Order) -> None:
    state = order.state
    if state.tax_policy and state.tax_policy.prices_include_tax:
        untaxed = [replace(line, tax=0, tax_rule=None) for line in state.lines]
        shipping = state.shipping.price if state.shipping else 0
        assert state.totals.gross == shipping + sum(line.gross for line in untaxed)
        assert [line.value_of(1) for line in state.lines] == [line.value_of(1) for line in untaxed]


@given(order=a_taxed_order())
def test_no_part_of_a_line_has_a_negative_price_or_tax(order: Order) -> None:
    for line in order.state.lines:
        units = range(line.quantity + 1)
        assert line.tax_of(0) == line.value_of(0) == 0
        assert line.tax_of(line.quantity) == line.tax
        for first, last in pairwise(units):
            part = line.taxed_part(1, after=first)
            assert part.tax >= 0
            assert part.gross >= 0
            if line.tax_rule is not None:
                assert part.tax <= part.gross
            assert line.taxed_part(last) == _sum(line, [1] * last)


@given(order=a_taxed_order(), data=st.data())
def test_the_tax_in_an_amount_is_that_of_the_units_it_buys(
    order: Order, data: st.DataObject
) -> None:
    for line in order.state.lines:
        for units in range(line.quantity + 1):
            # Units that cost nothing have no tax.
            assert line.tax_in(line.value_of(units)) == line.tax_of(units)
        gross = line.value_of(line.quantity)
        some = sorted(data.draw(st.lists(st.integers(0, gross), min_size=2, max_size=5)))
        taxes = [line.tax_in(amount) for amount in some]
        assert taxes == sorted(taxes)
        assert all(0 <= tax <= amount for tax, amount in zip(taxes, some, strict=True))
        assert line.tax_in(gross + 1) == line.tax


@given(order=a_taxed_order(), data=st.data())
def test_parts_add_up_to_the_line_however_it_is_parted(order: Order, data: st.DataObject) -> None:
    for line in order.state.lines:
        sizes: list[int] = []
        while left := line.quantity - sum(sizes):
            sizes.append(data.draw(st.integers(1, left)))
        assert _sum(line, sizes) == line.taxed_part(line.quantity)


def _sum(line: Line, sizes: Sequence[int]) -> Any:
    parts = [line.taxed_part(n, after=sum(sizes[:i])) for i, n in enumerate(sizes)]
    whole = line.taxed_part(0)
    return whole._replace(gross=sum(p.gross for p in parts), tax=sum(p.tax for p in parts))


@given(order=a_taxed_order(), data=st.data())
def test_a_line_that_is_credited_in_parts_has_its_tax_credited_in_the_end(
    order: Order, data: st.DataObject
) -> None:
    for line in order.state.lines:
        for _ in range(data.draw(st.integers(0, 4))):
            left = line.gross - credited_by_line(order.state.credits).get(line.id, 0)
            if left:
                some = data.draw(st.integers(1, left))
                order.grant_credit(some, "other", line_id=line.id, by=STAFF, now=NOW)
                kept = [each.id for each in order.state.credits if each.revoked_at is None]
                if (pick := data.draw(st.integers(0, 2 * len(kept)))) < len(kept):
                    order.revoke_credit(kept[pick], by=STAFF, now=NOW)
        if left := line.gross - credited_by_line(order.state.credits).get(line.id, 0):
            order.grant_credit(left, "other", line_id=line.id, by=STAFF, now=NOW)
        assert credited_tax_by_line(order.state.credits).get(line.id, 0) == line.tax
    for credit in order.state.credits:
        assert all(each.tax >= 0 and each.taxable >= 0 for each in credit.tax_lines)
        assert sum(credit.line_taxes.values()) == credit.tax <= credit.amount


@given(order=a_taxed_order(), data=st.data())
def test_cancelling_and_returning_keep_every_sum_in_any_order(
    order: Order, data: st.DataObject
) -> None:
    """Units are cancelled, and all others come back, one at a time: their tax is the order's."""
    placed = order.state.totals
    if placed.outstanding:
        take(order)
    units = [line.id for line in order.state.lines for _ in range(line.quantity)]
    in_any_order = data.draw(st.permutations(units))
    kept = data.draw(st.integers(1, len(units)))
    cancelled = [cancel_one(order, line_id) for line_id in in_any_order[kept:]]
    assert order.state.totals.gross + sum(gross for gross, _ in cancelled) == placed.gross
    assert order.state.totals.tax + sum(tax for _, tax in cancelled) == placed.tax

    deliver(order)
    for line_id in in_any_order[:kept]:
        return_units(order, "approve", "receive", units={line_id: 1})
    totals, credits = order.state.totals, order.state.credits
    shipping = order.state.shipping or Shipping()
    assert sum(credit.amount for credit in credits) == sum(line.gross for line in order.state.lines)
    assert sum(credit.tax for credit in credits) == totals.tax - shipping.tax
    for credit in credits:
        assert all(each.tax >= 0 and each.taxable >= 0 for each in credit.tax_lines)
        assert sum(each.tax + each.taxable for each in credit.tax_lines) in {0, credit.amount}


def cancel_one(order: Order, line_id: str) -> tuple[int, int]:
    """Cancel a unit, and return by how much the order's price and tax have become less."""
    before = order.state.totals
    order.cancel_items({line_id: 1}, "customer", by=CUSTOMER, now=NOW)
    check_sums(order.state)
    gross, tax = before.gross - order.state.totals.gross, before.tax - order.state.totals.tax
    assert gross >= 0
    assert tax >= 0
    return gross, tax
