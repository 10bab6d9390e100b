"""The order as a whole: what is ordered, what it costs, what stops it."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.lines import DraftLine
from orders.domain.order.order import CANCEL_REASONS
from orders.domain.order_changes import ShippingChange
from tests.domain.machine import invariants
from tests.domain.machine.driving import OVER, PICK, Driven, id_of, newest
from tests.support.orders import CUSTOMER, STAFF

RATES = ("0", "0.07", "0.19", "0.055", "0.333333", "1")


def a_line(
    quantity: int, unit_price: int, tax: int, rate: str | None, *, shippable: bool
) -> DraftLine:
    """A line whose tax, if it is stated, fits into its price."""
    return DraftLine(
        sku="PEN",
        name="Pen",
        quantity=quantity,
        unit_price=unit_price,
        tax=0 if rate else min(tax, unit_price * quantity),
        tax_rate=rate,
        shippable=shippable,
    )


LINES = st.lists(
    st.builds(
        a_line,
        st.integers(1, 4),
        st.integers(0, 60) | st.just(50),
        st.integers(0, 7),
        st.none() | st.sampled_from(RATES),
        shippable=st.sampled_from([True, True, True, False]),
    ),
    min_size=1,
    max_size=2,
)


SHIPPING = st.builds(
    ShippingChange,
    method=st.just("express"),
    price=st.integers(0, 20),
    tax_rate=st.none() | st.sampled_from(RATES),
)


class Changing(Driven):
    """What people change about an order besides its money and its parcels."""

    @rule(amount=st.integers(1, 60), pick=st.none() | PICK)
    def grant_credit(self, amount: int, pick: int | None) -> None:
        line_id = None if pick is None else id_of(self.state.lines, pick)
        self.command(
            lambda order: order.grant_credit(
                amount, "goodwill", line_id=line_id, by=STAFF, now=self.now
            )
        )

    @precondition(lambda self: self.state.credits)
    @rule(pick=PICK)
    def revoke_credit(self, pick: int) -> None:
        credit_id = id_of(self.state.credits, pick)
        before = self.state.totals.outstanding
        done = self.command(lambda order: order.revoke_credit(credit_id, by=STAFF, now=self.now))
        if done and self.order.status == "completed":
            owed = self.state.totals.outstanding
            assert owed <= before, "a revoked credit reopens a closed order"

    @precondition(lambda self: self.steps > 6)
    @rule(reason=st.sampled_from([*CANCEL_REASONS, "none"]))
    def cancel(self, reason: str) -> None:
        self.command(lambda order: order.cancel(reason, by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER)
    def cancel_items(self, pick: int, over: int) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        self.command(lambda order: order.cancel_items(units, "other", by=CUSTOMER, now=self.now))

    @rule(pick=PICK, over=OVER, more=LINES | st.just([]), shipping=st.none() | SHIPPING)
    def propose_change(
        self, pick: int, over: int, more: list[DraftLine], shipping: ShippingChange | None
    ) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        taken = {line_id: count for line_id, count in units.items() if count}
        by = STAFF if pick % 2 else CUSTOMER
        self.command(
            lambda order: order.propose_change(
                removed=taken,
                added=more,
                shipping=shipping,
                reason="other",
                by=by,
                now=self.now,
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

    @precondition(lambda self: self.steps % 7 == 0)
    @rule(customer_id=st.sampled_from(["customer-1", "customer-2"]))
    def assign_customer(self, customer_id: str) -> None:
        """A guest's order becomes a customer's, and stays it."""
        before = self.state.customer_id
        self.command(lambda order: order.assign_customer(customer_id, by=STAFF, now=self.now))
        assert self.state.customer_id in ({before} if before else {None, customer_id})

    @precondition(lambda self: self.order.status == "pending")
    @rule()
    def confirm(self) -> None:
        self.command(lambda order: order.confirm(by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "confirmed")
    @rule()
    def complete(self) -> None:
        self.command(lambda order: order.complete(by=STAFF, now=self.now))
