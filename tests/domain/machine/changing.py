"""The order as a whole: what is ordered, what it costs, what stops it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.lines import DraftLine
from orders.domain.order.order import CANCEL_REASONS
from tests.domain.machine import invariants
from tests.domain.machine.driving import OVER, PICK, Driven, id_of, newest
from tests.support.orders import CUSTOMER, STAFF

LINES = st.lists(
    st.builds(
        DraftLine,
        sku=st.just("PEN"),
        name=st.just("Pen"),
        quantity=st.integers(1, 4),
        unit_price=st.integers(0, 60) | st.just(50),
        tax=st.integers(0, 7),
        shippable=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=2,
)


class Changing(Driven):
    """What people change about an order besides its money and its parcels."""

    @rule(amount=st.integers(1, 60))
    def grant_credit(self, amount: int) -> None:
        self.command(lambda order: order.grant_credit(amount, "goodwill", by=STAFF, now=self.now))

    @precondition(lambda self: self.steps > 6)
    @rule(reason=st.sampled_from([*CANCEL_REASONS, "none"]))
    def cancel(self, reason: str) -> None:
        self.command(lambda order: order.cancel(reason, by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER)
    def cancel_items(self, pick: int, over: int) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        self.command(lambda order: order.cancel_items(units, "other", by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER, more=LINES | st.just([]))
    def propose_change(self, pick: int, over: int, more: list[DraftLine]) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        taken = {line_id: count for line_id, count in units.items() if count}
        self.command(
            lambda order: order.propose_change(
                removed=taken, added=more, reason="other", by=CUSTOMER, now=self.now
            )
        )

    @precondition(lambda self: self.state.changes)
    @rule(pick=PICK, step=st.sampled_from(["apply", "apply", "decline"]))
    def decide_change(self, pick: int, step: str) -> None:
        change = newest(self.state.changes, pick)
        agreed, lines = change.gross, self.state.lines
        self.command(
            lambda order: getattr(order, f"{step}_change")(change.id, by=STAFF, now=self.now)
        )
        if self.state.lines != lines:
            assert self.state.totals.gross == agreed, "not the price that was agreed"

    @precondition(lambda self: self.order.status == "pending" and self.steps > 12)
    @rule()
    def expire(self) -> None:
        self.command(lambda order: order.expire(now=order.state.expires_at))

    @precondition(lambda self: self.steps % 5 == 0)
    @rule()
    def hold(self) -> None:
        self.command(lambda order: order.hold("address", by=STAFF, now=self.now))

    @precondition(lambda self: self.state.holds)
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        hold_id = id_of(self.state.holds, pick)
        self.command(lambda order: order.release(hold_id, by=STAFF, now=self.now))

    @precondition(lambda self: self.steps % 7 == 0)
    @rule(note=st.sampled_from(["Ring twice", "Leave it at the door", None]))
    def edit(self, note: str | None) -> None:
        self.command(lambda order: order.edit(note=note, by=CUSTOMER, now=self.now))

    @precondition(lambda self: self.steps % 7 == 0)
    @rule()
    def add_note(self) -> None:
        self.command(lambda order: order.add_note("called", by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "pending")
    @rule()
    def confirm(self) -> None:
        self.command(lambda order: order.confirm(by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "confirmed")
    @rule()
    def complete(self) -> None:
        self.command(lambda order: order.complete(by=STAFF, now=self.now))
