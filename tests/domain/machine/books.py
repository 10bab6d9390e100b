"""I7: what the order says of money is what the payment service has in its books.

The order learns of late. So it is asked what it would say once it has heard the newest report of
each payment: a copy of it hears them.
"""

from __future__ import annotations

from copy import copy
from datetime import timedelta

from orders.domain.order.order import Order
from orders.domain.payments import Payment, PaymentStatus
from tests.domain.machine.payment_model import Account, PaymentModel


def check(order: Order, model: PaymentModel) -> None:
    """Compare every payment that nobody has contradicted."""
    heard = copy(order)
    now = order.state.updated_at + timedelta(milliseconds=1)
    for account in model.accounts.values():
        heard.record_payment_report(account.report, account.payment_id, now=now)
    for payment in heard.state.ledger.payments:
        if payment.status is PaymentStatus.REVIEW or payment.id in model.contradicted:
            continue
        if payment.id in model.accounts:
            _compare(payment, model.accounts[payment.id])
        else:
            assert payment.net_captured == payment.captured == 0, "money that nobody moved"
            assert not payment.capturable_amount, "held by nobody"


def _compare(payment: Payment, account: Account) -> None:
    there = account.report.captured, account.report.refunded, account.charged_back
    here = payment.captured, payment.refunded, payment.charged_back
    assert here == there, f"captured, refunded, charged back: {there} there, {here} here"
    held = {account.held}
    if account.released and account.report.captured:
        # No report says that the rest was released: the answer to the void may be under way.
        held.add(account.amount - account.report.captured)
    assert payment.capturable_amount in held, "held"
