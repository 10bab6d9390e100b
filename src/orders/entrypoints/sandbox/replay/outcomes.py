"""The outcome of an invoice: sales are placed and delivered, cancellations return and refund."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orders.entrypoints.sandbox.replay.api import OrdersApi, RequestRefused
from orders.entrypoints.sandbox.replay.cancellations import ReturnResult, return_and_refund
from orders.entrypoints.sandbox.replay.invoices import Invoice
from orders.entrypoints.sandbox.replay.journey import Unfinished, complete_sale, place
from orders.entrypoints.sandbox.replay.views import Order

_REUSED: Final = "idempotency-key-reuse"


class OutcomeKind(StrEnum):
    """The outcome of an invoice, in the words and the order of the report."""

    PLACED = "placed"
    REPLAYED = "replayed"
    REFUSED = "refused"
    RETURNED = "returned and refunded"
    RETURNED_BEFORE = "returned by an earlier run"
    UNMATCHED = "fits no order"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one invoice, its reason, and its orders."""

    invoice: str
    kind: OutcomeKind
    reason: str = ""
    orders: tuple[Order, ...] = ()


async def process_sale(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Place an invoice as an order and complete it. May be repeated."""
    try:
        order, replayed = await place(api, invoice)
        order = await complete_sale(api, invoice, order)
    except RequestRefused as refused:
        reason = refused.reason
        if refused.code == _REUSED:
            reason = "an earlier run has placed it with other lines"
        return Outcome(invoice=invoice.number, kind=OutcomeKind.REFUSED, reason=reason)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    kind = OutcomeKind.REPLAYED if replayed else OutcomeKind.PLACED
    return Outcome(invoice=invoice.number, kind=kind, orders=(order,))


async def process_return(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Return and refund the units of a C invoice. May be repeated."""
    try:
        taken = await return_and_refund(api, invoice)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    reason = "; ".join(taken.unmatched)
    if taken.orders and reason:
        reason = f"in part: {reason}"
    return Outcome(invoice=invoice.number, kind=_kind_of(taken), reason=reason, orders=taken.orders)


def _kind_of(taken: ReturnResult) -> OutcomeKind:
    if not taken.orders:
        return OutcomeKind.UNMATCHED
    return OutcomeKind.RETURNED_BEFORE if taken.before else OutcomeKind.RETURNED


def _unfinished(invoice: Invoice, unfinished: Unfinished) -> Outcome:
    return Outcome(
        invoice=invoice.number,
        kind=OutcomeKind.UNFINISHED,
        reason=str(unfinished),
        orders=(unfinished.order,),
    )
