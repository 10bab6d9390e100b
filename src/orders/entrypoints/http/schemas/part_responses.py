"""The parts of an order as JSON: lines, amounts, payments, shipments, returns and the rest.

Amounts are minor units of the order's currency, times RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, UnsetType, convert

from orders.domain.lines import Items, Line
from orders.domain.order_changes import Change, ShippingChange
from orders.domain.state import Hold, Note
from orders.domain.validation import Address
from orders.entrypoints.http.schemas.response_part import ResponsePart


class AddressResponse(ResponsePart, frozen=True, omit_defaults=True):
    """Where it goes. `country` is an ISO 3166-1 alpha-2 code. Unstated parts are left out."""

    name: str
    line1: str
    city: str
    country: str
    line2: str | None = None
    region: str | None = None
    postal_code: str | None = None
    phone: str | None = None

    @classmethod
    def of(cls, address: Address | None) -> AddressResponse | None:
        """Show an address, if there is one."""
        return None if address is None else convert(address, cls, from_attributes=True)


class LineResponse(ResponsePart, frozen=True):
    """A line. `total` is what its live units cost, tax in and discounts off. `tax` is the tax of
    all its units, cancelled ones too. `undeliverable` units are credited instead of delivered.
    `metadata` is left out if there is none.
    """

    id: str
    sku: str
    name: str
    quantity: int
    shippable: bool
    cancelled: int
    allocated: int
    shipped: int
    delivered: int
    returned: int
    undeliverable: int
    unit_price: int | UnsetType = UNSET
    discount: int | UnsetType = UNSET
    order_discount: int | UnsetType = UNSET
    tax: int | UnsetType = UNSET
    tax_rate: str | None | UnsetType = UNSET
    total: int | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET

    @classmethod
    def of(cls, line: Line, *, money: bool, packing: bool) -> LineResponse:
        """Show a line, with its prices or without, with its metadata or without."""
        rule = line.tax_rule
        return cls(
            # A call with more than 15 keywords builds a dictionary first: four times the work.
            line.id,
            line.sku,
            line.name,
            line.quantity,
            line.shippable,
            cancelled=line.cancelled,
            allocated=line.allocated,
            shipped=line.shipped,
            delivered=line.delivered,
            returned=line.returned,
            undeliverable=line.undeliverable,
            unit_price=line.unit_price if money else UNSET,
            discount=line.discount if money else UNSET,
            order_discount=line.order_discount if money else UNSET,
            tax=line.tax if money else UNSET,
            tax_rate=(rule.rate if rule else None) if money else UNSET,
            total=line.gross if money else UNSET,
            metadata=line.metadata if packing and line.metadata is not None else UNSET,
        )


class ItemResponse(ResponsePart, frozen=True):
    """Some units of a line."""

    line_id: str
    quantity: int


class ShippingChangeResponse(ResponsePart, frozen=True):
    """Another shipping method, its price, and the tax on it."""

    method: str
    price: int | UnsetType = UNSET
    tax: int | UnsetType = UNSET
    tax_rate: str | None | UnsetType = UNSET

    @classmethod
    def of(cls, change: ShippingChange, *, money: bool) -> ShippingChangeResponse:
        """Show the new way of shipping, with its price or without."""
        if not money:
            return cls(method=change.method)
        return cls(
            method=change.method, price=change.price, tax=change.tax, tax_rate=change.tax_rate
        )


class ChangeResponse(ResponsePart, frozen=True):
    """A change of lines or shipping: proposed, applied or declined. `gross` is what the order then
    costs. `shipping` is null if it stays.
    """

    id: str
    status: str
    reason: str
    removed: list[ItemResponse]
    added: list[LineResponse]
    base_version: int
    created_at: datetime
    shipping: ShippingChangeResponse | None
    proposed_by: str | None
    gross: int | UnsetType = UNSET

    @classmethod
    def of(cls, change: Change, *, money: bool, packing: bool) -> ChangeResponse:
        """Show a change, with its prices or without, with metadata or without."""
        return cls(
            id=change.id,
            status=change.status,
            reason=change.reason,
            removed=items_response(change.removed),
            added=[LineResponse.of(line, money=money, packing=packing) for line in change.added],
            base_version=change.base_version,
            created_at=change.created_at,
            shipping=_shipping_change(change, money=money),
            proposed_by=change.proposed_by,
            gross=change.gross if money else UNSET,
        )


class HoldResponse(ResponsePart, frozen=True):
    """Something the order waits for. Only staff may see the reason."""

    id: str
    placed_at: datetime
    released_at: datetime | None
    reason: str | UnsetType = UNSET

    @classmethod
    def of(cls, hold: Hold, *, reasons: bool) -> HoldResponse:
        """Show a hold, with its reason or without."""
        return cls(
            id=hold.id,
            placed_at=hold.placed_at,
            released_at=hold.released_at,
            reason=hold.reason if reasons else UNSET,
        )


class NoteResponse(ResponsePart, frozen=True):
    """A note from staff for staff."""

    id: str
    text: str
    author: str
    created_at: datetime

    @classmethod
    def of(cls, note: Note) -> NoteResponse:
        """Show a note."""
        return cls(**{name: getattr(note, name) for name in cls.__struct_fields__})


def _shipping_change(change: Change, *, money: bool) -> ShippingChangeResponse | None:
    if change.shipping is None:
        return None
    return ShippingChangeResponse.of(change.shipping, money=money)


def items_response(items: Items) -> list[ItemResponse]:
    """Show units by line."""
    return [ItemResponse(line_id=line_id, quantity=units) for line_id, units in items.items()]
