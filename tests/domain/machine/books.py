"""I7: what the order says of money is what the payment service has in its books,
and what finance has in its journal.

The order learns of late. So it is asked what it would say once it has heard the newest report of
each payment: a copy of it hears them.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from orders.domain.order.order import Order
from orders.domain.payments import Payment, PaymentStatus
from tests.domain.machine.payment_model import Account, News, PaymentModel


@dataclass
class Journal:
    """What finance wrote down of money that does not go through the payment service."""

    received: int = 0
    paid_out: int = 0


def check(order: Order, model: PaymentModel, journal: Journal) -> None:
    """Compare every payment that nobody has contradicted, and the journal."""
    heard = copy(order)
    for account in model.accounts.values():
        News(account.payment_id, account.report).tell(heard)
    for news in model.news:
        if news.charged_back:
            news.tell(heard)
    payments = heard.state.ledger.payments
    received = sum(payment.captured for payment in payments if payment.manual)
    paid_out = sum(payment.refunded_elsewhere for payment in payments)
    assert (received, paid_out) == (journal.received, journal.paid_out), "the journal"
    for payment in payments:
        if payment.status is PaymentStatus.REVIEW or payment.id in model.contradicted:
            continue
        if payment.id in model.accounts:
            _compare(payment, model.accounts[payment.id])
        elif not payment.manual:
            assert payment.net_captured == payment.captured == 0, "money that nobody moved"
            assert not payment.capturable_amount, "held by nobody"


def _compare(payment: Payment, account: Account) -> None:
    assert not payment.manual, "a manual payment at the payment service"
    there = account.report.captured, account.report.refunded, account.charged_back
    here = payment.captured, payment.refunded, payment.charged_back
    assert here == there, f"captured, refunded, charged back: {there} there, {here} here"
    held = {account.held}
    if account.released and account.report.captured:
        # No report says that the rest was released: the answer to the void may be under way.
        held.add(account.amount - account.report.captured)
    assert payment.capturable_amount in held, "held"
