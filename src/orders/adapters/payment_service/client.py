"""`PaymentGateway` over HTTP: each call is a request of the service's published contract."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

import msgspec
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from yarl import URL

from orders.adapters.http_client import DIRECT, HttpRoute
from orders.adapters.payment_service.http_call import Request
from orders.adapters.payment_service.resilience import CallLimits, ResilientClient, Timing
from orders.adapters.payment_service.schema import read_payment, read_payments
from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.domain.money import Money
from orders.domain.payments import PaymentReport

_TRACE_CONTEXT = TraceContextTextMapPropagator()


class HttpPayments:
    """`PaymentGateway` over HTTP. Open it in the event loop that uses it, and close it there.

    Every call sends its `reference` as the Idempotency-Key, and every retry the same one. The
    service gets our credential and the trace context, nothing else of the user's request.
    """

    def __init__(
        self,
        url: str,
        *,
        credential: str | None = None,
        route: HttpRoute = DIRECT,
        limits: CallLimits | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Take the address of the service, without `/v1`, and our credential there."""
        self._payments = url.rstrip("/") + "/v1/payments"
        self._headers = {"Accept-Encoding": "identity"}
        if credential is not None:
            self._headers["Authorization"] = f"Bearer {credential}"
        self._route = route
        self._client = ResilientClient(limits or CallLimits(), timing or Timing())

    @property
    def breaker_state(self) -> str:
        """Closed, half-open or open."""
        return self._client.breaker_state

    async def open(self) -> None:
        """Make the HTTP session. The first call connects."""
        await self._client.open(self._route)

    async def close(self) -> None:
        """Close all connections. Closing twice does nothing."""
        await self._client.close()

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
        """Authorise a payment, and capture it at once if `capture` is true.

        Raises:
            PaymentDeclined: The payer's bank declined. Final.
            PaymentRefused: The service refused the request. Final; it changed nothing.
            PaymentUnavailable: The outcome is unknown. Retry with the same reference.
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
        """Capture some or all of the authorised amount. Raises as `authorize` does."""
        return await self._move(provider_id, "captures", {"amount": amount.minor}, reference)

    async def void(self, provider_id: str, *, reference: str) -> PaymentReport:
        """Release the authorised amount that is not captured. Raises as `authorize` does."""
        return await self._move(provider_id, "voids", {}, reference)

    async def refund(self, provider_id: str, *, amount: Money, reference: str) -> PaymentReport:
        """Refund some or all of the captured amount. Raises as `authorize` does."""
        return await self._move(provider_id, "refunds", {"amount": amount.minor}, reference)

    async def find(self, reference: str) -> PaymentReport | None:
        """The payment with a reference; None if the service has none.

        Raises:
            PaymentUnavailable: There is no valid response, or the service refused the look-up.
                Neither says anything about the payment. May be repeated.
        """
        url = URL(f"{self._payments}?reference={quote(reference, safe='')}", encoded=True)
        request = Request("GET", url, _with_trace_context({**self._headers}))
        try:
            return await self._client.send(request, lambda body: read_payments(body).get(reference))
        except (PaymentDeclined, PaymentRefused) as error:
            raise PaymentUnavailable("the payment service refused the look-up") from error

    async def _move(
        self, provider_id: str, kind: str, body: Mapping[str, object], reference: str
    ) -> PaymentReport:
        url = f"{self._payments}/{quote(provider_id, safe='')}/{kind}"
        return await self._post(url, {**body, "reference": reference}, key=reference)

    async def _post(self, url: str, body: Mapping[str, object], *, key: str) -> PaymentReport:
        own = {"Idempotency-Key": key, "Content-Type": "application/json"}
        headers = _with_trace_context(self._headers | own)
        request = Request("POST", URL(url, encoded=True), headers, msgspec.json.encode(body))
        return await self._client.send(request, read_payment)


def _with_trace_context(headers: dict[str, str]) -> dict[str, str]:
    # `propagate.inject` would send the caller's baggage to a third party as well.
    _TRACE_CONTEXT.inject(headers)
    return headers
