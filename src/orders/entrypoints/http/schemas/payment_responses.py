"""Payments, refunds and disputes as JSON. Amounts are minor units of the order's currency."""

from __future__ import annotations

from datetime import datetime

from msgspec import convert

from orders.domain.payments import Dispute, ManualPayment, NextAction, Payment, Refund
from orders.entrypoints.http.schemas.response_part import ResponsePart


class NextActionResponse(ResponsePart, frozen=True):
    """What the payer has to do before the payment is decided: open `url` in their browser."""

    type: str
    url: str

    @classmethod
    def of(cls, action: NextAction | None) -> NextActionResponse | None:
        """Show what the payer has to do, if anything."""
        return None if action is None else cls(type=action.type, url=action.url)


class ManualPaymentResponse(ResponsePart, frozen=True):
    """How and when money was received that did not come through the payment service."""

    method: str
    reference: str | None
    received_at: datetime

    @classmethod
    def of(cls, manual: ManualPayment | None) -> ManualPaymentResponse | None:
        """Show how money was received, if staff recorded it."""
        return None if manual is None else convert(manual, cls, from_attributes=True)


class PaymentResponse(ResponsePart, frozen=True):
    """An attempt to pay, or money that staff recorded (`manual`).

    `refunded_elsewhere` is the part of `refunded` that the payment service knows nothing of.
    `next_action` is there until the payment is settled; `authorized_until` is when the payment
    service lets the authorisation lapse, if it says so.
    """

    id: str
    amount: int
    status: str
    capture: bool
    authorized: int
    captured: int
    refunded: int
    refunded_elsewhere: int
    charged_back: int
    decline_code: str | None
    manual: ManualPaymentResponse | None
    created_at: datetime
    authorized_until: datetime | None = None
    next_action: NextActionResponse | None = None

    @classmethod
    def of(cls, payment: Payment) -> PaymentResponse:
        """Show a payment, but neither its method nor the payment service's own names."""
        details = payment.details
        return cls(
            id=payment.id,
            amount=payment.amount,
            status=payment.status,
            capture=payment.capture,
            authorized=payment.capturable_amount,
            captured=payment.captured,
            refunded=payment.total_refunded,
            refunded_elsewhere=payment.refunded_elsewhere,
            charged_back=payment.charged_back,
            decline_code=payment.decline_code,
            manual=ManualPaymentResponse.of(payment.manual),
            created_at=payment.created_at,
            authorized_until=details.authorized_until if details else None,
            next_action=NextActionResponse.of(details.next_action) if details else None,
        )


class RefundResponse(ResponsePart, frozen=True):
    """Money on its way back; or given back elsewhere, as staff recorded it with a `reference`."""

    id: str
    payment_id: str
    amount: int
    reason: str
    status: str
    failure_code: str | None
    recorded: bool
    reference: str | None
    created_at: datetime

    @classmethod
    def of(cls, refund: Refund) -> RefundResponse:
        """Show a refund."""
        return cls(**{name: getattr(refund, name) for name in cls.__struct_fields__})


class DisputeResponse(ResponsePart, frozen=True):
    """The payer asked their bank to take a payment back. `id` is the payment service's.

    The amount counts as charged back while the dispute is open and if it is lost.
    """

    id: str
    payment_id: str
    amount: int
    status: str

    @classmethod
    def of(cls, dispute: Dispute) -> DisputeResponse:
        """Show a dispute."""
        return cls(**{name: getattr(dispute, name) for name in cls.__struct_fields__})
