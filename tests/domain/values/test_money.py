"""Money: exponents, exact arithmetic, and shares that add up whatever is shared out."""

from __future__ import annotations

from itertools import pairwise

import moneyed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain.errors import (
    AmountTooLarge,
    CurrencyMismatch,
    CurrencyUnknown,
    InvalidValue,
)
from orders.domain.identifiers import PartId
from orders.domain.lines import DraftLine, Line, lines_of
from orders.domain.money import AMOUNT_LIMIT, EXPONENTS, Money, allocate, exponent, share_of_units
from orders.domain.validation import OrderLimits, Shipping
from tests.support.orders import a_placed_order

# Too young for py-moneyed: the Caribbean guilder (2025) and Zimbabwe Gold (2024), two digits each.
UNKNOWN_TO_MONEYED = {"XCG", "ZWG"}

AMOUNTS = st.integers(-(2**53) + 1, 2**53 - 1)
WEIGHTS = st.lists(st.integers(0, 2**53), min_size=1, max_size=40)


@pytest.mark.parametrize("code", sorted(EXPONENTS.keys() - UNKNOWN_TO_MONEYED))
def test_exponents_are_those_of_iso_4217(code: str) -> None:
    assert 10 ** exponent(code) == moneyed.get_currency(code).sub_unit


def test_no_currency_goes_unchecked() -> None:
    assert EXPONENTS.keys() - moneyed.CURRENCIES.keys() == UNKNOWN_TO_MONEYED
    assert all(exponent(code) == 2 for code in UNKNOWN_TO_MONEYED)


@pytest.mark.parametrize(
    ("code", "digits"),
    [("JPY", 0), ("EUR", 2), ("HUF", 2), ("IQD", 3), ("BHD", 3), ("CLF", 4), ("UYW", 4)],
)
def test_exponents_people_get_wrong(code: str, digits: int) -> None:
    assert exponent(code) == digits


@pytest.mark.parametrize(
    "code", ["eur", "EUR\n", "EURO", "EU", "", "XXX", "XAU", "XTS", "ZZZ", "É"]
)
def test_nothing_else_is_a_currency(code: str) -> None:
    with pytest.raises(CurrencyUnknown):
        Money(1, code)
    with pytest.raises(CurrencyUnknown):
        a_placed_order(currency=code)


@pytest.mark.parametrize("minor", [AMOUNT_LIMIT, -AMOUNT_LIMIT, 2**63, 1.0, True, "1", None])
def test_only_whole_amounts_below_the_limit_are_money(minor: object) -> None:
    with pytest.raises(InvalidValue):
        Money(minor, "EUR")  # type: ignore[arg-type]
    assert Money(AMOUNT_LIMIT - 1, "EUR").minor == 2**53 - 1
    assert Money(1 - AMOUNT_LIMIT, "EUR").minor == 1 - 2**53


def test_money_adds_subtracts_and_compares() -> None:
    three, five = Money(300, "EUR"), Money(500, "EUR")
    assert three + five == Money(800, "EUR")
    assert three - five == Money(-200, "EUR")
    assert three * 3 == Money(900, "EUR")
    assert three < five <= Money(500, "EUR")
    assert five > three >= Money(300, "EUR")
    assert three != Money(300, "USD")


def test_sums_beyond_the_limit_are_refused_not_wrapped() -> None:
    most = Money(AMOUNT_LIMIT - 1, "EUR")
    with pytest.raises(InvalidValue):
        most + Money(1, "EUR")
    with pytest.raises(InvalidValue):
        most * 2


def test_currencies_do_not_mix() -> None:
    euro, dollar = Money(1, "EUR"), Money(1, "USD")
    for mix in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: euro <= dollar,
    ):
        with pytest.raises(CurrencyMismatch):
            mix()


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money(123456, "EUR"), "1234.56 EUR"),
        (Money(-5, "EUR"), "-0.05 EUR"),
        (Money(123456, "JPY"), "123456 JPY"),
        (Money(1234, "BHD"), "1.234 BHD"),
        (Money(1, "CLF"), "0.0001 CLF"),
    ],
)
def test_money_is_shown_with_its_digits(money: Money, shown: str) -> None:
    assert str(money) == shown


@pytest.mark.parametrize(
    ("amount", "weights", "shares"),
    [
        (100, [1, 1, 1], (34, 33, 33)),
        (10, [5, 3, 2], (5, 3, 2)),
        (1, [1, 2], (0, 1)),
        (7, [0, 0, 0], (3, 2, 2)),
        (-100, [1, 1, 1], (-34, -33, -33)),
        (5, [0, 1], (0, 5)),
        (0, [3], (0,)),
    ],
)
def test_shares_go_to_the_largest_remainders(
    amount: int, weights: list[int], shares: tuple[int, ...]
) -> None:
    assert allocate(amount, weights) == shares
    assert Money(amount, "EUR").allocate(weights) == tuple(Money(x, "EUR") for x in shares)


