"""What callers send to edit an order: a merge patch of what is not money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, UnsetType

from orders.domain.identifiers import Actor
from orders.domain.order.order import UNCHANGED, Order, Unchanged
from orders.domain.validation import Address
from orders.entrypoints.http.schemas.body import FEW, Body
from orders.entrypoints.http.schemas.requests import AddressBody


class EditShippingBody(Body, frozen=True):
    """Of shipping, only the address can be changed."""

    address: AddressBody | None


class EditOrderBody(Body, frozen=True):
    """A merge patch (RFC 7396): members left out stay as they are, null removes."""

    note: str | None | UnsetType = UNSET
    external_reference: str | None | UnsetType = UNSET
    metadata: Annotated[dict[str, str | None], FEW] | None | UnsetType = UNSET
    shipping: EditShippingBody | UnsetType = UNSET

    def edit(self, order: Order, by: Actor, now: datetime) -> None:
        """Edit the order as the patch says."""
        order.edit(
            note=UNCHANGED if self.note is UNSET else self.note,
            external_reference=(
                UNCHANGED if self.external_reference is UNSET else self.external_reference
            ),
            metadata=self._metadata(order.state.metadata),
            address=self._address(),
            by=by,
            now=now,
        )

    def _metadata(self, present: Mapping[str, str]) -> Mapping[str, str] | None | Unchanged:
        if self.metadata is UNSET:
            return UNCHANGED
        if self.metadata is None:
            return None
        merged = {**present, **self.metadata}
        return {name: text for name, text in merged.items() if text is not None}

    def _address(self) -> Address | None | Unchanged:
        if self.shipping is UNSET:
            return UNCHANGED
        address = self.shipping.address
        return None if address is None else address.to_domain()
