"""What every `PaymentGateway` promises. Subclass it and say how to make yours:

    class TestMyPayments(PaymentGatewayContract):
        @pytest.fixture
        async def gateway(self) -> AsyncIterator[PaymentGateway]: ...

The methods are those of the sandbox; a gateway with other test methods overrides their names.
"""

from __future__ import annotations

import contextlib
from uuid import uuid4

import pytest

from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.application.ports import PaymentGateway
from orders.domain.money import Money
from orders.domain.payments import PaymentReport, ProviderStatus

AMOUNT = Money(1999, "EUR")
PART = Money(700, "EUR")
REST = Money(1299, "EUR")


class PaymentGatewayContract:
    """The suite. Each test pays under a separate reference, so that tests can share a service."""

    ok_method = "tok_ok"
    declined_method = "tok_declined"
    decline_code = "card_declined"
    pending_method = "tok_pending"
    lost_answer_method = "tok_timeout_booked"
    """Books the payment, but the first answer never comes."""
    lost_call_method = "tok_timeout_unbooked"
    """Books nothing at the first call, and does not answer it."""
    refund_fails_method = "tok_refund_fails"
    refund_decline_code = "refund_failed"

    @pytest.fixture
    def gateway(self) -> PaymentGateway:
        """The gateway under test, ready to be called."""
        raise NotImplementedError("override the fixture `gateway`")

    @pytest.fixture
    def reference(self) -> str:
        """A reference as the domain makes them, never used before."""
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

    async def test_captures_at_once_when_asked_to(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        report = await self._captured(gateway, reference)

        assert (report.status, report.captured) == (ProviderStatus.CAPTURED, 1999)

    @pytest.mark.parametrize("currency", ["JPY", "EUR", "BHD", "CLF"])
    async def test_keeps_minor_units_and_currency_as_they_are(
        self, gateway: PaymentGateway, reference: str, currency: str
    ) -> None:
        report = await gateway.authorize(
            reference=reference, amount=Money(1234, currency), method=self.ok_method, capture=True
        )

        assert (report.amount, report.captured) == (Money(1234, currency), 1234)

    async def test_the_same_reference_again_charges_nothing_more(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        first = await self._captured(gateway, reference)
        second = await self._captured(gateway, reference)

        assert second == first
        assert await gateway.find(reference) == first

    async def test_refuses_another_amount_under_the_same_reference(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        first = await self._captured(gateway, reference)

        with pytest.raises(PaymentRefused):
            await gateway.authorize(
                reference=reference, amount=PART, method=self.ok_method, capture=True
            )
        assert await gateway.find(reference) == first

    async def test_a_decline_is_a_final_no_with_its_code(
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

    async def test_refuses_a_method_that_it_does_not_know(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        with pytest.raises(PaymentRefused):
            await gateway.authorize(
                reference=reference, amount=AMOUNT, method="tok_no_such_method", capture=True
            )
        assert await gateway.find(reference) is None

    async def test_finds_nothing_under_a_reference_never_used(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        await self._authorized(gateway, reference)

        assert await gateway.find(f"{uuid4()}:1") is None
        assert await gateway.find(reference[:-1]) is None

    async def test_finds_what_was_booked_without_an_answer(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        await self._unanswered(gateway, reference, self.lost_answer_method)

        found = await gateway.find(reference)
        assert found is not None
        assert (found.status, found.captured) == (ProviderStatus.CAPTURED, 1999)

    @pytest.mark.parametrize("method", ["lost_answer_method", "lost_call_method"])
    async def test_repeating_after_no_answer_charges_once(
        self, gateway: PaymentGateway, reference: str, method: str
    ) -> None:
        name = getattr(self, method)
        await self._unanswered(gateway, reference, name)

        again = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=name, capture=True
        )

        assert (again.status, again.captured) == (ProviderStatus.CAPTURED, 1999)
        assert await gateway.find(reference) == again

    async def test_says_when_the_outcome_is_still_open(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        report = await gateway.authorize(
            reference=reference, amount=AMOUNT, method=self.pending_method, capture=True
        )

        assert (report.status, report.captured) == (ProviderStatus.PENDING, 0)

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

    async def test_voids_what_is_authorized(self, gateway: PaymentGateway, reference: str) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id

        first = await gateway.void(payment, reference=f"{reference}:void")
        again = await gateway.void(payment, reference=f"{reference}:void")

        assert (first.status, first.captured) == (ProviderStatus.VOIDED, 0)
        assert again == first
        with pytest.raises(PaymentRefused):
            await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")

    async def test_voids_only_what_is_not_captured(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._authorized(gateway, reference)).provider_id
        await gateway.capture(payment, amount=PART, reference=f"{reference}:capture:1")

        report = await gateway.void(payment, reference=f"{reference}:void")

        assert (report.status, report.captured) == (ProviderStatus.CAPTURED, 700)
        with pytest.raises(PaymentRefused):
            await gateway.capture(payment, amount=REST, reference=f"{reference}:capture:2")

    async def test_refunds_in_parts_and_each_once(
        self, gateway: PaymentGateway, reference: str
    ) -> None:
        payment = (await self._captured(gateway, reference)).provider_id

        part = await gateway.refund(payment, amount=PART, reference=f"{reference}:refund:1")
        again = await gateway.refund(payment, amount=PART, reference=f"{reference}:refund:1")
        whole = await gateway.refund(payment, amount=REST, reference=f"{reference}:refund:2")

        assert (part.captured, part.refunded) == (1999, 700)
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

    async def test_refuses_to_move_money_of_a_payment_that_is_not_there(
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

    async def _unanswered(self, gateway: PaymentGateway, reference: str, method: str) -> None:
        # A gateway may retry, and so get the response in the end.
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
