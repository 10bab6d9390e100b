"""Bodies about parcels that left, and about returns that came."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, UnsetType

from orders.domain.identifiers import Actor, PartId
from orders.domain.lines import Items
from orders.domain.order.order import UNCHANGED, Order
from orders.entrypoints.http.schemas.body import Body, stated
from orders.entrypoints.http.schemas.requests import ItemBody, ItemsBody, ShipmentBody


class LateShipmentBody(ShipmentBody, frozen=True):
    """What is in a parcel that left before a cancellation was known, and when it left."""

    dispatched_at: datetime | None = None


class FailDeliveryBody(Body, frozen=True):
    """Why a parcel will not arrive: lost, refused, uncollected or damaged."""

    reason: str


class CorrectShipmentBody(Body, frozen=True):
    """A merge patch (RFC 7396): members left out stay as they are, null removes."""

    carrier: str | None | UnsetType = UNSET
    tracking: str | None | UnsetType = UNSET

    def correct(self, order: Order, shipment_id: PartId, by: Actor, now: datetime) -> None:
        """Correct the shipment as the patch says."""
        order.correct_shipment(
            shipment_id,
            carrier=UNCHANGED if self.carrier is UNSET else self.carrier,
            tracking=UNCHANGED if self.tracking is UNSET else self.tracking,
            by=by,
            now=now,
        )


class ReceiveReturnBody(Body, frozen=True):
    """Which units came; without `items`, all that were announced. The others can be returned again.

    `credit` is what the customer owes less for them; without it, all that they cost and that is not
    credited already.
    """

    items: list[ItemBody] | None | UnsetType = UNSET
    credit: int | None | UnsetType = UNSET

    def to_items(self) -> Items | None:
        """Units by line id; None for all that were announced.

        Raises:
            InvalidValue: If a line is named twice.
        """
        items = stated(self.items)
        return None if items is None else ItemsBody(items=items).to_items()
