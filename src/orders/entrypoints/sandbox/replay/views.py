"""The part of the API's responses that a replay reads. Other members are ignored."""

from __future__ import annotations

from msgspec import Struct


class Line(Struct, frozen=True):
    """A line of an order; amounts are minor units."""

    id: str
    sku: str
    unit_price: int
    shippable: bool
    quantity: int
    cancelled: int
    allocated: int
    shipped: int
    delivered: int
    returned: int


class Item(Struct, frozen=True):
    """Some units of a line."""

    line_id: str
    quantity: int


class Shipment(Struct, frozen=True):
    """A parcel."""

    id: str
    status: str


class Return(Struct, frozen=True):
    """Units on their way back."""

    id: str
    status: str
    reason: str
    items: list[Item]


class Payment(Struct, frozen=True):
    """An attempt to pay. `authorized` can still be captured."""

    id: str
    authorized: int
    captured: int
    refunded: int
    charged_back: int


class Totals(Struct, frozen=True):
    """Amounts of a whole order."""

    outstanding: int
    pending_refunds: int
    refund_due: int


class Order(Struct, frozen=True):
    """An order."""

    id: str
    status: str
    payment_status: str
    currency: str
    version: int
    external_reference: str | None
    metadata: dict[str, str]
    lines: list[Line]
    shipments: list[Shipment]
    returns: list[Return]
    payments: list[Payment]
    totals: Totals


class OrderPage(Struct, frozen=True):
    """A page of a list of orders."""

    items: list[Order]
    next_cursor: str | None


class Problem(Struct, frozen=True):
    """A refusal: `code` for programs, `detail` for people."""

    code: str
    detail: str = ""
