"""What follows from a change comes to an end, and why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orders.domain import Order, OrderState, ProviderStatus
from orders.domain.order import _core
from orders.domain.order._follow_ups import steps_left
from orders.domain.order._state_change import changed
from tests.support.orders import (
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_placed_order,
    a_report,
    authorize,
    take,
)


def paid_by_many() -> Order:
    """Three captured payments and three authorised ones; what is due is not covered yet."""
    order = a_placed_order()
    for _ in range(3):
        take(order, 100)
        authorize(order, 100)
    return order


def cancel(order: Order) -> None:
    order.cancel("staff", by=STAFF, now=NOW)


def cover(order: Order) -> None:
    order.start_payment("tok_ok", capture=True, by=CUSTOMER, now=NOW)
    report = a_report(order, ProviderStatus.CAPTURED)
    order.record_payment_report(report, order.state.ledger.payments[-1].id, now=NOW)


def expire(order: Order) -> None:
    order.expire(now=EXPIRES)


@pytest.mark.parametrize(
    ("build", "give", "follow_ups"),
    [(paid_by_many, cancel, 6), (paid_by_many, cover, 1), (a_placed_order, expire, 0)],
)
def test_each_consequence_brings_the_end_nearer(
    build: Callable[[], Order],
    give: Callable[[Order], None],
    follow_ups: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order, left = build(), list[int]()

    def measured(state: OrderState) -> int:
        left.append(steps_left(state))
        return left[-1]

    monkeypatch.setattr(_core, "steps_left", measured)
    give(order)
    # Two measures for each consequence: after it and before it.
    falls = list(zip(left[1::2], left[::2], strict=True))
    assert len(falls) == follow_ups
    assert all(before > after >= 0 for before, after in falls)


def test_consequences_without_end_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follow-up that takes nothing away from `steps_left` would follow from itself."""
    order = a_placed_order()

    def for_ever(*_: object) -> object:
        yield changed()

    monkeypatch.setattr(_core, "follow_ups", for_ever)
    with pytest.raises(AssertionError, match="must come to an end"):
        order.add_note("Checked", by=STAFF, now=NOW)
