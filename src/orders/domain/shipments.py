"""Shipments: units packed together, sent together, delivered together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from orders.domain.actions import Action
from orders.domain.identifiers import PartId
from orders.domain.lines import Items
from orders.domain.validation import Address


class ShipmentStatus(StrEnum):
    """Created shipments hold their units; only they can be cancelled."""

    CREATED = "created"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


SHIPMENT_STEPS: Mapping[Action, tuple[ShipmentStatus, ShipmentStatus]] = MappingProxyType(
    {
        Action.DISPATCH: (ShipmentStatus.CREATED, ShipmentStatus.DISPATCHED),
        Action.DELIVER: (ShipmentStatus.DISPATCHED, ShipmentStatus.DELIVERED),
        Action.CANCEL_SHIPMENT: (ShipmentStatus.CREATED, ShipmentStatus.CANCELLED),
    }
)
"""What a shipment must be for a step, and is after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One parcel. `carrier` and `tracking` are the carrier's own words.

    `address` is where it was packed to go, whatever becomes of the order's.
    """

    id: PartId
    items: Items
    created_at: datetime
    address: Address | None = None
    status: ShipmentStatus = ShipmentStatus.CREATED
    carrier: str | None = None
    tracking: str | None = None
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None
