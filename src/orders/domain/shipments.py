"""Shipments: units that are packed, sent and delivered together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from orders.domain.actions import Action
from orders.domain.lines import Items
from orders.domain.read_only import freeze, read_only
from orders.domain.validation import Address


class ShipmentStatus(StrEnum):
    """How far a shipment has come. Only a created one can be cancelled; that frees its units."""

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
"""The status that a shipment must have for a step, and the status after it."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One parcel. `carrier` and `tracking` are the carrier's name and number for it.

    `address` is the order's address when the parcel was packed; later edits do not change it.
    """

    id: str
    items: Items
    created_at: datetime
    address: Address | None = None
    status: ShipmentStatus = ShipmentStatus.CREATED
    carrier: str | None = None
    tracking: str | None = None
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None

    def __post_init__(self) -> None:
        freeze(self, "items")
