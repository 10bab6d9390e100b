"""What callers send about money: payments, refunds and credits.

Amounts are minor units of the order's currency.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, UnsetType

from orders.domain.payments import ManualMethod, ManualPayment
from orders.entrypoints.http.schemas.body import Body


class ManualPaymentBody(Body, frozen=True):
    """How and when money was received that did not come through the payment service.

    `received_at` is now if it is left out, and at most 366 days before the order was placed.
    """

    method: ManualMethod
    reference: str | None = None
    received_at: datetime | None = None

    def to_domain(self, now: datetime) -> ManualPayment:
        """What was received, as the domain checks it."""
        return ManualPayment(
            method=self.method,
            reference=self.reference,
            received_at=now if self.received_at is None else self.received_at,
        )


class PaymentBody(Body, frozen=True):
    """How to pay, with a token of the payment service (`method`); or how money was received without
    it (`manual`). How much: without an amount, all that is still needed.
    """

    method: str | None = None
    amount: int | None = None
    capture: bool = False
    manual: ManualPaymentBody | UnsetType = UNSET


class AmountBody(Body, frozen=True):
    """How much; without an amount, all there is."""

    amount: int | None = None


class RefundBody(Body, frozen=True):
    """How much to give back; without an amount, all that is owed. It goes to the payment that is
    named, or else over as many as it takes; those whose last refund was refused come last.

    `recorded`: it was given back elsewhere, and nothing is sent to the payment service. `reference`
    says where, and `amount` may be more than what is owed.
    """

    amount: int | None = None
    payment_id: str | None = None
    reason: str = "customer"
    recorded: bool | UnsetType = UNSET
    reference: str | UnsetType = UNSET


class CreditBody(Body, frozen=True):
    """How much less the customer owes, and why; with `line_id`, for this line. The reason
    `write-off` is for finance: it will never be paid.

    With `undeliverable`, that many units of the line will not be delivered any more. Only then the
    amount may be 0.
    """

    amount: int
    reason: str
    line_id: str | None | UnsetType = UNSET
    undeliverable: int | UnsetType = UNSET
