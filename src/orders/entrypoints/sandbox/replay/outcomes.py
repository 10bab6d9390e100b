"""What becomes of an invoice: sales are placed and delivered, cancellations return and refund."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orders.entrypoints.sandbox.replay.api import OrdersApi, RequestRefused
from orders.entrypoints.sandbox.replay.cancellations import TakenBack, take_back
from orders.entrypoints.sandbox.replay.invoices import Invoice
from orders.entrypoints.sandbox.replay.journey import Unfinished, bring_to_an_end, place
from orders.entrypoints.sandbox.replay.views import Order

_REUSED: Final = "idempotency-key-reuse"


class OutcomeKind(StrEnum):
    """What became of an invoice, in the words and the order of the report."""

    PLACED = "placed"
    REPLAYED = "replayed"
    REFUSED = "refused"
    RETURNED = "returned and refunded"
    RETURNED_BEFORE = "returned by an earlier run"
    UNMATCHED = "fits no order"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one invoice, why, and the orders that it is about."""

    invoice: str
    fate: OutcomeKind
    reason: str = ""
    orders: tuple[Order, ...] = ()


async def process_sale(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Place an invoice as an order and bring it to its end. May be repeated."""
    try:
        order, replayed = await place(api, invoice)
        order = await bring_to_an_end(api, invoice, order)
    except RequestRefused as refused:
        reason = refused.reason
        if refused.code == _REUSED:
            reason = "an earlier run has placed it with other lines"
        return Outcome(invoice=invoice.number, fate=OutcomeKind.REFUSED, reason=reason)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    fate = OutcomeKind.REPLAYED if replayed else OutcomeKind.PLACED
    return Outcome(invoice=invoice.number, fate=fate, orders=(order,))


async def process_return(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Return and refund what a C invoice takes back. May be repeated."""
    try:
        taken = await take_back(api, invoice)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    reason = "; ".join(taken.unmatched)
    if taken.orders and reason:
        reason = f"in part: {reason}"
    return Outcome(invoice=invoice.number, fate=_fate(taken), reason=reason, orders=taken.orders)


def _fate(taken: TakenBack) -> OutcomeKind:
    if not taken.orders:
        return OutcomeKind.UNMATCHED
    return OutcomeKind.RETURNED_BEFORE if taken.before else OutcomeKind.RETURNED


def _unfinished(invoice: Invoice, unfinished: Unfinished) -> Outcome:
    return Outcome(
        invoice=invoice.number,
        fate=OutcomeKind.UNFINISHED,
        reason=str(unfinished),
        orders=(unfinished.order,),
    )
