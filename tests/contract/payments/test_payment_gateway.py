"""`HttpPayments` keeps the port's promises against the sandbox, on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from orders.adapters.contracts.payment_gateway import PaymentGatewayContract
from orders.adapters.contracts.undecided_payments import AMOUNT
from orders.adapters.payment_service.client import HttpPayments
from orders.adapters.payment_service.resilience import CallLimits, Timing
from orders.application.errors import PaymentDeclined, PaymentRefused, PaymentUnavailable
from orders.entrypoints.sandbox.payment_service.app import create_app
from orders.entrypoints.sandbox.payment_service.scenarios import Pace

CREDENTIAL = "the-order-service"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[str]:
    runner = web.AppRunner(
        create_app(data_dir=tmp_path, credential=CREDENTIAL, pace=Pace(slow=0.05)), access_log=None
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _calls(sandbox: str, key: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox}/ledger") as answer:
        calls: dict[str, int] = (await answer.json())["calls"]
        return calls[key]


class TestHttpPayments(PaymentGatewayContract):
    @pytest.fixture
    async def gateway(self, sandbox: str) -> AsyncIterator[HttpPayments]:
        limits = CallLimits(read_seconds=1.0, total_seconds=6.0)
        timing = Timing(jitter=lambda: 0.01)
        async with HttpPayments(
            sandbox, credential=CREDENTIAL, limits=limits, timing=timing
        ) as payments:
            yield payments


class TestHttpPaymentsThatNeverRepeat(PaymentGatewayContract):
    """So that the unknown outcome reaches the caller, and settling it is the caller's part."""

    @pytest.fixture
    async def gateway(self, sandbox: str) -> AsyncIterator[HttpPayments]:
        limits = CallLimits(read_seconds=1.0, total_seconds=6.0, tries=1)
        async with HttpPayments(sandbox, credential=CREDENTIAL, limits=limits) as payments:
            yield payments

    async def test_an_unanswered_call_is_of_unknown_outcome(
        self, gateway: HttpPayments, reference: str
    ) -> None:
        with pytest.raises(PaymentUnavailable):
            await gateway.authorize(
                reference=reference, amount=AMOUNT, method="tok_timeout_unbooked", capture=True
            )
        assert await gateway.find(reference) is None


async def test_a_flaky_service_is_asked_three_times_and_books_once(sandbox: str) -> None:
    async with HttpPayments(
        sandbox, credential=CREDENTIAL, timing=Timing(jitter=lambda: 0.01)
    ) as payments:
        report = await payments.authorize(
            reference="order:1", amount=AMOUNT, method="tok_flaky", capture=True
        )

    assert report.captured == 1999
    assert await _calls(sandbox, "order:1") == 3


async def test_a_declined_call_is_made_once(sandbox: str) -> None:
    async with HttpPayments(sandbox, credential=CREDENTIAL) as payments:
        with pytest.raises(PaymentDeclined, match="insufficient_funds"):
            await payments.authorize(
                reference="order:1", amount=AMOUNT, method="tok_insufficient_funds", capture=True
            )

    assert await _calls(sandbox, "order:1") == 1


async def test_waits_for_a_slow_answer(sandbox: str) -> None:
    async with HttpPayments(sandbox, credential=CREDENTIAL) as payments:
        report = await payments.authorize(
            reference="order:1", amount=AMOUNT, method="tok_slow", capture=True
        )

    assert report.captured == 1999
    assert await _calls(sandbox, "order:1") == 1


@pytest.mark.parametrize("credential", [None, "someone-else"])
async def test_a_wrong_credential_is_refused(sandbox: str, credential: str | None) -> None:
    async with HttpPayments(sandbox, credential=credential) as payments:
        with pytest.raises(PaymentRefused):
            await payments.authorize(
                reference="order:1", amount=AMOUNT, method="tok_ok", capture=True
            )
