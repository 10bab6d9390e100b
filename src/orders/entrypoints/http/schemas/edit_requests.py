"""The body that edits an order: a merge patch (RFC 7396), and the values that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from orders.domain.identifiers import Actor, PartId
from orders.domain.order.order import UNCHANGED, Order, Unchanged
from orders.domain.state import OrderState
from orders.domain.validation import Address, Billing, BillingAddress, Contact, Shipping
from orders.entrypoints.http.schemas.body import FEW, Body

T = TypeVar("T")
Patch = Annotated[dict[str, str | None], FEW]


class EditAddressBody(Body, frozen=True):
    """The parts of an address that change. A new address needs name, line1, city and country."""

    name: str | None | UnsetType = UNSET
    line1: str | None | UnsetType = UNSET
    city: str | None | UnsetType = UNSET
    country: str | None | UnsetType = UNSET
    line2: str | None | UnsetType = UNSET
    region: str | None | UnsetType = UNSET
    postal_code: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET


class EditShippingBody(Body, frozen=True):
    """Of shipping, the address and the instructions can be changed."""

    address: EditAddressBody | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET


class EditContactBody(Body, frozen=True):
    """What changes of how to reach the customer."""

    email: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET


class EditBillingBody(Body, frozen=True):
    """What changes of whom the invoice is for."""

    address: EditAddressBody | None | UnsetType = UNSET
    company: str | None | UnsetType = UNSET
    vat_id: str | None | UnsetType = UNSET


class EditLineBody(Body, frozen=True):
    """Of a line, the metadata can be changed."""

    metadata: Patch | None | UnsetType = UNSET


class EditOrderBody(Body, frozen=True):
    """A merge patch (RFC 7396): members left out stay as they are, null removes. `lines` has the
    lines by their `id`.
    """

    note: str | None | UnsetType = UNSET
    external_reference: str | None | UnsetType = UNSET
    metadata: Patch | None | UnsetType = UNSET
    shipping: EditShippingBody | UnsetType = UNSET
    contact: EditContactBody | None | UnsetType = UNSET
    billing: EditBillingBody | None | UnsetType = UNSET
    gift_message: str | None | UnsetType = UNSET
    lines: Annotated[dict[str, EditLineBody], FEW] | UnsetType = UNSET

    def edit(self, order: Order, by: Actor, now: datetime) -> None:
        """Edit the order as the patch says."""
        state = order.state
        shipping = state.shipping or Shipping()
        edited = EditShippingBody() if self.shipping is UNSET else self.shipping
        order.edit(
            note=_given(self.note),
            external_reference=_given(self.external_reference),
            metadata=_merged_metadata(state.metadata, self.metadata),
            address=_merged(Address, shipping.address, edited.address),
            instructions=_given(edited.instructions),
            contact=_merged(Contact, state.contact, self.contact),
            billing=_merged_billing(state.billing, self.billing),
            gift_message=_given(self.gift_message),
            line_metadata=UNCHANGED if self.lines is UNSET else _by_line(state, self.lines),
            by=by,
            now=now,
        )


def _given(value: T | UnsetType) -> T | Unchanged:
    return UNCHANGED if value is UNSET else value


def _merged(
    kind: type[T], present: T | None, patch: Body | None | UnsetType, **more: Any
) -> T | None | Unchanged:
    """A record after a patch. Parts that a new one must have, and that are not given, are None."""
    if patch is UNSET:
        return UNCHANGED
    if patch is None:
        return None
    members = {name: getattr(present, name, None) for name in patch.__struct_fields__}
    given = {name: value for name, value in asdict(patch).items() if value is not UNSET}
    return kind(**{**members, **given, **more})


def _merged_billing(
    present: Billing | None, patch: EditBillingBody | None | UnsetType
) -> Billing | None | Unchanged:
    if patch is UNSET or patch is None:
        return _given(patch)
    before = None if present is None else present.address
    address = _merged(BillingAddress, before, patch.address)
    return _merged(Billing, present, patch, address=before if address is UNCHANGED else address)


def _merged_metadata(
    present: Mapping[str, str], patch: Mapping[str, str | None] | None | UnsetType
) -> Mapping[str, str] | None | Unchanged:
    if patch is UNSET or patch is None:
        return _given(patch)
    merged = {**present, **patch}
    return {name: text for name, text in merged.items() if text is not None}


def _by_line(
    state: OrderState, patches: Mapping[str, EditLineBody]
) -> Mapping[PartId, Mapping[str, str] | None]:
    present = {line.id: line.metadata for line in state.lines}
    merged = {
        line_id: _merged_metadata(present.get(line_id) or {}, patch.metadata)
        for line_id, patch in patches.items()
    }
    # The order says which lines it does not have.
    return {
        line_id: None if new is UNCHANGED else new
        for line_id, new in merged.items()
        if new is not UNCHANGED or line_id not in present
    }
