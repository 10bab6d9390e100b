"""Fulfilment: the commands that pack, send and deliver units."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import IllegalStep
from orders.domain.lines import Items, move_units, read_only_items, require_units
from orders.domain.order._parts import next_id, part, replaced
from orders.domain.order._state_change import Steps, changed
from orders.domain.rules import require_allowed, shippable_units
from orders.domain.shipments import SHIPMENT_STEPS, Shipment
from orders.domain.state import OrderState
from orders.domain.validation import validate_optional_text


def create_shipment(
    state: OrderState, items: Items, carrier: str | None, tracking: str | None, now: datetime
) -> Steps[None]:
    """Pack units into a parcel to the order's address."""
    require_allowed(state, Action.CREATE_SHIPMENT, now=now)
    require_units(state.lines, items, shippable_units(state))
    shipment = Shipment(
        id=next_id(state.shipments),
        items=read_only_items(items),
        created_at=now,
        address=state.shipping.address if state.shipping else None,
        carrier=validate_optional_text(carrier, "carrier"),
        tracking=validate_optional_text(tracking, "tracking"),
    )
    yield changed(
        events.ShipmentCreated(shipment_id=shipment.id, items=shipment.items),
        shipments=(*state.shipments, shipment),
        lines=move_units(state.lines, items, allocated=1),
    )


def dispatch(
    state: OrderState, shipment_id: str, tracking: str | None, now: datetime
) -> Steps[None]:
    """Hand a shipment to the carrier."""
    shipment = _after_step(state, Action.DISPATCH, shipment_id, now)
    tracking = validate_optional_text(tracking, "tracking") or shipment.tracking
    sent = replace(shipment, dispatched_at=now, tracking=tracking)
    yield changed(
        events.OrderShipped(shipment_id=shipment.id, items=shipment.items),
        shipments=replaced(state.shipments, sent),
        lines=move_units(state.lines, shipment.items, allocated=-1, shipped=1),
    )


def deliver(state: OrderState, shipment_id: str, now: datetime) -> Steps[None]:
    """Record that a shipment has arrived."""
    shipment = _after_step(state, Action.DELIVER, shipment_id, now)
    yield changed(
        events.OrderDelivered(shipment_id=shipment.id, items=shipment.items),
        shipments=replaced(state.shipments, replace(shipment, delivered_at=now)),
        lines=move_units(state.lines, shipment.items, delivered=1),
    )


def cancel_shipment(state: OrderState, shipment_id: str, now: datetime) -> Steps[None]:
    """Unpack a shipment."""
    shipment = _after_step(state, Action.CANCEL_SHIPMENT, shipment_id, now)
    yield changed(
        events.ShipmentCancelled(shipment_id=shipment.id, items=shipment.items),
        shipments=replaced(state.shipments, shipment),
        lines=move_units(state.lines, shipment.items, allocated=-1),
    )


def _after_step(state: OrderState, action: Action, shipment_id: str, now: datetime) -> Shipment:
    """The shipment with the status that it has after the step."""
    require_allowed(state, action, now=now)
    shipment = part(state.shipments, "shipment", shipment_id)
    before, after = SHIPMENT_STEPS[action]
    if shipment.status is not before:
        raise IllegalStep("shipment", shipment_id, shipment.status)
    return replace(shipment, status=after)
