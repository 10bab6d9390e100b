"""What becomes of an invoice: sales are placed and delivered, cancellations return and refund."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orders.entrypoints.sandbox.replay.api import OrdersApi, Refused
from orders.entrypoints.sandbox.replay.cancellations import TakenBack, take_back
from orders.entrypoints.sandbox.replay.invoices import Invoice
from orders.entrypoints.sandbox.replay.journey import Unfinished, bring_to_an_end, place
from orders.entrypoints.sandbox.replay.views import Order

_REUSED: Final = "idempotency-key-reuse"


class Fate(StrEnum):
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
    fate: Fate
    reason: str = ""
    orders: tuple[Order, ...] = ()


async def sell(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Place an invoice as an order and bring it to its end. May be repeated."""
    try:
        order, replayed = await place(api, invoice)
        order = await bring_to_an_end(api, invoice, order)
    except Refused as refused:
        reason = refused.reason
        if refused.code == _REUSED:
            reason = "an earlier run has placed it with other lines"
        return Outcome(invoice=invoice.number, fate=Fate.REFUSED, reason=reason)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    fate = Fate.REPLAYED if replayed else Fate.PLACED
    return Outcome(invoice=invoice.number, fate=fate, orders=(order,))


async def give_back(api: OrdersApi, invoice: Invoice) -> Outcome:
    """Return and refund what a C invoice takes back. May be repeated."""
    try:
        taken = await take_back(api, invoice)
    except Unfinished as unfinished:
        return _unfinished(invoice, unfinished)
    reason = "; ".join(taken.unmatched)
    if taken.orders and reason:
        reason = f"in part: {reason}"
    return Outcome(invoice=invoice.number, fate=_fate(taken), reason=reason, orders=taken.orders)


def _fate(taken: TakenBack) -> Fate:
    if not taken.orders:
        return Fate.UNMATCHED
    return Fate.RETURNED_BEFORE if taken.before else Fate.RETURNED


def _unfinished(invoice: Invoice, unfinished: Unfinished) -> Outcome:
    return Outcome(
        invoice=invoice.number,
        fate=Fate.UNFINISHED,
        reason=str(unfinished),
        orders=(unfinished.order,),
    )
