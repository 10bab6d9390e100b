"""What callers are shown: orders, quotes, events and lists as JSON.

Who may not see a member does not get it: a customer sees no notes and no reasons of holds, a
warehouse no money. Amounts are minor units of the order's currency, times RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from uuid import UUID

from litestar import Response
from msgspec import UNSET, Struct, UnsetType

from orders.adapters.messages import data_of
from orders.application.access import Caller, View, view_of
from orders.application.ports import LoggedEvent
from orders.application.read_orders import PossibleAction
from orders.application.requests import Answer
from orders.domain.draft import Quote
from orders.domain.guards import Bound
from orders.domain.lines import Items, Line
from orders.domain.payments import Payment, Refund
from orders.domain.returns import Credit, Return
from orders.domain.shipments import Shipment
from orders.domain.state import Hold, Note, OrderState
from orders.domain.totals import Totals
from orders.domain.values import Shipping
from orders.entrypoints.http.bodies import AddressBody
from orders.entrypoints.http.conditions import etag

T = TypeVar("T")


class Shown(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of an answer."""


class LineAnswer(Shown, frozen=True):
    """A line. `total` is what its live units cost, tax in and discounts off."""

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
    unit_price: int | UnsetType = UNSET
    discount: int | UnsetType = UNSET
    order_discount: int | UnsetType = UNSET
    tax: int | UnsetType = UNSET
    total: int | UnsetType = UNSET

    @classmethod
    def of(cls, line: Line, *, money: bool) -> LineAnswer:
        """Show a line, with its prices or without."""
        shown: dict[str, Any] = {
            "unit_price": line.unit_price,
            "discount": line.discount,
            "order_discount": line.order_discount,
            "tax": line.tax,
            "total": line.gross,
        }
        return cls(
            id=line.id,
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            shippable=line.shippable,
            cancelled=line.cancelled,
            allocated=line.allocated,
            shipped=line.shipped,
            delivered=line.delivered,
            returned=line.returned,
            **(shown if money else {}),
        )


class TotalsAnswer(Shown, frozen=True):
    """All amounts. `gross` is what the live units cost, `due` what is owed for them in all,
    `outstanding` what is still to be paid, `refund_due` what is owed back.
    """

    subtotal: int
    discount: int
    tax: int
    shipping: int
    gross: int
    credits: int
    due: int
    authorized: int
    captured: int
    refunded: int
    charged_back: int
    net: int
    outstanding: int
    pending_refunds: int
    refund_due: int

    @classmethod
    def of(cls, totals: Totals) -> TotalsAnswer:
        """Show all amounts."""
        return cls(**{name: getattr(totals, name) for name in cls.__struct_fields__})


class PaymentAnswer(Shown, frozen=True):
    """An attempt to pay."""

    id: str
    amount: int
    status: str
    capture: bool
    authorized: int
    captured: int
    refunded: int
    charged_back: int
    decline_code: str | None
    created_at: datetime

    @classmethod
    def of(cls, payment: Payment) -> PaymentAnswer:
        """Show a payment, but neither its method nor the payment service's own names."""
        return cls(
            id=payment.id,
            amount=payment.amount,
            status=payment.status,
            capture=payment.capture,
            authorized=payment.open,
            captured=payment.captured,
            refunded=payment.refunded,
            charged_back=payment.charged_back,
            decline_code=payment.decline_code,
            created_at=payment.created_at,
        )


class RefundAnswer(Shown, frozen=True):
    """Money on its way back."""

    id: str
    payment_id: str
    amount: int
    reason: str
    status: str
    failure_code: str | None
    created_at: datetime

    @classmethod
    def of(cls, refund: Refund) -> RefundAnswer:
        """Show a refund."""
        return cls(**{name: getattr(refund, name) for name in cls.__struct_fields__})


class ItemAnswer(Shown, frozen=True):
    """Some units of a line."""

    line_id: str
    quantity: int


