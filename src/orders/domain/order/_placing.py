"""Placing: the first state of an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from orders.domain import events
from orders.domain.errors import ExpiryPassed, InvalidValue
from orders.domain.identifiers import Actor, OrderId
from orders.domain.lifecycle import (
    OrderPaymentStatus,
    OrderStatus,
    derive_fulfillment_status,
    derive_return_status,
)
from orders.domain.order._parts import in_whole_milliseconds
from orders.domain.order._state_change import Steps, changed
from orders.domain.payments import PaymentTerms, TermsKind
from orders.domain.pricing import OrderDraft, Quote
from orders.domain.state import Hold, OrderState
from orders.domain.validation import validate_name, validate_time

TIME_TO_PAY: Final = timedelta(days=1)
"""When an order that is not paid expires, if placing says nothing else."""


def first_state(
    draft: OrderDraft,
    priced: Quote,
    *,
    order_id: OrderId,
    number: str,
    tenant: str,
    customer_id: str | None,
    expires_at: datetime | None,
    by: Actor,
    now: datetime,
) -> OrderState:
    """The state of a new order, before its first event."""
    if not isinstance(order_id, UUID):
        raise InvalidValue("order_id", "must be a UUID")
    if not isinstance(by, Actor):
        raise InvalidValue("by", "must be an Actor")
    validate_time(now, "now")
    return OrderState(
        id=order_id,
        tenant=validate_name(tenant, "tenant"),
        number=validate_name(number, "number"),
        placed_by=by.subject,
        customer_id=None if customer_id is None else validate_name(customer_id, "customer_id"),
        currency=draft.currency,
        lines=priced.lines,
        shipping=priced.shipping,
        external_reference=draft.external_reference,
        note=draft.note,
        metadata=dict(draft.metadata),
        contact=draft.contact,
        billing=draft.billing,
        gift_message=draft.gift_message,
        created_at=now,
        updated_at=now,
        expires_at=now + TIME_TO_PAY if expires_at is None else _after(now, expires_at),
        status=OrderStatus.PENDING,
        payment_status=OrderPaymentStatus.UNPAID,
        fulfillment_status=derive_fulfillment_status(priced.lines),
        return_status=derive_return_status(priced.lines, ()),
        totals=priced.totals,
        terms=_terms(draft.terms),
        tax_policy=priced.tax_policy,
        confirmation=draft.confirmation,
    )


def _terms(terms: PaymentTerms | None) -> PaymentTerms | None:
    if terms is None or terms.kind is TermsKind.PREPAID:
        return None
    return replace(terms, payment_due_at=None)


def created(state: OrderState, hold_reasons: Sequence[str]) -> Steps[None]:
    """The first event of an order, and its first holds: before it could confirm itself."""
    created = events.OrderCreated(
        number=state.number,
        currency=state.currency,
        lines=len(state.lines),
        gross=state.totals.gross,
    )
    if not hold_reasons:
        yield changed(created)
        return
    holds = tuple(
        Hold(id=str(number), reason=reason, placed_at=state.created_at)
        for number, reason in enumerate(hold_reasons, start=1)
    )
    held = (events.OrderHeld(hold_id=hold.id, reason=hold.reason) for hold in holds)
    yield changed(created, *held, holds=holds)


def _after(now: datetime, expires_at: datetime) -> datetime:
    if validate_time(expires_at, "expires_at") <= now:
        raise ExpiryPassed
    try:
        ends_at = in_whole_milliseconds(expires_at)
    except OverflowError:
        raise InvalidValue("expires_at", "must be before the year 10000 in UTC") from None
    if ends_at <= now:
        raise ExpiryPassed
    return ends_at