@given(AMOUNTS, WEIGHTS)
def test_shares_add_up_and_are_within_one_of_fair(amount: int, weights: list[int]) -> None:
    shares = allocate(amount, weights)
    assert sum(shares) == amount
    total = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        if total:
            assert abs(share * total - amount * weight) < total


@given(st.integers(0, 2**53), st.lists(st.integers(0, 2**20), min_size=1).filter(any))
def test_a_discount_within_what_lines_cost_takes_no_line_below_zero(
    seed: int, worth: list[int]
) -> None:
    discount = seed % (sum(worth) + 1)
    for share, cost in zip(allocate(discount, worth), worth, strict=True):
        assert 0 <= share <= cost


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_only_weights_can_be_shared_by(weights: list[int]) -> None:
    with pytest.raises(InvalidValue):
        allocate(1, weights)


@given(AMOUNTS, st.integers(1, 10_000), st.data())
def test_any_cut_into_runs_adds_up(amount: int, units: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, units), max_size=6)))
    reached = [share_of_units(amount, units=each, of=units) for each in (0, *cuts, units)]
    assert reached[0] == 0
    assert sum(later - earlier for earlier, later in pairwise(reached)) == amount


@st.composite
def line(draw: st.DrawFn) -> Line:
    quantity = draw(st.integers(1, 200))
    price = draw(st.integers(0, 1_000))
    discount = draw(st.integers(0, price * quantity))
    return Line(
        id=PartId("1"),
        sku="PEN",
        name="Pen",
        quantity=quantity,
        unit_price=price,
        discount=discount,
        order_discount=draw(st.integers(0, price * quantity - discount)),
        tax=draw(st.integers(0, 5_000)),
    )


@given(line())
def test_a_lines_units_cost_what_the_line_costs_and_none_less_than_nothing(line: Line) -> None:
    values = [line.value_of(units) for units in range(line.quantity + 1)]
    whole = line.unit_price * line.quantity + line.tax - line.discount - line.order_discount
    assert (values[0], values[-1]) == (0, whole)
    assert all(later >= earlier for earlier, later in pairwise(values))


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 9)), min_size=1, max_size=8),
    st.integers(0, 10**6),
)
def test_an_orders_discount_is_shared_out_over_its_lines(
    priced: list[tuple[int, int]], seed: int
) -> None:
    worth = sum(price * quantity for price, quantity in priced)
    discount = seed % (worth + 1)
    drafts = [
        DraftLine(sku="PEN", name="Pen", unit_price=price, quantity=quantity)
        for price, quantity in priced
    ]
    lines = lines_of(drafts, order_discount=discount, limits=OrderLimits())
    assert sum(each.order_discount for each in lines) == discount
    assert all(each.gross >= 0 for each in lines)


def test_an_order_costs_less_than_the_limit() -> None:
    def place(last: int) -> None:
        a_placed_order(
            lines=tuple(
                DraftLine(sku="GOLD", name="Gold", quantity=units, unit_price=10**10)
                for units in (100_000,) * 9
            ),
            shipping=Shipping(price=last),
        )

    left = AMOUNT_LIMIT - 9 * 10**15
    place(left - 1)
    with pytest.raises(AmountTooLarge):
        place(left)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": 100_001}, "quantity"),
        ({"unit_price": 10**10 + 1}, "unit_price"),
        ({"unit_price": -1}, "unit_price"),
        ({"unit_price": None}, "unit_price"),
        ({"discount": 3_001}, "discount"),
        ({"tax": -1}, "tax"),
        ({"tax": AMOUNT_LIMIT}, "tax"),
        ({"sku": ""}, "sku"),
        ({"sku": "S" * 65}, "sku"),
        ({"sku": "PEN\n"}, "sku"),
        ({"sku": " PEN"}, "sku"),
        ({"name": " "}, "name"),
        ({"name": "\x00"}, "name"),
    ],
)
def test_a_line_beyond_its_bounds_is_refused_by_name(line: dict[str, object], field: str) -> None:
    possible = {"sku": "PEN", "name": "Pen", "quantity": 3, "unit_price": 1_000}
    draft = DraftLine(**(possible | line))  # type: ignore[arg-type]
    with pytest.raises(InvalidValue) as refused:
        a_placed_order(lines=(draft,))
    assert refused.value.field == f"lines/0/{field}"


@pytest.mark.parametrize(
    "line",
    [
        {"quantity": 100_000},
        {"unit_price": 10**10},
        {"unit_price": 0},
        {"discount": 3_000},
        {"sku": "S" * 64},
        {"sku": "a b"},
    ],
)
def test_a_line_at_its_bounds_is_placed(line: dict[str, object]) -> None:
    possible = {"sku": "PEN", "name": "Pen", "quantity": 3, "unit_price": 1_000}
    order = a_placed_order(lines=(DraftLine(**(possible | line)),))  # type: ignore[arg-type]
    assert order.state.totals.gross >= 0


def test_the_orders_discount_is_at_most_what_the_lines_cost() -> None:
    assert a_placed_order(discount=4_300).state.totals.gross == 0
    with pytest.raises(InvalidValue) as refused:
        a_placed_order(discount=4_301)
    assert refused.value.field == "discount"
