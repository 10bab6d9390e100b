"""Shipments: units that are packed, sent and delivered together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from orders.domain.actions import Action
from orders.domain.lines import Items
from orders.domain.read_only import ReadOnlyDict, freeze, read_only
from orders.domain.validation import Address


class ShipmentStatus(StrEnum):
    """How far a shipment has come. Cancelling a created one frees its units, and so does the
    failure of a dispatched one.
    """

    CREATED = "created"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"


FREED: Final = frozenset({ShipmentStatus.CANCELLED, ShipmentStatus.FAILED})
"""Statuses of shipments that hold no unit any more."""

FAILURE_REASONS: Final = ("lost", "refused", "uncollected", "damaged")
"""Why a delivery fails."""

SHIPMENT_STEPS: Mapping[Action, tuple[frozenset[ShipmentStatus], ShipmentStatus]] = (
    MappingProxyType(
        {
            Action.DISPATCH: (frozenset({ShipmentStatus.CREATED}), ShipmentStatus.DISPATCHED),
            # A parcel that was given up may arrive after all.
            Action.DELIVER: (
                frozenset({ShipmentStatus.DISPATCHED, ShipmentStatus.FAILED}),
                ShipmentStatus.DELIVERED,
            ),
            Action.FAIL_DELIVERY: (frozenset({ShipmentStatus.DISPATCHED}), ShipmentStatus.FAILED),
            Action.CANCEL_SHIPMENT: (frozenset({ShipmentStatus.CREATED}), ShipmentStatus.CANCELLED),
        }
    )
)
"""The statuses that allow a step of a shipment, and the status after it."""


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One parcel. `carrier` and `tracking` are the carrier's name and number for it.

    `address` is the order's address when the parcel was packed; later edits do not change it.
    `value` is the minor units that may be captured for it: what its units cost, with the price of
    shipping in the first one. It is None if the parcel is older than this field.
    `surplus` are those of its units that the order did not want any more when they left or
    arrived: they were cancelled, sent again or credited. No line counts them.
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
    value: int | None = None
    surplus: Items = field(default_factory=ReadOnlyDict)
    failed_at: datetime | None = None
    failure_reason: str | None = None

    def __post_init__(self) -> None:
        freeze(self, "items")
        freeze(self, "surplus")

    @property
    def counted(self) -> Items:
        """Its units that the lines count."""
        if not self.surplus:
            return self.items
        counted = {line: units - self.surplus.get(line, 0) for line, units in self.items.items()}
        return {line: units for line, units in counted.items() if units}


def surplus_units(shipments: Iterable[Shipment], line_id: str) -> int:
    """Units of a line that parcels hold although the order did not want them any more."""
    return sum(s.surplus.get(line_id, 0) for s in shipments if s.status not in FREED)
