"""The payment service over HTTP: the port's calls, as requests of its published contract."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

import msgspec
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from yarl import URL

from orders.adapters.payment_service.http_call import Request
from orders.adapters.payment_service.resilience import CallLimits, ResilientClient, Timing
from orders.adapters.payment_service.schema import read_payment, read_payments
from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.domain.money import Money
from orders.domain.payments import PaymentReport

_TRACE_CONTEXT = TraceContextTextMapPropagator()


class HttpPayments:
    """`PaymentGateway` over HTTP. Open it in the event loop that uses it, and close it there.

    Every call sends its `reference` as the Idempotency-Key, and is repeated with the same one
    only. The service gets our own credential and the trace, nothing else of the user's request.
    """

    def __init__(
        self,
        url: str,
        *,
        credential: str | None = None,
        limits: CallLimits | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Take the address of the service, without `/v1`, and our credential there."""
        self._payments = url.rstrip("/") + "/v1/payments"
        self._credential = credential
        self._sender = ResilientClient(limits or CallLimits(), timing or Timing())

    @property
    def breaker_state(self) -> str:
        """Closed, half-open or open."""
        return self._sender.breaker_state

    async def open(self) -> None:
        """Make the one session; nothing is connected before the first call."""
        await self._sender.open(self._credential)

    async def close(self) -> None:
        """Close all connections. Closing twice does nothing."""
        await self._sender.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def authorize(
        self, *, reference: str, amount: Money, method: str, capture: bool
    ) -> PaymentReport:
        """Authorise a payment, and capture it at once if asked to.

        Raises:
            PaymentDeclined: The payer's bank said no. Final.
            PaymentRefused: The service refused the request. Final; it was sent once.
            PaymentUnavailable: The outcome is unknown. Repeat with the same reference.
        """
        body = {
            "reference": reference,
            "amount": amount.minor,
            "currency": amount.currency,
            "method": method,
            "capture": capture,
        }
        return await self._post(self._payments, body, key=reference)

    async def capture(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Capture some or all of what is authorised. Raises as `authorize` does."""
        return await self._move(provider_id, "captures", {"amount": amount.minor}, reference)

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Release what is authorised and not captured. Raises as `authorize` does."""
        return await self._move(provider_id, "voids", {}, reference)

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Give back some or all of what is captured. Raises as `authorize` does."""
        return await self._move(provider_id, "refunds", {"amount": amount.minor}, reference)

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment authorised under a reference; None if the service has none.

        Raises:
            PaymentUnavailable: No answer that can be trusted, or none to us. A look-up that is
                refused tells nothing of the payment. Repeat.
        """
        url = URL(f"{self._payments}?reference={quote(reference, safe='')}", encoded=True)
        request = Request("GET", url, _traced({}))
        try:
            return await self._sender.send(request, lambda body: read_payments(body).get(reference))
        except (PaymentDeclined, PaymentRefused) as error:
            raise PaymentUnavailable("the payment service refused to look it up") from error

    async def _move(
        self, provider_id: str, kind: str, body: Mapping[str, object], reference: str
    ) -> PaymentReport:
        url = f"{self._payments}/{quote(provider_id, safe='')}/{kind}"
        return await self._post(url, {**body, "reference": reference}, key=reference)

    async def _post(self, url: str, body: Mapping[str, object], *, key: str) -> PaymentReport:
        headers = _traced({"Idempotency-Key": key, "Content-Type": "application/json"})
        request = Request("POST", URL(url, encoded=True), headers, msgspec.json.encode(body))
        return await self._sender.send(request, read_payment)


def _traced(headers: dict[str, str]) -> dict[str, str]:
    # Not `propagate.inject`: it would send the caller's baggage to a third party, too.
    _TRACE_CONTEXT.inject(headers)
    return headers
