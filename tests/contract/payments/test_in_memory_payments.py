"""The payment service in memory keeps what `PaymentGateway` promises, and can be driven."""

from __future__ import annotations

import pytest

from orders.adapters.contracts.payment_gateway import PaymentGatewayContract
from orders.adapters.contracts.undecided_payments import AMOUNT
from orders.adapters.in_memory import InMemoryPayments
from orders.application.errors import PaymentDeclined, PaymentUnavailable
from orders.domain.payments import ProviderStatus


class TestInMemoryPayments(PaymentGatewayContract):
    @pytest.fixture
    def gateway(self) -> InMemoryPayments:
        return InMemoryPayments()


@pytest.fixture
def payments() -> InMemoryPayments:
    return InMemoryPayments()


async def test_has_the_methods_of_the_sandbox_with_their_codes(payments: InMemoryPayments) -> None:
    with pytest.raises(PaymentDeclined, match="insufficient_funds"):
        await payments.authorize(
            reference="r:1", amount=AMOUNT, method="tok_insufficient_funds", capture=True
        )
    for _ in range(2):
        with pytest.raises(PaymentUnavailable):
            await payments.authorize(
                reference="r:2", amount=AMOUNT, method="tok_flaky", capture=False
            )
    report = await payments.authorize(
        reference="r:2", amount=AMOUNT, method="tok_flaky", capture=False
    )

    assert report.status is ProviderStatus.AUTHORIZED
    assert payments.calls == {"r:1": 1, "r:2": 3}


@pytest.mark.parametrize(("capture", "captured"), [(False, 0), (True, 1999)])
async def test_a_pending_payment_waits_to_be_decided(
    payments: InMemoryPayments, capture: bool, captured: int
) -> None:
    await payments.authorize(reference="r:1", amount=AMOUNT, method="tok_pending", capture=capture)

    told = payments.decide("r:1")

    assert told == await payments.find("r:1")
    assert told.captured == captured


async def test_while_it_is_unavailable_nothing_is_booked(payments: InMemoryPayments) -> None:
    payments.unavailable = True
    for call in (
        payments.authorize(reference="r:1", amount=AMOUNT, method="tok_ok", capture=True),
        payments.capture("pay_1", amount=AMOUNT, reference="r:1:capture:1"),
        payments.void("pay_1", reference="r:1:void"),
        payments.refund("pay_1", amount=AMOUNT, reference="r:refund:1"),
        payments.find("r:1"),
    ):
        with pytest.raises(PaymentUnavailable):
            await call

    payments.unavailable = False
    assert await payments.find("r:1") is None
