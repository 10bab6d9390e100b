"""Parcels and returns: what the warehouse does."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

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
    @rule(pick=PICK, step=st.sampled_from(["dispatch", "deliver", "cancel_shipment"]))
    def ship(self, pick: int, step: str) -> None:
        shipment_id = id_of(self.state.shipments, pick)
        self.command(lambda order: getattr(order, step)(shipment_id, by=STAFF, now=self.now))


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

    @precondition(lambda self: any(line.delivered for line in self.state.lines))
    @rule(pick=PICK)
    def take_all_back(self, pick: int) -> None:
        self.request_return(pick, 0)
        for step in ("approve", "receive") if self.state.returns else ():
            self.take_back(0, step)
