"""A payment gateway that counts, times and traces calls, and yields the admission slot; and a
verifier that counts webhooks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from opentelemetry.trace import SpanKind

from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.application.ports import (
    PaymentEvent,
    PaymentGateway,
    UnknownPaymentEvent,
    WebhookVerifier,
)
from orders.domain.money import Money
from orders.domain.payments import PaymentReport
from orders.entrypoints.admission import yield_slot
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.spans import is_recorded, recorded

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)
_REPORT_SECONDS: Final = 60.0
_reported_at: Final[dict[str, float]] = {}


class InstrumentedPaymentGateway:
    """Implements `PaymentGateway` with another one, and observes each call."""

    def __init__(self, payments: PaymentGateway) -> None:
        self._payments = payments

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Authorize an amount, or also capture it with `capture`."""
        call = self._payments.authorize(
            reference=reference, amount=amount, method=method, capture=capture
        )
        return await _observed("authorize", call)

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Capture a part of the authorized amount."""
        call = self._payments.capture(provider_id, amount=amount, reference=reference)
        return await _observed("capture", call)

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Release the amount that is authorized and not captured."""
        return await _observed("void", self._payments.void(provider_id, reference=reference))

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Refund a part of the captured amount."""
        call = self._payments.refund(provider_id, amount=amount, reference=reference)
        return await _observed("refund", call)

    async def find(self, reference: str) -> PaymentReport | None:
        """Return the payment that `authorize` started with this reference; None without one."""
        return await _observed("find", self._payments.find(reference))


class InstrumentedWebhookVerifier:
    """Implements `WebhookVerifier` with another one, and counts the webhooks that are genuine."""

    def __init__(self, verifier: WebhookVerifier) -> None:
        self._verifier = verifier

    def verify(
        self, headers: Mapping[str, str], raw_body: bytes, now: datetime
    ) -> PaymentEvent | UnknownPaymentEvent:
        """Read a message after its signature was verified."""
        event = self._verifier.verify(headers, raw_body, now)
        if isinstance(event, UnknownPaymentEvent):
            metrics.WEBHOOKS.labels(metrics.UNKNOWN_WEBHOOK).inc()
            _report("a webhook of an unknown type: the payment is looked up")
        else:
            metrics.WEBHOOKS.labels(event.type).inc()
        return event


async def _observed(name: str, call: Awaitable[T]) -> T:
    if not is_recorded():
        return await _measured(name, call)
    attributes = {"peer.service": "payments", "orders.payment.call": name}
    with recorded(f"payments {name}", kind=SpanKind.CLIENT, attributes=attributes):
        return await _measured(name, call)


async def _measured(name: str, call: Awaitable[T]) -> T:
    started, outcome = time.perf_counter(), "unavailable"
    try:
        with yield_slot():
            result = await call
        outcome = "ok"
        return result
    except PaymentDeclined:
        outcome = "declined"
        raise
    except PaymentRefused as refusal:
        outcome = "refused"
        _log.warning("payments %s: %s", name, refusal)  # the status shows our fault
        raise
    except PaymentUnavailable as trouble:
        _report(str(trouble))
        raise
    finally:
        metrics.observe_payment_call(name, outcome, time.perf_counter() - started)


def _report(reason: str) -> None:
    """Log what is wrong. An outage must not flood the log: each reason comes once a minute."""
    now = time.monotonic()
    if now - _reported_at.get(reason, -_REPORT_SECONDS) >= _REPORT_SECONDS:
        _reported_at[reason] = now
        _log.warning("payments: %s", reason)
