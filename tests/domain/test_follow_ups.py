"""What follows from a change comes to an end, and why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orders.domain import Order, OrderState, ProviderStatus, TooManyParts
from orders.domain.order import _core
from orders.domain.order._follow_ups import is_nearer_the_end, steps_left
from orders.domain.order._state_change import Steps, changed
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
    order, falls = build(), list[tuple[int, int]]()

    def measured(before: OrderState, after: OrderState) -> bool:
        falls.append((steps_left(before), steps_left(after)))
        return is_nearer_the_end(before, after)

    monkeypatch.setattr(_core, "is_nearer_the_end", measured)
    give(order)
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


def test_a_command_that_fails_half_way_has_changed_nothing() -> None:
    """No command raises after its first change; if one did, the change would be taken back."""
    order = a_placed_order()
    before, new_events = order.state, order.new_events

    def steps() -> Steps[None]:
        yield changed(note="half")
        raise TooManyParts("notes", most=1)

    with pytest.raises(TooManyParts):
        order._core.carry_out(steps(), STAFF, NOW)
    assert (order.state, order.new_events) == (before, new_events)
    assert order.state is before
