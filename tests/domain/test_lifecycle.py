"""Every cell of status and command, by hand: what may happen, and that nothing else does."""

from __future__ import annotations

from typing import Final

import pytest

from orders.domain.actions import Action
from orders.domain.errors import IllegalTransition
from orders.domain.lifecycle import OrderStatus
from orders.domain.rules import refusals
from tests.support.orders import EXPIRES, an_order_ready_for, an_order_that_is, carry_out

# A column for each status: pending, confirmed, completed, cancelled, expired. A dot is refused.
MATRIX: Final = """
                 pending    confirmed  completed  cancelled  expired
confirm          confirmed  .          .          .          .
expire           expired    .          .          .          .
cancel           cancelled  cancelled  .          .          .
complete         .          completed  .          .          .
cancel_items     pending    confirmed  .          .          .
edit             pending    confirmed  .          .          .
propose_change   pending    confirmed  .          .          .
apply_change     pending    confirmed  .          .          .
decline_change   pending    confirmed  completed  cancelled  expired
assign_customer  pending    confirmed  completed  cancelled  expired
add_note         pending    confirmed  completed  cancelled  expired
hold             pending    confirmed  .          .          .
release          pending    confirmed  completed  cancelled  expired
pay              pending    confirmed  .          .          .
record_payment   pending    confirmed  completed  cancelled  expired
capture          pending    confirmed  .          .          .
void             pending    confirmed  completed  cancelled  expired
dismiss_payment  pending    confirmed  completed  cancelled  expired
refund           pending    confirmed  completed  cancelled  expired
record_refund    pending    confirmed  completed  cancelled  expired
write_off        pending    confirmed  completed  .          .
grant_credit     pending    confirmed  completed  .          .
revoke_credit    pending    confirmed  completed  .          .
create_shipment  .          confirmed  .          .          .
record_late_shipment  .     confirmed  completed  cancelled  expired
correct_shipment  .         confirmed  completed  cancelled  expired
dispatch         .          confirmed  .          .          .
deliver          .          confirmed  completed  cancelled  expired
fail_delivery    .          confirmed  completed  cancelled  expired
cancel_shipment  .          confirmed  .          .          .
request_return   .          confirmed  completed  .          .
approve_return   .          confirmed  completed  .          .
decline_return   .          confirmed  completed  .          .
receive_return   .          confirmed  completed  .          .
close_return     .          confirmed  completed  .          .
"""


def cells() -> list[tuple[OrderStatus, Action, OrderStatus | None]]:
    head, *rows = [line.split() for line in MATRIX.strip().splitlines()]
    return [
        (OrderStatus(status), Action(row[0]), None if cell == "." else OrderStatus(cell))
        for row in rows
        for status, cell in zip(head, row[1:], strict=True)
    ]


def test_the_table_names_every_command_and_every_status() -> None:
    named = {(status, action) for status, action, _ in cells()}
    assert named == {(status, action) for status in OrderStatus for action in Action}
    assert len(cells()) == len(OrderStatus) * len(Action)


ALLOWED: Final = [(status, action, after) for status, action, after in cells() if after]
REFUSED: Final = [(status, action) for status, action, after in cells() if after is None]


@pytest.mark.parametrize(("status", "action", "after"), ALLOWED)
def test_an_allowed_command_takes_effect(
    status: OrderStatus, action: Action, after: OrderStatus
) -> None:
    order = an_order_ready_for(action, status)
    before = order.state
    assert refusals(before, action, now=EXPIRES) == []
    carry_out(order, action)
    assert order.status is after
    assert order.state != before


@pytest.mark.parametrize(("status", "action"), REFUSED)
def test_any_other_command_is_refused_and_changes_nothing(
    status: OrderStatus, action: Action
) -> None:
    order = an_order_that_is(status)
    before, events = order.state, order.new_events
    with pytest.raises(IllegalTransition) as refused:
        carry_out(order, action)
    assert (refused.value.status, refused.value.action) == (status, action)
    assert refused.value.blocked_by == ("illegal-transition",)
    assert order.state is before
    assert order.new_events is events
