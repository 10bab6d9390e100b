"""Fulfilment: the commands that pack, send and deliver units."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import IllegalStep
from orders.domain.identifiers import Actor
from orders.domain.lines import Items, move_units, require_units
from orders.domain.order._core import Changing
from orders.domain.parts import next_id, part, replaced
from orders.domain.rules import shippable_units
from orders.domain.shipments import SHIPMENT_STEPS, Shipment
from orders.domain.validation import validate_optional_text


class Fulfilling(Changing):
    """What a warehouse tells an order."""

    __slots__ = ()

    def create_shipment(
        self,
        items: Items,
        *,
        carrier: str | None = None,
        tracking: str | None = None,
        by: Actor,
        now: datetime,
    ) -> None:
        """Pack units for one parcel, to where the order goes now.

        Raises:
            OnHold: If the order is held back.
            PaymentNotCovered: If what is paid or authorised does not cover what is due.
            QuantityExceedsAvailable: If a line has fewer units that are wanted and in no parcel.
        """
        self._require(Action.CREATE_SHIPMENT, now)
        require_units(self._state.lines, items, shippable_units(self._state))
        shipment = Shipment(
            id=next_id(self._state.shipments),
            items=dict(items),
            created_at=now,
            address=self._state.shipping.address if self._state.shipping else None,
            carrier=validate_optional_text(carrier, "carrier"),
            tracking=validate_optional_text(tracking, "tracking"),
        )
        created = events.ShipmentCreated(shipment_id=shipment.id, items=shipment.items)
        self._change(
            by,
            now,
            created,
            shipments=(*self._state.shipments, shipment),
            lines=move_units(self._state.lines, items, allocated=1),
        )

    def dispatch(
        self, shipment_id: str, *, tracking: str | None = None, by: Actor, now: datetime
    ) -> None:
        """Hand a shipment to the carrier.

        Raises:
            OnHold: If the order is held back.
            PaymentNotCovered: If what is paid or authorised does not cover what is due any more.
        """
        shipment = self._shipment_for(Action.DISPATCH, shipment_id, now)
        tracking = validate_optional_text(tracking, "tracking") or shipment.tracking
        sent = replace(shipment, dispatched_at=now, tracking=tracking)
        lines = move_units(self._state.lines, shipment.items, allocated=-1, shipped=1)
        new_events = events.OrderShipped(shipment_id=shipment.id, items=shipment.items)
        self._change(
            by, now, new_events, shipments=replaced(self._state.shipments, sent), lines=lines
        )

    def deliver(self, shipment_id: str, *, by: Actor, now: datetime) -> None:
        """Note that a shipment has arrived."""
        shipment = self._shipment_for(Action.DELIVER, shipment_id, now)
        arrived = replace(shipment, delivered_at=now)
        lines = move_units(self._state.lines, shipment.items, delivered=1)
        new_events = events.OrderDelivered(shipment_id=shipment.id, items=shipment.items)
        self._change(
            by, now, new_events, shipments=replaced(self._state.shipments, arrived), lines=lines
        )

    def cancel_shipment(self, shipment_id: str, *, by: Actor, now: datetime) -> None:
        """Unpack a shipment that has not left."""
        shipment = self._shipment_for(Action.CANCEL_SHIPMENT, shipment_id, now)
        lines = move_units(self._state.lines, shipment.items, allocated=-1)
        new_events = events.ShipmentCancelled(shipment_id=shipment.id, items=shipment.items)
        self._change(
            by, now, new_events, shipments=replaced(self._state.shipments, shipment), lines=lines
        )

    def _shipment_for(self, action: Action, shipment_id: str, now: datetime) -> Shipment:
        """The shipment as it is after the step."""
        self._require(action, now)
        shipment = part(self._state.shipments, "shipment", shipment_id)
        before, after = SHIPMENT_STEPS[action]
        if shipment.status is not before:
            raise IllegalStep("shipment", shipment_id, shipment.status)
        return replace(shipment, status=after)
