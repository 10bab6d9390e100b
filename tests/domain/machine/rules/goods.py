"""Parcels and returns: what the warehouse does."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orders.domain.shipments import FAILURE_REASONS
from tests.domain.machine import invariants
from tests.domain.machine.driving import OVER, PICK, Driven, id_of, newest
from tests.support.orders import CUSTOMER, STAFF


class Shipping(Driven):
    """Packing, sending and delivering."""

    @rule(pick=PICK, over=OVER)
    def pack(self, pick: int, over: int) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: invariants.left(line) + over}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))

    @precondition(lambda self: any(line.cancelled for line in self.state.lines))
    @rule(pick=PICK)
    def pack_what_was_ordered(self, pick: int) -> None:
        """The warehouse has not heard of what was called off."""
        line = newest(self.state.lines, pick)
        units = {line.id: line.quantity - line.allocated - line.shipped}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "confirmed")
    @rule(delivered=st.booleans())
    def send_all(self, delivered: bool) -> None:
        lines = [line for line in self.state.lines if line.shippable]
        units = {line.id: invariants.left(line) for line in lines if invariants.left(line)}
        self.command(lambda order: order.create_shipment(units, by=STAFF, now=self.now))
        for step in ("dispatch", "deliver") if delivered else ("dispatch",):
            self.ship(0, step)

    @precondition(lambda self: self.state.shipments)
    @rule(pick=PICK, step=st.sampled_from(["dispatch", "dispatch", "deliver", "cancel_shipment"]))
    def ship(self, pick: int, step: str) -> None:
        shipment_id = id_of(self.state.shipments, pick)
        self.command(lambda order: getattr(order, step)(shipment_id, by=STAFF, now=self.now))

    @precondition(lambda self: self.is_under_way)
    @rule(pick=PICK, reason=st.sampled_from(FAILURE_REASONS))
    def fail_delivery(self, pick: int, reason: str) -> None:
        shipment_id = id_of(self.state.shipments, pick)
        self.command(lambda order: order.fail_delivery(shipment_id, reason, by=STAFF, now=self.now))

    @precondition(lambda self: self.state.shipments and self.steps % 4 == 0)
    @rule(pick=PICK, tracking=st.none() | st.just("1Z-7"))
    def correct(self, pick: int, tracking: str | None) -> None:
        shipment_id = id_of(self.state.shipments, pick)
        self.command(
            lambda order: order.correct_shipment(
                shipment_id, tracking=tracking, by=STAFF, now=self.now
            )
        )

    @precondition(lambda self: any(line.cancelled for line in self.state.lines))
    @rule(pick=PICK, over=OVER)
    def record_late_shipment(self, pick: int, over: int) -> None:
        """A parcel had left with what was called off."""
        line = newest(self.state.lines, pick)
        units = {line.id: line.cancelled + over}
        self.command(lambda order: order.record_late_shipment(units, by=STAFF, now=self.now))

    @precondition(lambda self: self.order.status == "confirmed" and self.state.shipments)
    @rule(pick=PICK, amount=st.integers(0, 60), over=OVER)
    def give_up(self, pick: int, amount: int, over: int) -> None:
        """Nobody will deliver these units any more: they are credited."""
        line = newest(self.state.lines, pick)
        units = invariants.left(line) + over
        self.command(
            lambda order: order.grant_credit(
                amount, "lost", line_id=line.id, undeliverable=units, by=STAFF, now=self.now
            )
        )

    @property
    def is_under_way(self) -> bool:
        """Whether a parcel is with its carrier."""
        return any(each.status == "dispatched" for each in self.state.shipments)


class Returning(Driven):
    """Taking back what was delivered."""

    @precondition(lambda self: any(line.delivered for line in self.state.lines))
    @rule(pick=PICK, over=OVER)
    def request_return(self, pick: int, over: int) -> None:
        line = newest(self.state.lines, pick)
        units = {line.id: line.delivered - line.returned + over}
        self.command(lambda order: order.request_return(units, "bad", by=CUSTOMER, now=self.now))

    @precondition(lambda self: self.state.returns)
    @rule(pick=PICK, step=st.sampled_from(["approve", "receive", "close", "decline"]))
    def take_back(self, pick: int, step: str) -> None:
        return_id = id_of(self.state.returns, pick)
        self.command(
            lambda order: getattr(order, f"{step}_return")(return_id, by=STAFF, now=self.now)
        )

    @precondition(lambda self: any(each.status == "approved" for each in self.state.returns))
    @rule(pick=PICK, over=OVER, credit=st.none() | st.integers(0, 60))
    def take_less_back(self, pick: int, over: int, credit: int | None) -> None:
        """Fewer units come than were announced, or for less than they had cost."""
        a_return = newest(self.state.returns, pick)
        came = {line_id: units + min(0, over) for line_id, units in a_return.items.items()}
        self.command(
            lambda order: order.receive_return(
                a_return.id, items=came, credit=credit, by=STAFF, now=self.now
            )
        )

    @precondition(lambda self: any(line.delivered for line in self.state.lines))
    @rule(pick=PICK)
    def take_all_back(self, pick: int) -> None:
        self.request_return(pick, 0)
        for step in ("approve", "receive") if self.state.returns else ():
            self.take_back(0, step)