class ShipmentAnswer(Shown, frozen=True):
    """A parcel."""

    id: str
    status: str
    items: list[ItemAnswer]
    carrier: str | None
    tracking: str | None
    created_at: datetime
    dispatched_at: datetime | None
    delivered_at: datetime | None

    @classmethod
    def of(cls, shipment: Shipment) -> ShipmentAnswer:
        """Show a shipment."""
        names = [name for name in cls.__struct_fields__ if name != "items"]
        plain = {name: getattr(shipment, name) for name in names}
        return cls(items=_items(shipment.items), **plain)


class ReturnAnswer(Shown, frozen=True):
    """Units on their way back."""

    id: str
    status: str
    items: list[ItemAnswer]
    reason: str
    created_at: datetime
    credited: int | UnsetType = UNSET

    @classmethod
    def of(cls, a_return: Return, *, money: bool) -> ReturnAnswer:
        """Show a return, with its credit or without."""
        return cls(
            id=a_return.id,
            status=a_return.status,
            items=_items(a_return.items),
            reason=a_return.reason,
            created_at=a_return.created_at,
            credited=a_return.credited if money else UNSET,
        )


class CreditAnswer(Shown, frozen=True):
    """An amount that is no longer owed."""

    id: str
    amount: int
    reason: str
    return_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, credit: Credit) -> CreditAnswer:
        """Show a credit."""
        return cls(**{name: getattr(credit, name) for name in cls.__struct_fields__})


class HoldAnswer(Shown, frozen=True):
    """Something the order waits for. Only staff is told the reason."""

    id: str
    placed_at: datetime
    released_at: datetime | None
    reason: str | UnsetType = UNSET

    @classmethod
    def of(cls, hold: Hold, *, reasons: bool) -> HoldAnswer:
        """Show a hold, with its reason or without."""
        return cls(
            id=hold.id,
            placed_at=hold.placed_at,
            released_at=hold.released_at,
            reason=hold.reason if reasons else UNSET,
        )


class NoteAnswer(Shown, frozen=True):
    """A note from staff for staff."""

    id: str
    text: str
    author: str
    created_at: datetime

    @classmethod
    def of(cls, note: Note) -> NoteAnswer:
        """Show a note."""
        return cls(**{name: getattr(note, name) for name in cls.__struct_fields__})


class ShippingAnswer(Shown, frozen=True):
    """How it travels."""

    address: AddressBody | None
    method: str | None
    price: int | UnsetType = UNSET

    @classmethod
    def of(cls, shipping: Shipping, *, money: bool) -> ShippingAnswer:
        """Show the way of shipping, with its price or without."""
        address = shipping.address
        shown = None
        if address is not None:
            names = AddressBody.__struct_fields__
            shown = AddressBody(**{name: getattr(address, name) for name in names})
        price = shipping.price if money else UNSET
        return cls(address=shown, method=shipping.method, price=price)


class OrderAnswer(Shown, frozen=True):
    """An order. Members that the caller's role may not see are left out."""

    id: UUID
    number: str
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    currency: str
    lines: list[LineAnswer]
    shipping: ShippingAnswer | None
    shipments: list[ShipmentAnswer]
    returns: list[ReturnAnswer]
    holds: list[HoldAnswer]
    external_reference: str | None
    cancel_reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    customer_id: str | None | UnsetType = UNSET
    note: str | None | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    totals: TotalsAnswer | UnsetType = UNSET
    payments: list[PaymentAnswer] | UnsetType = UNSET
    refunds: list[RefundAnswer] | UnsetType = UNSET
    credits: list[CreditAnswer] | UnsetType = UNSET

    @classmethod
    def of(cls, state: OrderState, view: View) -> OrderAnswer:
        """Show as much of an order as the view allows."""
        money = view is not View.FULFILLMENT
        return cls(
            id=state.id,
            number=state.number,
            status=state.status,
            payment_status=state.payment_status,
            fulfillment_status=state.fulfillment_status,
            return_status=state.return_status,
            currency=state.currency,
            lines=[LineAnswer.of(line, money=money) for line in state.lines],
            shipping=_shipping(state, money=money),
            shipments=[ShipmentAnswer.of(shipment) for shipment in state.shipments],
            returns=[ReturnAnswer.of(a_return, money=money) for a_return in state.returns],
            holds=[HoldAnswer.of(hold, reasons=view is View.STAFF) for hold in state.holds],
            external_reference=state.external_reference,
            cancel_reason=state.cancel_reason,
            version=state.version,
            created_at=state.created_at,
            updated_at=state.updated_at,
            expires_at=state.expires_at,
            **(_personal_and_money(state) if money else {}),
        )


