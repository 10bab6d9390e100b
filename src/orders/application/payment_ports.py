"""The ports of the payment service; `ports` has them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from orders.domain.money import Money
from orders.domain.payments import PaymentReport


class PaymentGateway(Protocol):
    """Moves money. The reference of a call is its idempotency key: however many times the same
    reference is sent, money moves once.

    Every method raises `PaymentDeclined` if the payer is declined for good, `PaymentRefused` if the
    call itself is refused for good, and `PaymentUnavailable` if the outcome is unknown. Its
    subclass `PaymentNotAttempted` says that nothing was sent.
    """

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Authorize an amount; with `capture`, take it at once."""
        ...

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Take a part of what is authorized."""
        ...

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Release what is authorized and not captured."""
        ...

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Give back a part of what was captured."""
        ...

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment that `authorize` made with this reference; None if there is none."""
        ...


class PaymentEventType(StrEnum):
    """The kinds of webhooks that the payment service sends.

    A charge-back takes all that was captured and not refunded, unless the payment lists disputes:
    then these say what was taken.
    """

    AUTHORIZED = "payment.authorized"
    CAPTURED = "payment.captured"
    DECLINED = "payment.declined"
    VOIDED = "payment.voided"
    REFUNDED = "payment.refunded"
    CHARGED_BACK = "payment.charged_back"
    PENDING = "payment.pending"
    REQUIRES_ACTION = "payment.requires_action"
    REFUND_FAILED = "payment.refund_failed"
    DISPUTE_OPENED = "payment.dispute_opened"
    DISPUTE_CLOSED = "payment.dispute_closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEvent:
    """A webhook of the payment service. A repeated one has the same `id`."""

    id: str
    type: PaymentEventType
    payment: PaymentReport


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownPaymentEvent:
    """A webhook of a type that this version does not know. `reference` names the payment, if the
    message says which.
    """

    id: str
    reference: str | None


class WebhookVerifier(Protocol):
    """Checks that a webhook comes from the payment service."""

    def verify(
        self, headers: Mapping[str, str], raw_body: bytes, now: datetime
    ) -> PaymentEvent | UnknownPaymentEvent:
        """Read a message after its signature was verified. May be repeated.

        `headers` have lower-case names. `raw_body` has the bytes as they were received.

        Raises:
            InvalidWebhook: If the signature is wrong, or the message is too old or has no known
                form. A type that is not known is no reason.
        """
        ...
