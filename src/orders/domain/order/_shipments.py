"""Fulfilment: the commands that pack, send and deliver units, and what became of parcels."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from orders.domain import events
from orders.domain.actions import Action
from orders.domain.errors import IllegalStep, InvalidValue
from orders.domain.lines import Items, move_units, read_only_items, require_units
from orders.domain.order._lifecycle import Unchanged
from orders.domain.order._parts import in_whole_milliseconds, next_id, part, replaced
from orders.domain.order._state_change import Steps, changed
from orders.domain.rules import late_units, require_allowed, shippable_units
from orders.domain.shipments import (
    FAILURE_REASONS,
    FREED,
    SHIPMENT_STEPS,
    Shipment,
    ShipmentStatus,
)
from orders.domain.state import OrderState
from orders.domain.validation import validate_optional_text, validate_time


def create_shipment(
    state: OrderState, items: Items, carrier: str | None, tracking: str | None, now: datetime
) -> Steps[None]:
    """Pack units into a parcel to the order's address."""
    require_allowed(state, Action.CREATE_SHIPMENT, now=now)
    require_units(state.lines, items, shippable_units(state))
    shipment = _parcel(state, items, {}, carrier, tracking, now)
    yield changed(
        events.ShipmentCreated(shipment_id=shipment.id, items=shipment.items),
        shipments=(*state.shipments, shipment),
        lines=move_units(state.lines, items, allocated=1),
    )


def record_late_shipment(
    state: OrderState,
    items: Items,
    carrier: str | None,
    tracking: str | None,
    dispatched_at: datetime | None,
    now: datetime,
) -> Steps[None]:
    """Record a parcel that had left before a cancellation of its units was known."""
    require_allowed(state, Action.RECORD_LATE_SHIPMENT, now=now)
    require_units(state.lines, items, late_units(state))
    left_at = now if dispatched_at is None else validate_time(dispatched_at, "dispatched_at")
    if not state.created_at <= left_at <= now:
        raise InvalidValue("dispatched_at", "must be after the order was placed, and not to come")
    surplus = _surplus(state, items)
    if not surplus:
        raise InvalidValue("items", "must have a cancelled unit: create a shipment instead")
    packed = _parcel(state, items, surplus, carrier, tracking, now)
    left_at = in_whole_milliseconds(left_at)
    shipment = replace(packed, status=ShipmentStatus.DISPATCHED, dispatched_at=left_at)
    yield changed(
        events.LateShipmentRecorded(
            shipment_id=shipment.id, items=shipment.items, surplus=shipment.surplus
        ),
        shipments=(*state.shipments, shipment),
        lines=move_units(state.lines, shipment.counted, shipped=1),
    )


def correct_shipment(
    state: OrderState,
    shipment_id: str,
    now: datetime,
    *,
    carrier: str | None | Unchanged,
    tracking: str | None | Unchanged,
) -> Steps[None]:
    """Correct the carrier or the tracking number of a parcel, if anything differs."""
    require_allowed(state, Action.CORRECT_SHIPMENT, now=now)
    shipment = part(state.shipments, "shipment", shipment_id)
    if shipment.status is ShipmentStatus.CANCELLED:
        raise IllegalStep("shipment", shipment_id, shipment.status)
    corrected = replace(
        shipment,
        carrier=_text(carrier, shipment.carrier, "carrier"),
        tracking=_text(tracking, shipment.tracking, "tracking"),
    )
    if corrected != shipment:
        differ = [
            n for n in ("carrier", "tracking") if getattr(corrected, n) != getattr(shipment, n)
        ]
        yield changed(
            events.ShipmentCorrected(shipment_id=shipment.id, fields=tuple(differ)),
            shipments=replaced(state.shipments, corrected),
        )


def _text(new: str | None | Unchanged, present: str | None, field: str) -> str | None:
    return present if isinstance(new, Unchanged) else validate_optional_text(new, field)


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
    lines = state.lines
    if shipment.failed_at is not None:
        shipment = _found(state, shipment)
        lines = move_units(lines, shipment.counted, shipped=1)
    yield changed(
        events.OrderDelivered(shipment_id=shipment.id, items=shipment.items),
        shipments=replaced(state.shipments, replace(shipment, delivered_at=now)),
        lines=move_units(lines, shipment.counted, delivered=1),
    )


def fail_delivery(state: OrderState, shipment_id: str, reason: str, now: datetime) -> Steps[None]:
    """Record that a shipment will not arrive. Its units are in no shipment then."""
    if reason not in FAILURE_REASONS:
        raise InvalidValue("reason", f"must be one of {', '.join(FAILURE_REASONS)}")
    shipment = _after_step(state, Action.FAIL_DELIVERY, shipment_id, now)
    failed = replace(shipment, failed_at=now, failure_reason=reason)
    yield changed(
        events.DeliveryFailed(shipment_id=shipment.id, items=shipment.items, reason=reason),
        shipments=replaced(state.shipments, failed),
        lines=move_units(state.lines, shipment.counted, shipped=-1),
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
    befores, after = SHIPMENT_STEPS[action]
    if shipment.status not in befores:
        raise IllegalStep("shipment", shipment_id, shipment.status)
    return replace(shipment, status=after)


def _parcel(
    state: OrderState,
    items: Items,
    surplus: Items,
    carrier: str | None,
    tracking: str | None,
    now: datetime,
) -> Shipment:
    shipment = Shipment(
        id=next_id(state.shipments),
        items=read_only_items(items),
        surplus=read_only_items(surplus),
        created_at=now,
        address=state.shipping.address if state.shipping else None,
        carrier=validate_optional_text(carrier, "carrier"),
        tracking=validate_optional_text(tracking, "tracking"),
    )
    return replace(shipment, value=_value_of(state, shipment.counted))


def _found(state: OrderState, shipment: Shipment) -> Shipment:
    """A parcel that had failed, as it counts now: other parcels may have its units by now."""
    found = replace(shipment, surplus=_surplus(state, shipment.items))
    return replace(found, value=_value_of(state, found.counted))


def _surplus(state: OrderState, items: Items) -> Items:
    """The units of these that the order does not want: it wants those that are in no shipment."""
    wanted = shippable_units(state)
    surplus = {line_id: units - wanted.get(line_id, 0) for line_id, units in items.items()}
    return {line_id: units for line_id, units in surplus.items() if units > 0}


def _value_of(state: OrderState, items: Items) -> int:
    """What may be captured for a parcel with these units, on top of the parcels that are there.

    It is a difference of two sums, so that the values of all parcels add up to exactly what is due.
    """
    if not items:
        return 0
    values = [shipment.value for shipment in state.shipments if shipment.status not in FREED]
    known = [value for value in values if value is not None]
    before = sum(known) if len(known) == len(values) else _packed_value(state, {})
    return max(0, _packed_value(state, items) - before)


def _packed_value(state: OrderState, items: Items) -> int:
    """What may be captured for the packed units, these as well, and for shipping."""
    not_packed = sum(
        line.gross - line.value_of(line.allocated + line.shipped + items.get(line.id, 0))
        for line in state.lines
    )
    return min(state.totals.due, state.totals.gross - not_packed)