def _shipping(state: OrderState, *, money: bool) -> ShippingAnswer | None:
    return None if state.shipping is None else ShippingAnswer.of(state.shipping, money=money)


def _personal_and_money(state: OrderState) -> dict[str, Any]:
    return {
        "customer_id": state.customer_id,
        "note": state.note,
        "metadata": dict(state.metadata),
        "totals": TotalsAnswer.of(state.totals),
        "payments": [PaymentAnswer.of(payment) for payment in state.ledger.payments],
        "refunds": [RefundAnswer.of(refund) for refund in state.ledger.refunds],
        "credits": [CreditAnswer.of(credit) for credit in state.credits],
    }


def shown(
    answer: Answer, caller: Caller, *, status: HTTPStatus, location: bool = False
) -> Response[OrderAnswer]:
    """The answer to a command: the order, its version, and whether this is a replay."""
    state = answer.order.state
    headers = {"etag": etag(state.version)}
    if location:
        headers["location"] = f"/v1/orders/{state.id}"
    if answer.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(OrderAnswer.of(state, view_of(caller)), status_code=status, headers=headers)


class Page(Shown, Generic[T], frozen=True):
    """A page of a list. `next_cursor` leads to the next one; null on the last."""

    items: list[T]
    next_cursor: str | None


class QuoteAnswer(Shown, frozen=True):
    """What an order would cost."""

    currency: str
    lines: list[LineAnswer]
    totals: TotalsAnswer

    @classmethod
    def of(cls, quote: Quote) -> QuoteAnswer:
        """Show a quote."""
        return cls(
            currency=quote.currency,
            lines=[LineAnswer.of(line, money=True) for line in quote.lines],
            totals=TotalsAnswer.of(quote.totals),
        )


class ActionAnswer(Shown, frozen=True):
    """A command: whether it would be taken, what blocks it, and the bounds of its arguments."""

    action: str
    allowed: bool
    blocked_by: list[str]
    limits: dict[str, int | dict[str, int] | list[str]]

    @classmethod
    def of(cls, possible: PossibleAction) -> ActionAnswer:
        """Show what stands in a command's way."""
        return cls(
            action=possible.action,
            allowed=not possible.blocked_by,
            blocked_by=list(possible.blocked_by),
            limits={name: _bound(bound) for name, bound in possible.limits.items()},
        )


class EventAnswer(Shown, frozen=True):
    """Something that happened. Only staff is told who it was by name."""

    id: str
    type: str
    sequence: int
    version: int
    occurred_at: datetime
    actor: dict[str, str]
    data: dict[str, Any]
    order_id: UUID
    position: int | None = None

    @classmethod
    def of(cls, logged: LoggedEvent, *, names: bool) -> EventAnswer:
        """Show an event, with the actor's name or without."""
        recorded = logged.recorded
        actor = {"kind": str(recorded.actor.kind)}
        if names:
            actor["subject"] = recorded.actor.subject
        return cls(
            id=logged.id,
            type=type(recorded.event).__name__,
            sequence=recorded.sequence,
            version=recorded.version,
            occurred_at=recorded.occurred_at,
            actor=actor,
            data=data_of(recorded),
            order_id=logged.order_id,
            position=logged.position,
        )


def _items(items: Items) -> list[ItemAnswer]:
    return [ItemAnswer(line_id=line_id, quantity=units) for line_id, units in items.items()]


def _bound(bound: Bound) -> int | dict[str, int] | list[str]:
    if isinstance(bound, dict):
        return {str(line_id): units for line_id, units in bound.items()}
    return bound if isinstance(bound, int) else list(bound)
