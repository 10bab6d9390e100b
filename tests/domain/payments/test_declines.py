"""How often a payment of one order may be declined."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orders.domain.actions import Action
from orders.domain.errors import TooManyDeclines
from orders.domain.lifecycle import OrderStatus
from orders.domain.order.order import Order
from orders.domain.rules import refusals
from orders.domain.validation import OrderLimits
from tests.support.orders import CUSTOMER, NOW, a_placed_order, authorize, decline, void

TEN = OrderLimits()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def retry_after(order: Order, now: datetime, limits: OrderLimits = TEN) -> int | None:
    """The seconds that a refused payment is told to wait; None if it may be started."""
    errors = refusals(order.state, Action.PAY, now=now, limits=limits)
    waits = (each.retry_after_seconds for each in errors if isinstance(each, TooManyDeclines))
    return next(waits, None)


def test_ten_payments_of_an_hour_may_be_declined_and_the_next_is_refused() -> None:
    order = a_placed_order()
    for minute in range(10):
        assert retry_after(order, NOW + minute * MINUTE) is None
        decline(order, NOW + minute * MINUTE)

    before = order.state
    with pytest.raises(TooManyDeclines) as refused:
        order.start_payment("tok_ok", by=CUSTOMER, now=NOW + 10 * MINUTE)
    assert refused.value.retry_after_seconds == 50 * 60
    assert order.state is before


def test_a_limit_of_zero_is_no_limit() -> None:
    order, no_limit = a_placed_order(), OrderLimits(declines=0)
    assert retry_after(order, NOW, no_limit) is None
    for _ in range(10):
        decline(order)
    assert retry_after(order, NOW, no_limit) is None


def test_a_good_payment_an_hour_later_works() -> None:
    order = a_placed_order()
    for _ in range(10):
        decline(order)
    almost = NOW + HOUR - timedelta(milliseconds=1)
    assert retry_after(order, almost) == 1
    assert retry_after(order, NOW + HOUR) is None
    order.start_payment("tok_ok", by=CUSTOMER, now=NOW + HOUR)


def test_one_more_may_be_tried_for_each_decline_that_is_an_hour_old() -> None:
    order = a_placed_order()
    for minute in range(10):
        decline(order, NOW + minute * MINUTE)
    decline(order, NOW + HOUR)
    assert retry_after(order, NOW + HOUR) == 60
    decline(order, NOW + HOUR + MINUTE)


def test_the_limit_is_a_setting() -> None:
    order = a_placed_order()
    for _ in range(3):
        decline(order)
    assert retry_after(order, NOW, OrderLimits(declines=3)) == 3_600
    assert retry_after(order, NOW, OrderLimits(declines=4)) is None


def test_many_small_payments_at_once_are_no_way_around_the_limit() -> None:
    order = a_placed_order()
    for _ in range(10):
        order.start_payment("tok_stolen", amount=1, by=CUSTOMER, now=NOW)
    with pytest.raises(TooManyDeclines):
        order.start_payment("tok_stolen", amount=1, by=CUSTOMER, now=NOW)


def test_payments_that_worked_do_not_count() -> None:
    order = a_placed_order()
    for _ in range(6):
        authorize(order, 100)
        void(order, authorize(order, 100))
        decline(order, amount=100)
    assert retry_after(order, NOW) is None
    authorize(order)
    assert order.status is OrderStatus.CONFIRMED


def test_an_order_with_nothing_to_pay_says_so_first() -> None:
    order = a_placed_order()
    for _ in range(10):
        decline(order)
    assert [type(each).code for each in refusals(order.state, Action.PAY, now=NOW)] == [
        "too-many-declines"
    ]
    order.cancel("customer", by=CUSTOMER, now=NOW)
    assert [type(each).code for each in refusals(order.state, Action.PAY, now=NOW)] == [
        "illegal-transition"
    ]
