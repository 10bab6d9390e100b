"""Nothing is begun for a request whose time is over, and time is kept to book what was answered."""

from __future__ import annotations

import time

import pytest

from orders.adapters.mongo.connection import connect
from orders.adapters.mongo.orders import probe
from orders.adapters.payment_service.client import HttpPayments
from orders.application.deadline import TO_BOOK_SECONDS, Deadline, within
from orders.application.errors import PaymentUnavailable, StoreUnavailable
from orders.domain.money import Money
from orders.domain.payments import PaymentReport
from tests.support.payments.payment_stub import books, hangs, running


async def pay(payments: HttpPayments) -> PaymentReport:
    amount = Money(1_000, "EUR")
    return await payments.authorize(reference="o:1", amount=amount, method="tok_ok", capture=False)


async def test_the_database_is_not_asked_any_more() -> None:
    database = connect("mongodb://127.0.0.1:1/", database="nowhere", timeout_seconds=30)
    async with database.client:
        with within(Deadline(0)), pytest.raises(StoreUnavailable, match="deadline of the request"):
            await probe(database)


async def test_the_payment_service_is_not_asked_when_its_answer_could_not_be_booked() -> None:
    async with running(books()) as stub, HttpPayments(stub.url) as payments:
        with within(Deadline(TO_BOOK_SECONDS)), pytest.raises(PaymentUnavailable, match="no time"):
            await pay(payments)
        assert not stub.seen
        await pay(payments)
        assert len(stub.seen) == 1


async def test_the_payment_service_gets_no_more_than_what_is_left() -> None:
    async with running(hangs) as stub, HttpPayments(stub.url) as payments:
        deadline, began = Deadline(TO_BOOK_SECONDS + 0.2), time.monotonic()
        with within(deadline), pytest.raises(PaymentUnavailable, match="in time"):
            await pay(payments)
        assert time.monotonic() - began < 4  # of the 8 s that a call may take otherwise
