"""Changes of what was ordered: worked out first, counting only once they are applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from orders.domain.errors import (
    AmountTooLarge,
    ChangeOpen,
    ChangeOutdated,
    IllegalStep,
    InvalidValue,
    OrderError,
    OrderNotClosed,
    PartNotFound,
    QuantityExceedsAvailable,
    TotalChanged,
    WouldCancelWholeOrder,
)
from orders.domain.events import OrderChanged, OrderChangeDeclined, OrderCompleted
from orders.domain.lifecycle import OrderPaymentStatus, OrderStatus
from orders.domain.lines import DraftLine, Items, Line
from orders.domain.order.order import Order
from orders.domain.order_changes import ChangeStatus, ShippingChange
from orders.domain.validation import OrderLimits, Shipping
from tests.support.orders import (
    ADDRESS,
    CUSTOMER,
    NOW,
    STAFF,
    a_placed_order,
    authorize,
    deliver,
    items,
    pack,
    restored,
    take,
)

INK = DraftLine(sku="INK", name="Ink", quantity=2, unit_price=700, discount=100, tax=50)


def propose(order: Order, removed: Items | None = None, *added: DraftLine, **more: Any) -> None:
    order.propose_change(
        removed=removed or {},
        added=added,
        reason="customer",
        by=CUSTOMER,
        now=NOW,
        **more,
    )


def apply(order: Order, change_id: str = "1") -> None:
    order.apply_change(change_id, by=STAFF, now=NOW)


def decline(order: Order, change_id: str = "1") -> None:
    order.decline_change(change_id, by=STAFF, now=NOW)


def test_a_proposal_says_what_the_order_would_cost_and_changes_nothing_else() -> None:
    order = a_placed_order()
    before = order.state
    propose(order, items(_1=1), INK)

    (change,) = order.state.changes
    assert (change.gross, change.status) == (4_300 - 1_000 + 1_350, ChangeStatus.PROPOSED)
    state = order.state
    assert replace(before, changes=state.changes, sequence=state.sequence) == state


def test_an_applied_change_is_part_of_the_order() -> None:
    order = a_placed_order()
    propose(order, items(_1=1), INK)
    apply(order)

    state = order.state
    assert state.totals.gross == state.totals.due == state.changes[0].gross == 4_650
    assert [(line.id, line.sku, line.live) for line in state.lines][-1] == ("4", "INK", 2)
    assert state.lines[0].cancelled == 1
    assert state.changes[0].status is ChangeStatus.APPLIED


def test_a_declined_change_leaves_the_order_as_it_was() -> None:
    order = a_placed_order()
    lines = order.state.lines
    propose(order, items(_1=1), INK)
    decline(order)

    assert (order.state.lines, order.state.totals.gross) == (lines, 4_300)
    propose(order, items(_2=1))
    assert [change.status for change in order.state.changes] == ["declined", "proposed"]


def test_what_a_confirmed_order_then_lacks_can_be_paid() -> None:
    order = a_placed_order()
    take(order)
    propose(order, None, INK)
    apply(order)

    assert order.status is OrderStatus.CONFIRMED
    assert order.state.payment_status is OrderPaymentStatus.PARTIALLY_PAID
    call = order.start_payment("tok_ok", by=CUSTOMER, now=NOW)
    assert call.amount == 1_350


def test_what_was_paid_too_much_can_be_refunded() -> None:
    order = a_placed_order()
    take(order)
    propose(order, items(_1=2))
    apply(order)

    assert order.state.payment_status is OrderPaymentStatus.OVERPAID
    assert order.state.totals.refund_due == 2_000


def test_an_order_that_is_covered_after_the_change_is_confirmed() -> None:
    order = a_placed_order()
    authorize(order, 3_300)
    assert order.state.payment_status is OrderPaymentStatus.PARTIALLY_AUTHORIZED
    propose(order, items(_1=1))
    apply(order)
    assert order.status is OrderStatus.CONFIRMED


def test_an_open_change_keeps_an_order_from_completing() -> None:
    order = a_placed_order()
    take(order)
    propose(order, None, INK)
    deliver(order)
    with pytest.raises(OrderNotClosed) as refused:
        order.complete(by=STAFF, now=NOW)
    assert refused.value.what == "change"
    decline(order)
    assert order.status is OrderStatus.COMPLETED


@pytest.mark.parametrize(
    ("removed", "added", "refusal"),
    [
        ({}, (), InvalidValue),
        (items(_1=4), (), QuantityExceedsAvailable),
        (items(_1=0), (), InvalidValue),
        (items(_9=1), (), PartNotFound),
        (items(_1=3, _2=2, _3=1), (), WouldCancelWholeOrder),
        ({}, (replace(INK, unit_price=None),), InvalidValue),
        ({}, (replace(INK, quantity=0),), InvalidValue),
        ({}, (replace(INK, discount=1_401),), InvalidValue),
        ({}, (replace(INK, quantity=10**5, unit_price=10**10),) * 10, AmountTooLarge),
    ],
)
def test_what_cannot_be_is_not_proposed(
    removed: Items, added: tuple[DraftLine, ...], refusal: type[OrderError]
) -> None:
    order = a_placed_order()
    before = order.state
    with pytest.raises(refusal):
        propose(order, removed, *added)
    assert order.state is before


def test_all_units_may_go_when_others_come() -> None:
    order = a_placed_order()
    propose(order, items(_1=3, _2=2, _3=1), INK)
    apply(order)
    assert [line.live for line in order.state.lines] == [0, 0, 0, 2]


def test_an_order_has_as_many_lines_as_it_may_and_no_more() -> None:
    order = a_placed_order()
    propose(order, None, INK, limits=OrderLimits(lines=4))
    apply(order)
    with pytest.raises(InvalidValue):
        propose(order, None, INK, limits=OrderLimits(lines=4))


def test_lines_that_were_declined_count_too() -> None:
    """They are kept: an order that could be offered lines without end could grow without end."""
    order = a_placed_order()
    propose(order, None, INK, limits=OrderLimits(lines=5))
    decline(order)
    with pytest.raises(InvalidValue, match="declined ones included"):
        propose(order, None, INK, INK, limits=OrderLimits(lines=5))
    propose(order, None, INK, limits=OrderLimits(lines=5))


def test_a_change_at_another_price_than_expected_is_refused() -> None:
    order = a_placed_order()
    with pytest.raises(TotalChanged) as refused:
        propose(order, None, INK, expected_total=5_649)
    assert refused.value.actual == 5_650
    propose(order, None, INK, expected_total=5_650)


def test_one_change_is_open_at_a_time() -> None:
    order = a_placed_order()
    propose(order, items(_1=1))
    with pytest.raises(ChangeOpen) as refused:
        propose(order, items(_2=1))
    assert refused.value.change_id == "1"


def test_units_that_were_packed_since_cannot_be_taken_off() -> None:
    order = a_placed_order()
    take(order)
    propose(order, items(_1=3))
    pack(order, items(_1=1))
    with pytest.raises(QuantityExceedsAvailable) as refused:
        apply(order)
    assert (refused.value.wanted, refused.value.available) == (3, 2)


def test_a_change_is_not_applied_at_another_price_than_was_agreed() -> None:
    order = a_placed_order()
    propose(order, items(_1=1))
    order.cancel_items(items(_2=1), "inventory", by=STAFF, now=NOW)
    before = order.state
    with pytest.raises(ChangeOutdated) as refused:
        apply(order)
    assert (refused.value.agreed, refused.value.actual) == (3_300, before.totals.gross - 1_000)
    assert order.state is before


@pytest.mark.parametrize("first", [apply, decline])
@pytest.mark.parametrize("then", [apply, decline])
def test_a_change_is_decided_once(
    first: Callable[[Order], None], then: Callable[[Order], None]
) -> None:
    order = a_placed_order()
    propose(order, items(_1=1))
    first(order)
    with pytest.raises(IllegalStep):
        then(order)


def proposed_by_staff(order: Order) -> None:
    order.propose_change(removed={}, added=[INK], reason="substitute", by=STAFF, now=NOW)


def test_an_order_completes_itself_and_declines_what_only_waits_for_its_customer() -> None:
    order = a_placed_order()
    take(order)
    proposed_by_staff(order)
    deliver(order)

    assert order.status is OrderStatus.COMPLETED
    assert order.state.changes[0].status is ChangeStatus.DECLINED
    assert [type(each.event) for each in order.new_events][-2:] == [
        OrderChangeDeclined,
        OrderCompleted,
    ]
    assert order.state.totals.gross == 4_300


def test_staff_can_complete_an_order_whose_change_only_waits_for_its_customer() -> None:
    order = a_placed_order()
    take(order)
    proposed_by_staff(order)
    order.hold("address", by=STAFF, now=NOW)
    order = restored(order, holds=(), lines=tuple(all_delivered(order)))
    assert order.status is OrderStatus.CONFIRMED
    order.complete(by=STAFF, now=NOW)
    assert order.state.changes[0].status is ChangeStatus.DECLINED


def all_delivered(order: Order) -> Iterator[Line]:
    for line in order.state.lines:
        units = line.live if line.shippable else 0
        yield replace(line, shipped=units, delivered=units)


def test_a_change_of_unknown_origin_is_waited_for() -> None:
    """It was stored before orders recorded who proposed a change."""
    order = a_placed_order()
    take(order)
    proposed_by_staff(order)
    (change,) = order.state.changes
    order = restored(order, changes=(replace(change, proposed_by=None),))
    deliver(order)
    assert order.status is OrderStatus.CONFIRMED


EXPRESS = ShippingChange(method="express", price=900)


def test_a_change_of_the_shipping_method_changes_method_and_price_and_no_address() -> None:
    order = a_placed_order(shipping=Shipping(address=ADDRESS, method="standard", price=400))
    take(order)
    propose(order, shipping=EXPRESS)
    assert order.state.totals.gross == 4_700
    assert order.state.changes[0].gross == 5_200

    apply(order)
    assert order.state.shipping == Shipping(address=ADDRESS, method="express", price=900)
    totals = order.state.totals
    assert (totals.shipping, totals.gross, totals.outstanding) == (900, 5_200, 500)
    told = order.new_events[-1].event
    assert told == OrderChanged(
        change_id="1", removed={}, added=0, gross=5_200, shipping_method="express"
    )


def test_lines_and_shipping_change_together() -> None:
    order = a_placed_order()
    propose(order, items(_1=1), INK, shipping=EXPRESS, expected_total=5_550)
    apply(order)
    assert order.state.totals.gross == 4_300 - 1_000 + 1_350 + 900
    assert order.state.shipping == Shipping(method="express", price=900)


def test_an_address_that_was_edited_meanwhile_stays() -> None:
    order = a_placed_order()
    propose(order, shipping=EXPRESS)
    order.edit(address=ADDRESS, by=CUSTOMER, now=NOW)
    apply(order)
    assert order.state.shipping == Shipping(address=ADDRESS, method="express", price=900)


def test_a_cheaper_way_of_shipping_is_owed_back() -> None:
    order = a_placed_order(shipping=Shipping(method="express", price=900))
    take(order)
    propose(order, shipping=ShippingChange(method="standard", price=400))
    apply(order)
    assert order.state.totals.refund_due == 500


def test_a_declined_change_leaves_the_shipping_as_it_was() -> None:
    order = a_placed_order()
    propose(order, shipping=EXPRESS)
    decline(order)
    assert order.state.shipping is None


@pytest.mark.parametrize(
    ("shipping", "refusal"),
    [
        (ShippingChange(method="Not a code"), InvalidValue),
        (ShippingChange(method="express", price=-1), InvalidValue),
        (ShippingChange(method="express", price=2**53), InvalidValue),
        (ShippingChange(method="express", price=2**53 - 1), AmountTooLarge),
        (ShippingChange(method="standard", price=400), InvalidValue),
    ],
    ids=["method", "negative", "large", "total", "as-it-is"],
)
def test_a_shipping_that_cannot_be_is_not_proposed(
    shipping: ShippingChange, refusal: type[OrderError]
) -> None:
    order = a_placed_order(shipping=Shipping(address=ADDRESS, method="standard", price=400))
    before = order.state
    with pytest.raises(refusal):
        propose(order, shipping=shipping)
    assert order.state is before


def test_the_tax_of_another_shipping_is_computed_at_its_rate() -> None:
    before = Shipping(method="standard", price=400, tax_rate="0.19")
    order = a_placed_order(shipping=before, prices_include_tax=True)
    propose(order, shipping=EXPRESS)
    apply(order)
    assert order.state.shipping == Shipping(method="express", price=900, tax=144, tax_rate="0.19")
    assert order.state.totals.tax == 144

    propose(order, shipping=ShippingChange(method="freight", price=900, tax_rate="0.07"))
    apply(order, "2")
    assert (order.state.totals.tax, order.state.totals.gross) == (59, 5_200)


def test_a_shipping_has_a_tax_or_a_rate() -> None:
    order = a_placed_order()
    with pytest.raises(InvalidValue, match="shipping/tax"):
        propose(order, shipping=replace(EXPRESS, tax=5, tax_rate="0.19"))
    propose(order, shipping=replace(EXPRESS, tax=5))
    apply(order)
    assert (order.state.totals.tax, order.state.totals.gross) == (5, 5_205)
