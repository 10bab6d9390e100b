"""What every `PaymentGateway` promises. Subclass this suite and provide your adapter:

    class TestMyPayments(PaymentGatewayContract):
        @pytest.fixture
        async def gateway(self) -> AsyncIterator[PaymentGateway]: ...

The payment methods are those of the sandbox. If your gateway has other test methods, override the
attributes that name them.
"""

from __future__ import annotations

import contextlib
from uuid import uuid4

import pytest

from orders.adapters.contracts.undecided_payments import AMOUNT, UndecidedPayments
from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.application.ports import PaymentGateway
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus

PART = Money(700, "EUR")
REST = Money(1299, "EUR")


class PaymentGatewayContract(UndecidedPayments):
    """The suite. Each test pays with its own reference, so all tests can share one service."""

    ok_method = "tok_ok"
    declined_method = "tok_declined"
    decline_code = "card_declined"
    lost_response_method = "tok_timeout_booked"
    """The first call makes the payment, but its response never comes."""
    lost_request_method = "tok_timeout_unbooked"
    """The first call makes no payment and gets no response."""
    refund_fails_method = "tok_refund_fails"
    refund_decline_code = "refund_failed"

    @pytest.fixture
    def gateway(self) -> PaymentGateway:
        """The gateway under test, open."""
        raise NotImplementedError("override the fixture `gateway`")

    @pytest.fixture
    def reference(self) -> str:
        """A new reference in the form of the domain."""
        return f"{uuid4()}:1"

    async def test_authorizes_without_taking_money(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        report = await self._authorized(gateway, reference)

        assert report == PaymentReport(
            provider_id=report.provider_id,
            reference=reference,
            status=ProviderStatus.AUTHORIZED,
            amount=AMOUNT,
            captured=0,
            refunded=0,
            decline_code=None,
        )
        assert report.provider_id

    async def test_captures_at_once_if_requested(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        report = await self._captured(gateway, reference)

        assert (report.status, report.captured) == (ProviderStatus.CAPTURED, 1999)

    @pytest.mark.parametrize("currency", ["JPY", "EUR", "BHD", "CLF"])
    async def test_keeps_minor_units_and_currency(
        self, gateway: PaymentGateway, reference: str, currency: str
    ) -> None:
        report = await gateway.authorize(
            reference=reference, amount=Money(1234, currency), method=self.ok_method, capture=True
        )

        assert (report.amount, report.captured) == (Money(1234, currency), 1234)

    async def test_a_second_call_with_the_same_reference_charges_nothing(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        first = await self._captured(gateway, reference)
        second = await self._captured(gateway, reference)

        assert second == first
        assert await gateway.find(reference) == first

    async def test_refuses_another_amount_for_the_same_reference(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        first = await self._captured(gateway, reference)

        with pytest.raises(PaymentRefused):
            await gateway.authorize(
                reference=reference, amount=PART, method=self.ok_method, capture=True
            )
        assert await gateway.find(reference) == first

    async def test_a_decline_is_final_and_has_a_code(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        for _ in range(2):
            with pytest.raises(PaymentDeclined) as refusal:
                await gateway.authorize(
                    reference=reference, amount=AMOUNT, method=self.declined_method, capture=True
                )
            assert refusal.value.decline_code == self.decline_code

        found = await gateway.find(reference)
        assert found is not None
        assert (found.status, found.captured) == (ProviderStatus.DECLINED, 0)
        assert found.decline_code == self.decline_code

    async def test_refuses_an_unknown_method(self, gateway: PaymentGateway, reference: str) -> None:
        with pytest.raises(PaymentRefused):
            await gateway.authorize(
                reference=reference, amount=AMOUNT, method="tok_no_such_method", capture=True
            )
        assert await gateway.find(reference) is None

    async def test_finds_nothing_for_an_unused_reference(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        await self._authorized(gateway, reference)

        assert await gateway.find(f"{uuid4()}:1") is None
        assert await gateway.find(reference[:-1]) is None

    async def test_finds_a_payment_whose_response_was_lost(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        await self._authorize_without_response(gateway, reference, self.lost_response_method)

        found = await gateway.find(reference)
        assert found is not None
        assert (found.status, found.captured) == (ProviderStatus.CAPTURED, 1999)

    @pytest.mark.parametrize("method", ["lost_response_method", "lost_request_method"])
    async def test_a_retry_after_no_response_charges_once(
        self, gateway: PaymentGateway, reference: str, method: str
    ) -> None:
        name = getattr(self, method)
        await self._authorize_without_response(gateway, reference, name)

        again = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=name, capture=True
        )

        assert (again.status, again.captured) == (ProviderStatus.CAPTURED, 1999)
        assert await gateway.find(reference) == again

    async def test_captures_in_parts(self, gateway: PaymentGateway, reference: str) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id

        part = await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")
        again = await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")
        whole = await gateway.capture(payment, amount=REST, reference=f"{reference}:capture:2")

        assert (part.status, part.captured) == (ProviderStatus.CAPTURED, 700)
        assert again == part
        assert (whole.status, whole.captured) == (ProviderStatus.CAPTURED, 1999)

    async def test_refuses_to_capture_more_than_is_authorized(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id

        with pytest.raises(PaymentRefused):
            await gateway.capture(
                payment, amount=Money(2000, "EUR"), reference=f"{reference}:capture:1"
            )
        await self._expect(gateway, reference, ProviderStatus.AUTHORIZED, captured=0)

    async def test_voids_an_authorization(self, gateway: PaymentGateway, reference: str) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id

        first = await gateway.void(payment, reference=f"{reference}:void")
        again = await gateway.void(payment, reference=f"{reference}:void")

        assert (first.status, first.captured) == (ProviderStatus.VOIDED, 0)
        assert again == first
        with pytest.raises(PaymentRefused):
            await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")

    async def test_voids_only_the_part_that_is_not_captured(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id
        await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")

        report = await gateway.void(payment, reference=f"{reference}:void")

        assert (report.status, report.captured) == (ProviderStatus.CAPTURED, 700)
        with pytest.raises(PaymentRefused):
            await gateway.capture(payment, amount=REST, reference=f"{reference}:capture:2")

    async def test_refunds_in_parts_and_each_part_once(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._captured(gateway, reference)).provider_id

        part = await gateway.refund(payment, amount=PART, reference=f"{reference}:refund:1")
        again = await gateway.refund(payment, amount=PART, reference=f"{reference}:refund:1")
        whole = await gateway.refund(payment, amount=REST, reference=f"{reference}:refund:2")

        assert (part.captured, part.refunded) == (1999, 700)
        # A payment service that lists no refunds is as good.
        assert [(each.reference, each.amount) for each in part.refunds] in (
            [(f"{reference}:refund:1", 700)],
            [],
        )
        assert again == part
        assert (whole.captured, whole.refunded) == (1999, 1999)

    async def test_refuses_to_refund_more_than_is_captured(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._captured(gateway, reference)).provider_id
        await gateway.refund(payment, amount=PART, reference=f"{reference}:refund:1")

        with pytest.raises(PaymentRefused):
            await gateway.refund(
                payment, amount=Money(1300, "EUR"), reference=f"{reference}:refund:2"
            )
        await self._expect(gateway, reference, ProviderStatus.CAPTURED, captured=1999, refunded=700)

    async def test_a_refund_may_be_declined(self, gateway: PaymentGateway, reference: str) -> None:
        report = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.refund_fails_method, capture=True
        )

        with pytest.raises(PaymentDeclined) as refusal:
            await gateway.refund(report.provider_id, amount=PART, reference=f"{reference}:refund:1")

        assert refusal.value.decline_code == self.refund_decline_code
        await self._expect(gateway, reference, ProviderStatus.CAPTURED, captured=1999, refunded=0)

    async def test_refuses_to_move_money_of_an_unknown_payment(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        with pytest.raises(PaymentRefused):
            await gateway.capture("pay_none", amount=PART, reference=f"{reference}:capture:1")
        with pytest.raises(PaymentRefused):
            await gateway.void("pay_none", reference=f"{reference}:void")
        with pytest.raises(PaymentRefused):
            await gateway.refund("pay_none", amount=PART, reference=f"{reference}:refund:1")

    async def _authorized(self, gateway: PaymentGateway, reference: str) -> PaymentReport:
        return await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.ok_method, capture=False
        )

    async def _captured(self, gateway: PaymentGateway, reference: str) -> PaymentReport:
        return await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.ok_method, capture=True
        )

    async def _authorize_without_response(
        self, gateway: PaymentGateway, reference: str, method: str
    ) -> None:
        # A gateway may retry automatically, and so return a report after all.
        with contextlib.suppress(PaymentUnavailable):
            await gateway.authorize(reference=reference, amount=AMOUNT, method=method, capture=True)

    async def _expect(
        self,
        gateway: PaymentGateway,
        reference: str,
        status: ProviderStatus,
        *,
        captured: int,
        refunded: int = 0,
    ) -> None:
        found = await gateway.find(reference)
        assert found is not None
        assert (found.status, found.captured, found.refunded) == (status, captured, refunded)
