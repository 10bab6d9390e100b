"""What callers are shown: orders, quotes, events and lists as JSON.

Who may not see a member does not get it: a customer sees no notes and no reasons of holds, a
warehouse no money. Amounts are minor units of the order's currency, times RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from msgspec import UNSET, UnsetType, convert

from orders.adapters.messages import FeedEvent, data_of
from orders.application.access import Caller, Operation, View
from orders.application.details import DETAILS, Details, shown_of
from orders.application.ports import LoggedEvent
from orders.application.read_orders import PossibleAction
from orders.domain.events import OrderCancelled, OrderEvent, OrderHeld
from orders.domain.payments import TermsKind
from orders.domain.pricing import Quote, tax_lines_of
from orders.domain.state import OrderState
from orders.entrypoints.http.schemas.parcel_responses import (
    CreditResponse,
    ReturnResponse,
    ShipmentResponse,
)
from orders.entrypoints.http.schemas.part_responses import (
    ChangeResponse,
    HoldResponse,
    LineResponse,
)
from orders.entrypoints.http.schemas.payment_responses import (
    DisputeResponse,
    PaymentResponse,
    RefundResponse,
)
from orders.entrypoints.http.schemas.people_responses import (
    BillingResponse,
    ContactResponse,
    ShippingResponse,
    people_of,
)
from orders.entrypoints.http.schemas.response_part import ResponsePart
from orders.entrypoints.http.schemas.totals_responses import TotalsResponse

T = TypeVar("T")

RISK_REASON: Final = "fraud"
"""The reason for cancelling that only staff may see."""


class OrderResponse(ResponsePart, frozen=True):
    """An order. Members that the caller's role may not see are left out.

    `payment_due_at` is null until an order with terms is dispatched, or delivered.
    """

    id: UUID
    number: str
    status: str
    payment_status: str
    fulfillment_status: str
    return_status: str
    currency: str
    lines: list[LineResponse]
    shipping: ShippingResponse | None
    shipments: list[ShipmentResponse]
    returns: list[ReturnResponse]
    changes: list[ChangeResponse]
    holds: list[HoldResponse]
    external_reference: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    confirmation: str
    terms: str
    due_in_days: int | None | UnsetType = UNSET
    payment_due_at: datetime | None | UnsetType = UNSET
    cancel_reason: str | None | UnsetType = UNSET
    customer_id: str | None | UnsetType = UNSET
    note: str | None | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    totals: TotalsResponse | UnsetType = UNSET
    payments: list[PaymentResponse] | UnsetType = UNSET
    refunds: list[RefundResponse] | UnsetType = UNSET
    disputes: list[DisputeResponse] | UnsetType = UNSET
    credits: list[CreditResponse] | UnsetType = UNSET
    prices_include_tax: bool | UnsetType = UNSET
    contact: ContactResponse | None | UnsetType = UNSET
    billing: BillingResponse | None | UnsetType = UNSET
    gift_message: str | None | UnsetType = UNSET

    @classmethod
    def shown_to(cls, caller: Caller, state: OrderState) -> OrderResponse:
        """Show as much of an order as the caller may see."""
        return cls.of(state, *shown_of(caller, state))

    @classmethod
    def of(cls, state: OrderState, view: View, details: Details) -> OrderResponse:
        """Show as much of an order as the view and the details allow."""
        money, packing = view is not View.FULFILLMENT, Operation.SEE_PACKING in details
        return cls(
            id=state.id,
            number=state.number,
            status=state.status,
            payment_status=state.payment_status,
            fulfillment_status=state.fulfillment_status,
            return_status=state.return_status,
            currency=state.currency,
            lines=[LineResponse.of(line, money=money, packing=packing) for line in state.lines],
            shipping=_shipping(state, money=money, details=details),
            shipments=[ShipmentResponse.of(shipment, money=money) for shipment in state.shipments],
            returns=[ReturnResponse.of(a_return, money=money) for a_return in state.returns],
            changes=[
                ChangeResponse.of(change, money=money, packing=packing) for change in state.changes
            ],
            holds=[HoldResponse.of(hold, reasons=view is View.STAFF) for hold in state.holds],
            external_reference=state.external_reference,
            cancel_reason=_cancel_reason(state, view),
            version=state.version,
            created_at=state.created_at,
            updated_at=state.updated_at,
            expires_at=state.expires_at,
            terms=TermsKind.PREPAID if state.terms is None else state.terms.kind,
            confirmation=state.confirmation,
            **people_of(state, details),
            **(_personal_and_money(state) if money else {}),
        )


def _shipping(state: OrderState, *, money: bool, details: Details) -> ShippingResponse | None:
    if state.shipping is None:
        return None
    return ShippingResponse.of(state.shipping, money=money, details=details)


def _cancel_reason(state: OrderState, view: View) -> str | None | UnsetType:
    hidden = state.cancel_reason == RISK_REASON and view is not View.STAFF
    return UNSET if hidden else state.cancel_reason


def _is_risk_data(event: OrderEvent) -> bool:
    return isinstance(event, OrderHeld) or event == OrderCancelled(reason=RISK_REASON)


def _personal_and_money(state: OrderState) -> dict[str, Any]:
    terms = state.terms
    policy = state.tax_policy
    return {
        "due_in_days": None if terms is None else terms.due_in_days,
        "payment_due_at": None if terms is None else terms.payment_due_at,
        "customer_id": state.customer_id,
        "note": state.note,
        "metadata": dict(state.metadata),
        "totals": TotalsResponse.of(
            state.totals, tax_lines_of(state.lines, state.shipping, policy)
        ),
        "payments": [PaymentResponse.of(payment) for payment in state.ledger.payments],
        "refunds": [RefundResponse.of(refund) for refund in state.ledger.refunds],
        "disputes": [DisputeResponse.of(each) for each in state.ledger.disputes],
        "credits": [CreditResponse.of(credit) for credit in state.credits],
        "prices_include_tax": policy is not None and policy.prices_include_tax,
    }


class Page(ResponsePart, Generic[T], frozen=True):
    """A page of a list. `next_cursor` leads to the next one; null on the last.

    `unreadable` is there if the page leaves out what only a newer version of the service can read,
    and says how many. `next_updated_from` is there in a list by `updated_at`: the `updated_from` of
    the next time, whatever page this is.
    """

    items: list[T]
    next_cursor: str | None
    unreadable: int | UnsetType = UNSET
    next_updated_from: datetime | UnsetType = UNSET


class FeedPage(ResponsePart, frozen=True):
    """A page of the feed. `next_cursor` is the `after` of the next one, also if that is empty yet.

    `unreadable` is that of a `Page`.
    """

    items: list[FeedEvent]
    next_cursor: str
    unreadable: int | UnsetType = UNSET


class QuoteResponse(ResponsePart, frozen=True):
    """What an order would cost."""

    currency: str
    lines: list[LineResponse]
    totals: TotalsResponse
    shipping: ShippingResponse | None
    prices_include_tax: bool

    @classmethod
    def of(cls, quote: Quote) -> QuoteResponse:
        """Show a quote."""
        policy, shipping = quote.tax_policy, quote.shipping
        return cls(
            currency=quote.currency,
            lines=[LineResponse.of(line, money=True, packing=True) for line in quote.lines],
            totals=TotalsResponse.of(quote.totals, tax_lines_of(quote.lines, shipping, policy)),
            shipping=(
                None
                if shipping is None
                else ShippingResponse.of(shipping, money=True, details=DETAILS)
            ),
            prices_include_tax=policy is not None and policy.prices_include_tax,
        )


# A bound without a member here would be lost: it is refused instead.
class ActionLimits(ResponsePart, frozen=True, forbid_unknown_fields=True):
    """The bounds of a command's arguments; what it has no bound for is left out.

    `amount` is the most minor units, `lines` the most minor units by line id, `items` the most
    units by line id. The others are the ids of the parts that the command is possible for.
    """

    amount: int | UnsetType = UNSET
    lines: dict[str, int] | UnsetType = UNSET
    items: dict[str, int] | UnsetType = UNSET
    payments: list[str] | UnsetType = UNSET
    shipments: list[str] | UnsetType = UNSET
    returns: list[str] | UnsetType = UNSET
    credits: list[str] | UnsetType = UNSET
    changes: list[str] | UnsetType = UNSET
    holds: list[str] | UnsetType = UNSET


class ActionResponse(ResponsePart, frozen=True):
    """A command: whether it would be taken, what blocks it, and the bounds of its arguments."""

    action: str
    allowed: bool
    blocked_by: list[str]
    limits: ActionLimits

    @classmethod
    def of(cls, possible: PossibleAction) -> ActionResponse:
        """Show what blocks a command."""
        return cls(
            action=possible.action,
            allowed=not possible.blocked_by,
            blocked_by=list(possible.blocked_by),
            limits=convert(possible.limits, ActionLimits),
        )


class EventResponse(ResponsePart, frozen=True):
    """A domain event. Only staff may see the actor's name, and why an order waits."""

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
    def of(cls, logged: LoggedEvent, *, to_staff: bool) -> EventResponse:
        """Show an event, with the actor's name and why it was held or cancelled, or without."""
        recorded = logged.recorded
        actor = {"kind": str(recorded.actor.kind)}
        data = data_of(recorded)
        if to_staff:
            actor["subject"] = recorded.actor.subject
        elif _is_risk_data(recorded.event):
            del data["change"]["reason"]
        return cls(
            id=logged.id,
            type=type(recorded.event).__name__,
            sequence=recorded.sequence,
            version=recorded.version,
            occurred_at=recorded.occurred_at,
            actor=actor,
            data=data,
            order_id=logged.order_id,
            position=logged.position,
        )
