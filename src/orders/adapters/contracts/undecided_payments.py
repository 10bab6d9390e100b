"""The part of `PaymentGatewayContract` about payments that are not decided at once."""

from __future__ import annotations

import pytest

from orders.application.ports import PaymentGateway
from orders.domain.money import Money
from orders.domain.payments import ProviderStatus

AMOUNT = Money(1999, "EUR")


class UndecidedPayments:
    """They are reported, say what the payer has to do, and can be voided."""

    pending_method = "tok_pending"
    asking_method: str | None = "tok_requires_action"
    """The payer has to open an address before the payment is decided; None if none asks that."""

    async def test_reports_a_pending_payment(self, gateway: PaymentGateway, reference: str) -> None:
        report = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.pending_method, capture=True
        )

        assert (report.status, report.captured) == (ProviderStatus.PENDING, 0)

    async def test_reports_what_the_payer_has_to_do(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        if self.asking_method is None:
            pytest.skip("this gateway has no payment method that asks the payer for something")
        report = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.asking_method, capture=True
        )

        assert (report.status, report.captured) == (ProviderStatus.REQUIRES_ACTION, 0)
        assert report.next_action is not None
        assert report.next_action.url.startswith("https://")

    async def test_voids_a_payment_that_is_not_decided(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        method = self.asking_method or self.pending_method
        report = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=method, capture=True
        )

        voided = await gateway.void(report.provider_id, reference=f"{reference}:void:1")

        assert (voided.status, voided.captured) == (ProviderStatus.VOIDED, 0)
        assert voided.next_action is None
