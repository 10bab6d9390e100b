"""Never more is credited than is left of a line, and units are in one place, whatever happens.

One order under random commands about its goods, in any order. Everything is worked out again from
the parts of the order, unit by unit, apart from the code that is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orders.domain.errors import OrderError
from orders.domain.lifecycle import OrderStatus
from orders.domain.lines import DraftLine, Line, move_units
from orders.domain.order import _returns, _shipments
from orders.domain.order.order import Order
from orders.domain.rules import bounds
from orders.domain.shipments import FAILURE_REASONS, Shipment
from orders.domain.state import OrderState
from orders.domain.validation import Shipping
from tests.support.orders import CUSTOMER, NOW, STAFF, a_placed_order, settle_refund, take

UNITS: Final = st.integers(0, 5)
PICK: Final = st.integers(0, 5)
CURRENCIES: Final = ("JPY", "EUR", "BHD", "CLF")
"""With 0, 2, 3 and 4 digits."""
LINES: Final = st.lists(
    st.builds(
        DraftLine,
        sku=st.just("PEN"),
        name=st.just("Pen"),
        quantity=st.integers(1, 5),
        unit_price=st.integers(0, 40) | st.sampled_from([999, 10_001]),
        discount=st.just(0),
        tax=st.integers(0, 7),
        shippable=st.sampled_from([True, True, True, True, False]),
    ),
    min_size=1,
    max_size=3,
)
WANTED: Final = ("created", "dispatched", "delivered")
SETTINGS: Final = settings(
    max_examples=150, stateful_step_count=40, derandomize=True, database=None, deadline=None
)


def price(line: Line, units: int) -> int:
    """What the first units of a line cost, unit by unit: what is left over goes to the first."""

    def shared(amount: int) -> int:
        each = [amount // line.quantity] * line.quantity
        for unit in range(amount - sum(each)):
            each[unit] += 1
        return sum(each[:units])

    return line.unit_price * units + shared(line.tax) - shared(line.discount + line.order_discount)


def added(parts: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum((Counter(dict(part)) for part in parts), Counter[str]())


def counted(shipments: Iterable[Shipment], *statuses: str) -> Counter[str]:
    """The units in parcels with these statuses, without their surplus."""
    parcels = [s for s in shipments if s.status in statuses]
    return added(s.items for s in parcels) - added(s.surplus for s in parcels)


def check_units(state: OrderState) -> None:
    """Each counter is the sum of the parts that it counts."""
    credits = [credit for credit in state.credits if credit.revoked_at is None]
    expected = {
        "allocated": counted(state.shipments, "created"),
        "shipped": counted(state.shipments, "dispatched", "delivered"),
        "delivered": counted(state.shipments, "delivered"),
        "returned": added(a_return.received or {} for a_return in state.returns),
        "undeliverable": added(credit.undeliverable for credit in credits),
    }
    if state.status is OrderStatus.CANCELLED:
        expected["undeliverable"] = Counter()
    for name, units in expected.items():
        assert {line.id: getattr(line, name) for line in state.lines} == {
            line.id: units[line.id] for line in state.lines
        }, name
    for line in state.lines:
        assert 0 <= line.returned <= line.delivered <= line.shipped
        taken = line.shipped + line.allocated + line.undeliverable
        assert 0 <= taken <= line.quantity - line.cancelled <= line.quantity


def check_credits(state: OrderState) -> None:
    """Never more than is left of a line: all credits for it are at most what it costs."""
    credits = [credit for credit in state.credits if credit.revoked_at is None]
    assert state.totals.credits == sum(credit.amount for credit in credits)
    for credit in state.credits:
        assert sum(credit.lines.values()) in {0, credit.amount}
    if state.status is OrderStatus.CANCELLED:
        return
    by_line = added(credit.lines for credit in credits)
    for line in state.lines:
        assert by_line[line.id] <= price(line, line.quantity - line.cancelled), "beyond a line"
    for credit in state.credits:
        if credit.return_id is not None:
            came = state.returns[int(credit.return_id) - 1].received or {}
            for line in state.lines:
                most = line.unit_price * came.get(line.id, 0) + line.tax
                assert credit.lines.get(line.id, 0) <= most, "beyond the units that came"


def check_values(before: OrderState, after: OrderState) -> None:
    """A new parcel takes what may be captured for all parcels, less what the others have."""
    if len(after.shipments) == len(before.shipments) or not after.shipments[-1].counted:
        return
    units = counted(after.shipments, *WANTED)
    shipping = after.shipping.price if after.shipping else 0
    packed = shipping + sum(price(line, units[line.id]) for line in after.lines)
    others = sum(s.value or 0 for s in after.shipments[:-1] if s.status in WANTED)
    due = max(0, before.totals.gross - before.totals.credits)
    assert after.shipments[-1].value == max(0, min(packed, due) - others)


class GoodsMachine(RuleBasedStateMachine):
    """Commands may be refused, and then change nothing."""

    @initialize(
        lines=LINES,
        discount=st.integers(0, 9),
        shipping=st.integers(0, 9),
        currency=st.sampled_from(CURRENCIES),
        start=st.sampled_from(["placed", "sent", "lost", "delivered"]),
    )
    def place(
        self, lines: list[DraftLine], discount: int, shipping: int, currency: str, start: str
    ) -> None:
        worth = sum(line.quantity * (line.unit_price or 0) for line in lines)
        self.order = a_placed_order(
            lines=tuple(lines),
            discount=min(discount, worth),
            shipping=Shipping(price=shipping),
            currency=currency,
        )
        if self.order.state.totals.due:
            take(self.order)
        if start != "placed" and any(line.shippable for line in lines):
            self.pack_all()
            self.ship(0, "dispatch")
        if start == "lost":
            self.lose(0, "lost")
        if start == "delivered":
            self.ship(0, "deliver")

    def command(self, give: Callable[[Order], object]) -> None:
        before, events = self.order.state, self.order.new_events
        try:
            give(self.order)
        except OrderError:
            assert self.order.state is before
            assert self.order.new_events is events
            return
        check_units(self.order.state)
        check_credits(self.order.state)
        check_values(before, self.order.state)

    def line(self, pick: int) -> Line:
        return self.order.state.lines[pick % len(self.order.state.lines)]

    def part(self, kind: str, pick: int) -> str:
        return str(1 + pick % max(1, len(getattr(self.order.state, kind))))

    # -- parcels ------------------------------------------------------------------------------

    @rule(pick=PICK, units=UNITS, also=PICK, more=UNITS)
    def pack(self, pick: int, units: int, also: int, more: int) -> None:
        items = {self.line(also).id: more, self.line(pick).id: units}
        items = {line_id: count for line_id, count in items.items() if count}
        self.command(lambda order: order.create_shipment(items, by=STAFF, now=NOW))

    @precondition(lambda self: any(line.unallocated for line in self.order.state.lines))
    @rule()
    def pack_all(self) -> None:
        left = {line.id: line.unallocated for line in self.order.state.lines if line.shippable}
        items = {line_id: units for line_id, units in left.items() if units}
        self.command(lambda order: order.create_shipment(items, by=STAFF, now=NOW))

    @precondition(lambda self: any(s.status == "failed" for s in self.order.state.shipments))
    @rule(pick=PICK)
    def arrive_after_all(self, pick: int) -> None:
        failed = [s.id for s in self.order.state.shipments if s.status == "failed"]
        parcel = failed[pick % len(failed)]
        self.command(lambda order: order.deliver(parcel, by=STAFF, now=NOW))

    @precondition(lambda self: self.order.state.shipments)
    @rule(pick=PICK, step=st.sampled_from(["dispatch", "deliver", "deliver", "cancel_shipment"]))
    def ship(self, pick: int, step: str) -> None:
        parcel = self.part("shipments", pick)
        self.command(lambda order: getattr(order, step)(parcel, by=STAFF, now=NOW))

    @precondition(lambda self: any(s.status == "dispatched" for s in self.order.state.shipments))
    @rule(pick=PICK, reason=st.sampled_from(FAILURE_REASONS))
    def lose(self, pick: int, reason: str) -> None:
        sent = [s.id for s in self.order.state.shipments if s.status == "dispatched"]
        parcel = sent[pick % len(sent)] if sent else "1"
        self.command(lambda order: order.fail_delivery(parcel, reason, by=STAFF, now=NOW))

    @precondition(lambda self: any(line.cancelled for line in self.order.state.lines))
    @rule(pick=PICK, units=UNITS)
    def record_late(self, pick: int, units: int) -> None:
        items = {self.line(pick).id: units}
        self.command(lambda order: order.record_late_shipment(items, by=STAFF, now=NOW))

    # -- units that are not wanted --------------------------------------------------------------

    @rule(pick=PICK, units=UNITS)
    def cancel_items(self, pick: int, units: int) -> None:
        items = {self.line(pick).id: units}
        self.command(lambda order: order.cancel_items(items, "other", by=CUSTOMER, now=NOW))

    @rule(pick=PICK, units=UNITS)
    def change(self, pick: int, units: int) -> None:
        items = {self.line(pick).id: units}
        self.command(
            lambda order: order.propose_change(
                removed=items, added=(), reason="other", by=STAFF, now=NOW
            )
        )

    @precondition(lambda self: self.order.state.open_changes)
    @rule()
    def apply_change(self) -> None:
        change = self.order.state.open_changes[0].id
        self.command(lambda order: order.apply_change(change, by=STAFF, now=NOW))
        if self.order.state.open_changes:
            self.command(lambda order: order.decline_change(change, by=STAFF, now=NOW))

    @precondition(lambda self: len(self.order.state.shipments) > 3)
    @rule()
    def cancel(self) -> None:
        self.command(lambda order: order.cancel("staff", by=STAFF, now=NOW))

    # -- money ----------------------------------------------------------------------------------

    @rule(
        amount=st.integers(0, 60) | st.sampled_from([999, 2_000, 10_001]),
        pick=st.none() | PICK,
        units=st.integers(0, 2),
    )
    def grant_credit(self, amount: int, pick: int | None, units: int) -> None:
        line_id = None if pick is None else self.line(pick).id
        self.command(
            lambda order: order.grant_credit(
                amount, "lost", line_id=line_id, undeliverable=units, by=STAFF, now=NOW
            )
        )

    @precondition(lambda self: self.order.state.credits)
    @rule(pick=PICK)
    def revoke(self, pick: int) -> None:
        credit = self.part("credits", pick)
        before = self.order.state.totals
        held = before.net - before.pending_refunds
        self.command(lambda order: order.revoke_credit(credit, by=STAFF, now=NOW))
        after = self.order.state.totals
        if after.credits < before.credits and before.refunded + before.pending_refunds:
            assert after.due in {before.due, min(after.due, held)}, "it was paid out"

    @precondition(lambda self: self.order.state.totals.refund_due)
    @rule()
    def refund(self) -> None:
        self.command(lambda order: order.refund(reason="other", by=STAFF, now=NOW))
        self.settle_refunds()

    @precondition(lambda self: self.order.state.totals.outstanding)
    @rule()
    def pay(self) -> None:
        self.command(take)

    # -- returns --------------------------------------------------------------------------------

    @precondition(lambda self: any(line.delivered for line in self.order.state.lines))
    @rule(pick=PICK, units=UNITS, approved=st.booleans())
    def request_return(self, pick: int, units: int, approved: bool) -> None:
        items = {self.line(pick).id: units}
        known = len(self.order.state.returns)
        self.command(lambda order: order.request_return(items, "bad", by=CUSTOMER, now=NOW))
        if approved and len(self.order.state.returns) > known:
            self.command(lambda order: order.approve_return(str(known + 1), by=STAFF, now=NOW))

    @precondition(lambda self: any(line.delivered for line in self.order.state.lines))
    @rule(pick=PICK)
    def return_all(self, pick: int) -> None:
        """Of one line, whatever is credited already."""
        line = self.line(pick)
        self.request_return(pick, line.delivered - line.returned, True)
        self.receive(-1, 0, None)

    @precondition(lambda self: any(r.status == "approved" for r in self.order.state.returns))
    @rule(pick=PICK, fewer=st.integers(0, 2), credit=st.none() | st.integers(0, 90))
    def receive(self, pick: int, fewer: int, credit: int | None) -> None:
        approved = [r for r in self.order.state.returns if r.status == "approved"]
        if not approved:
            return
        a_return = approved[pick % len(approved)]
        came = {line_id: units - fewer for line_id, units in a_return.items.items()}
        self.command(
            lambda order: order.receive_return(
                a_return.id, items=came, credit=credit, by=STAFF, now=NOW
            )
        )

    @precondition(lambda self: self.order.state.returns)
    @rule(pick=PICK, step=st.sampled_from(["approve", "close", "decline"]))
    def decide_return(self, pick: int, step: str) -> None:
        a_return = self.part("returns", pick)
        self.command(lambda order: getattr(order, f"{step}_return")(a_return, by=STAFF, now=NOW))

    # -- every order can end --------------------------------------------------------------------

    def settle_refunds(self) -> None:
        for refund in self.order.state.ledger.refunds:
            if refund.status == "requested":
                settle_refund(self.order, refund.id)

    def teardown(self) -> None:
        """Whatever has happened, commands lead to an order that is ended and balanced."""
        if not hasattr(self, "order"):
            return
        order = self.order
        for change in order.state.open_changes:
            order.decline_change(change.id, by=STAFF, now=NOW)
        for a_return in order.state.returns:
            if a_return.status in {"requested", "approved"}:
                step = "decline" if a_return.status == "requested" else "close"
                getattr(order, f"{step}_return")(a_return.id, by=STAFF, now=NOW)
        if order.status is OrderStatus.CONFIRMED:
            self.end()
        self.settle_refunds()
        totals = order.state.totals
        assert order.status in {OrderStatus.COMPLETED, OrderStatus.CANCELLED}, order.state
        assert totals.net == totals.due or order.state.totals.refund_due

    def end(self) -> None:
        order = self.order
        for line in order.state.lines:
            if line.shippable and line.unallocated:
                order.grant_credit(
                    0, "lost", line_id=line.id, undeliverable=line.unallocated, by=STAFF, now=NOW
                )
        if order.state.totals.outstanding and order.status is OrderStatus.CONFIRMED:
            take(order)
        for parcel in order.state.shipments:
            if parcel.status == "created":
                order.dispatch(parcel.id, by=STAFF, now=NOW)
            if parcel.status in {"created", "dispatched"}:
                order.deliver(parcel.id, by=STAFF, now=NOW)
        if order.state.totals.refund_due:
            order.refund(reason="other", by=STAFF, now=NOW)


TestGoods = GoodsMachine.TestCase
TestGoods.settings = SETTINGS


# -- the machine finds faults ----------------------------------------------------------------------


def credits_ignore_lines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_returns, "credited_by_line", lambda _: {})


def any_credit_for_a_line(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        _returns, "creditable_by_line", lambda state: {line.id: 10**6 for line in state.lines}
    )


def credited_units_are_cancelled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bounds, "_cancellable", lambda line, _: line.unallocated)


def lost_units_stay_sent(patch: pytest.MonkeyPatch) -> None:

    def moved(lines: tuple[Line, ...], items: Mapping[str, int], **counters: int) -> object:
        if counters == {"shipped": -1}:
            return lines
        return move_units(lines, items, **counters)  # type: ignore[arg-type]

    patch.setattr(_shipments, "move_units", moved)


def found_parcels_count_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_shipments, "_surplus", lambda *_: {})


def values_are_rounded_apart(patch: pytest.MonkeyPatch) -> None:
    def value(state: OrderState, items: Mapping[str, int]) -> int:
        return sum(line.value_of(items.get(line.id, 0)) for line in state.lines)

    patch.setattr(_shipments, "_value_of", value)


def paid_credits_are_revoked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bounds, "_is_paid_out", lambda *_: False)


def announced_units_come_back(patch: pytest.MonkeyPatch) -> None:

    def moved(lines: tuple[Line, ...], items: Mapping[str, int], **counters: int) -> object:
        if "returned" in counters:
            return tuple(replace(line, returned=line.delivered) for line in lines)
        return move_units(lines, items, **counters)  # type: ignore[arg-type]

    patch.setattr(_returns, "move_units", moved)


@pytest.mark.parametrize(
    "plant",
    [
        credits_ignore_lines,
        any_credit_for_a_line,
        credited_units_are_cancelled,
        lost_units_stay_sent,
        found_parcels_count_twice,
        values_are_rounded_apart,
        paid_credits_are_revoked,
        announced_units_come_back,
    ],
)
def test_the_machine_finds(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    # An order that cannot be ended any more refuses a command of `teardown`.
    with pytest.raises((AssertionError, OrderError)):
        run_state_machine_as_test(
            GoodsMachine,
            settings=settings(
                SETTINGS,
                max_examples=400,
                phases=(Phase.generate,),
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
