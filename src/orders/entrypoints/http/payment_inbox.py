"""Messages of the payment service: proven genuine, then booked."""

from __future__ import annotations

from collections.abc import Mapping

from orders.adapters.payments_http.webhooks import PaymentEventType, WebhookVerifier
from orders.application.book_payment_event import BookPaymentEvent
from orders.application.ports import Clock


class PaymentInbox:
    """Takes what the payment service sends by itself."""

    def __init__(self, verifier: WebhookVerifier, book: BookPaymentEvent, now: Clock) -> None:
        self._verifier = verifier
        self._book = book
        self._now = now

    async def receive(self, headers: Mapping[str, str], body: bytes) -> None:
        """Store what a message says. Twice is once; about none of our payments is nothing.

        Raises:
            InvalidWebhook: If it is not signed by the payment service, or not readable.
        """
        event = self._verifier.verify(headers, body, self._now())
        charged_back = event.type is PaymentEventType.CHARGED_BACK
        await self._book(event.payment, charged_back=charged_back)
