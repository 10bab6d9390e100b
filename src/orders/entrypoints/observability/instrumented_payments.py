"""The payment gateway: calls are counted, timed, and each a span; meanwhile others work."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from typing import Final, TypeVar

from opentelemetry.trace import SpanKind

from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.application.ports import PaymentGateway
from orders.domain.money import Money
from orders.domain.payments import PaymentReport
from orders.entrypoints.admission import yield_slot
from orders.entrypoints.observability import metrics
from orders.entrypoints.observability.spans import is_recorded, recorded

T = TypeVar("T")
_log: Final = logging.getLogger(__name__)


class InstrumentedPaymentGateway:
    """`PaymentGateway`: passes every call on, and observes how it ended."""

    def __init__(self, payments: PaymentGateway) -> None:
        self._payments = payments

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Ask for an amount to be held, or taken at once with `capture`."""
        call = self._payments.authorize(
            reference=reference, amount=amount, method=method, capture=capture
        )
        return await _observed("authorize", call)

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Take a part of what is held."""
        call = self._payments.capture(provider_id, amount=amount, reference=reference)
        return await _observed("capture", call)

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Give back what is held and not taken."""
        return await _observed("void", self._payments.void(provider_id, reference=reference))

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Give back a part of what was taken."""
        call = self._payments.refund(provider_id, amount=amount, reference=reference)
        return await _observed("refund", call)

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment that `authorize` started with this reference; None if there is none."""
        return await _observed("find", self._payments.find(reference))


async def _observed(name: str, call: Awaitable[T]) -> T:
    if not is_recorded():
        return await _measured(name, call)
    attributes = {"peer.service": "payments", "orders.payment.call": name}
    with recorded(f"payments {name}", kind=SpanKind.CLIENT, attributes=attributes):
        return await _measured(name, call)


async def _measured(name: str, call: Awaitable[T]) -> T:
    began, outcome = time.perf_counter(), "unavailable"
    try:
        with yield_slot():
            answer = await call
        outcome = "ok"
        return answer
    except PaymentDeclined:
        outcome = "declined"
        raise
    except PaymentRefused as refusal:
        outcome = "refused"
        _log.warning("payments %s: %s", name, refusal)  # the status: what is wrong with us
        raise
    except PaymentUnavailable:
        raise
    finally:
        metrics.observe_payment_call(name, outcome, time.perf_counter() - began)
