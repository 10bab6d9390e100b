"""What an order is placed with: its time to pay, its first holds, and who confirms it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from orders.domain.actions import Action
from orders.domain.errors import ExpiryPassed, InvalidValue, OnHold, PaymentNotCovered
from orders.domain.events import OrderCreated, OrderHeld
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine
from orders.domain.pricing import MAX_FIRST_HOLDS, Confirmation
from orders.domain.rules import refusals
from tests.support.orders import (
    CUSTOMER,
    EXPIRES,
    NOW,
    STAFF,
    a_draft,
    a_placed_order,
    authorize,
    take,
)

TICK = timedelta(milliseconds=1)
FREE = (DraftLine(sku="GIFT", name="Gift", quantity=1, unit_price=0),)


def test_an_order_expires_when_its_own_time_to_pay_is_over() -> None:
    order = a_placed_order(expires_at=NOW + TICK)
    assert order.state.next_action_at == NOW + TICK
    order.expire(now=NOW + TICK)
    assert order.status is OrderStatus.EXPIRED


@pytest.mark.parametrize("early", [timedelta(0), TICK, timedelta(days=9_999)])
def test_an_order_is_not_placed_when_its_time_to_pay_is_over(early: timedelta) -> None:
    with pytest.raises(ExpiryPassed) as refused:
        a_placed_order(expires_at=NOW - early)
    assert refused.value.field == "expires_at"


def test_first_holds_are_part_of_the_order_and_tell_of_themselves() -> None:
    order = a_placed_order(holds=("fraud-review", "address"))
    holds = [(hold.id, hold.reason, hold.placed_at) for hold in order.state.open_holds]
    assert holds == [("1", "fraud-review", NOW), ("2", "address", NOW)]
    told = [recorded.event for recorded in order.new_events]
    assert told[1:] == [
        OrderHeld(hold_id="1", reason="fraud-review"),
        OrderHeld(hold_id="2", reason="address"),
    ]
    assert isinstance(told[0], OrderCreated)
    assert {recorded.actor for recorded in order.new_events} == {CUSTOMER}


def test_a_held_order_is_paid_and_waits_until_the_last_hold_is_released() -> None:
    order = a_placed_order(holds=("fraud-review", "address"))
    authorize(order)
    order.release("1", by=STAFF, now=NOW)
    assert order.status == "pending"
    with pytest.raises(OnHold):
        order.confirm(by=STAFF, now=NOW)
    order.release("2", by=STAFF, now=NOW)
    assert order.status == "confirmed"


def test_a_free_order_that_is_held_does_not_confirm_itself() -> None:
    order = a_placed_order(lines=FREE, holds=("fraud-review",))
    assert order.status is OrderStatus.PENDING
    assert a_placed_order(lines=FREE).status is OrderStatus.CONFIRMED


@pytest.mark.parametrize(
    "holds",
    [("Not a code",), ("",), ("a", "b", "a"), tuple(f"h{n}" for n in range(MAX_FIRST_HOLDS + 1))],
    ids=["code", "empty", "twice", "many"],
)
def test_holds_that_are_no_reasons_are_refused(holds: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValue, match="holds"):
        a_placed_order(holds=holds)
    many = tuple(f"h{n}" for n in range(MAX_FIRST_HOLDS))
    assert len(a_placed_order(holds=many).state.open_holds) == MAX_FIRST_HOLDS


@pytest.mark.parametrize("pay", [authorize, take, lambda _: None], ids=["auth", "take", "free"])
def test_only_staff_confirm_an_order_with_manual_confirmation(pay: object) -> None:
    is_free = pay not in (authorize, take)
    lines = FREE if is_free else a_draft().lines
    order = a_placed_order(confirmation=Confirmation.MANUAL, lines=lines)
    if not is_free:
        assert callable(pay)
        pay(order)
    # What makes other orders confirm themselves does not: payment, and whatever changes later.
    order.hold("address", by=STAFF, now=NOW)
    order.release("1", by=STAFF, now=NOW)
    order.add_note("Checked", by=STAFF, now=NOW)
    assert order.status == "pending"

    order.confirm(by=STAFF, now=NOW)
    assert order.status == "confirmed"


def test_staff_cannot_confirm_what_is_not_covered() -> None:
    order = a_placed_order(confirmation=Confirmation.MANUAL)
    with pytest.raises(PaymentNotCovered):
        order.confirm(by=STAFF, now=NOW)


def test_an_order_that_waits_for_staff_expires_only_unpaid() -> None:
    paid, unpaid = (a_placed_order(confirmation=Confirmation.MANUAL) for _ in range(2))
    authorize(paid)
    assert [type(error).code for error in refusals(paid.state, Action.EXPIRE, now=EXPIRES)] == [
        "payment-in-flight"
    ]
    unpaid.expire(now=EXPIRES)
    assert unpaid.status is OrderStatus.EXPIRED


def test_the_time_to_pay_ends_at_a_whole_millisecond_in_utc() -> None:
    stated = (EXPIRES + timedelta(microseconds=123_999)).astimezone(timezone(timedelta(hours=-3)))

    kept = a_placed_order(expires_at=stated).state.expires_at

    assert (kept, kept.tzinfo) == (EXPIRES + timedelta(milliseconds=123), UTC)
    with pytest.raises(ExpiryPassed):
        a_placed_order(expires_at=NOW + timedelta(microseconds=999))
    west = timezone(timedelta(hours=-14))
    with pytest.raises(InvalidValue, match="expires_at"):
        a_placed_order(expires_at=datetime.max.replace(tzinfo=west))
