"""What pays for an order, and whether its time to pay ends it."""

from __future__ import annotations

from collections.abc import Sequence

from orders.domain.payments import IN_FLIGHT, Ledger, Payment, PaymentTerms
from orders.domain.pricing import Totals


def covered_amount(ledger: Ledger, totals: Totals) -> int:
    """What pays for the order: captured, or authorised without a pending void."""
    return totals.authorized - ledger.amount_being_voided + totals.net


def is_covered(ledger: Ledger, totals: Totals, terms: PaymentTerms | None) -> bool:
    """Whether the order may be confirmed and shipped: payments cover it, or it has terms."""
    return terms is not None or covered_amount(ledger, totals) >= totals.due


def time_acts(ledger: Ledger, totals: Totals, terms: PaymentTerms | None) -> bool:
    """Whether a pending order, when its time to pay is over, expires or has payments to void.

    Not if it is paid: staff decide then. A void that was refused is not tried again.
    """
    may_come = any(p.capturable_amount or p.status in IN_FLIGHT for p in ledger.payments)
    return is_unpaid(ledger, totals, terms) and (
        not may_come or any(payments_to_void_before_expiry(ledger))
    )


def is_unpaid(ledger: Ledger, totals: Totals, terms: PaymentTerms | None) -> bool:
    """Whether nothing is captured or being captured, and neither terms nor authorised money cover
    it.
    """
    return not (totals.net > 0 or ledger.pending_captures() or is_covered(ledger, totals, terms))


def payments_to_void_before_expiry(ledger: Ledger) -> Sequence[Payment]:
    """Payments to void before an order can expire; each is voided once."""
    return [payment for payment in ledger.payments_to_void if not payment.voids]
