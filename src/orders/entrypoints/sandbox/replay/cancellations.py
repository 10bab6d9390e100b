"""Processes a C invoice: find the units in earlier orders, return them, refund them.

A line matches a line of an earlier order of the same customer with the same SKU and unit price,
as long as that has units left to return; the newest earlier order comes first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from orders.entrypoints.sandbox.replay.api import OrdersApi
from orders.entrypoints.sandbox.replay.invoices import Invoice
from orders.entrypoints.sandbox.replay.journey import (
    CURRENCY,
    NextStep,
    Step,
    Unfinished,
    Wait,
    run_steps,
)
from orders.entrypoints.sandbox.replay.views import Order, Return

_AWAITED: Final = frozenset({"requested", "approved"})
_VOID: Final = frozenset({"declined"})

Article = tuple[str, int]
"""A SKU and its unit price in pence."""


@dataclass(frozen=True, slots=True)
class ReturnResult:
    """The result of a C invoice. `before` if an earlier run had done everything.

    `unmatched` holds the reasons why lines match no order, `orders` the orders that were used.
    """

    orders: tuple[Order, ...]
    before: bool
    unmatched: tuple[str, ...]


async def return_and_refund(api: OrdersApi, invoice: Invoice) -> ReturnResult:
    """Return and refund what earlier orders of the customer hold of the invoice.

    Must not run for two invoices of one customer at once: both would take the same units.

    Raises:
        Unfinished: If a return cannot be brought to its end now.
    """
    known = [] if invoice.customer_id is None else await api.of_customer(invoice.customer_id)
    reason = return_reason(invoice.number)
    begun: dict[str, dict[str, int]] = {o.id: {} for o in known if _return_for(o, reason)}
    left = _wanted(invoice) - _returned_before(known, reason)
    others = [order for order in known if order.id not in begun]
    found, missing = match(left, invoice.date, others)
    plans = begun | found
    touched = []
    before = True
    for order in known:
        if order.id in plans:
            steps = _steps_of_return(reason, plans[order.id])
            after = await run_steps(api, order, steps, key=f"replay:{invoice.number}:{order.id}")
            before = before and after.version == order.version
            touched.append(after)
    return ReturnResult(tuple(touched), before, _reasons(invoice, missing))


def match(
    wanted: Counter[Article], date: str, orders: Iterable[Order]
) -> tuple[dict[str, dict[str, int]], Counter[Article]]:
    """Return the units to return by order id and line id, and the units that no order has.

    `date` is the cancellation's. Orders that no replay placed have no invoice date, so they may be
    later ones: they are not used.
    """
    left = Counter(wanted)
    plans: dict[str, dict[str, int]] = {}
    for order in sorted(orders, key=_invoice_date, reverse=True):
        if not "" < _invoice_date(order) <= date or order.currency != CURRENCY:
            continue
        for line in order.lines:
            article = line.sku, line.unit_price
            awaited = sum(
                item.quantity
                for each in order.returns
                if each.status in _AWAITED
                for item in each.items
                if item.line_id == line.id
            )
            units = min(left[article], line.delivered - line.returned - awaited)
            if units > 0:
                left[article] -= units
                plans.setdefault(order.id, {})[line.id] = units
    return plans, +left


def return_reason(invoice_number: str) -> str:
    """Return the reason by which a later run finds the returns of this invoice."""
    return f"invoice-{re.sub(r'[^a-z0-9_-]', '-', invoice_number.lower())}"[:64]


def _wanted(invoice: Invoice) -> Counter[Article]:
    wanted: Counter[Article] = Counter()
    for line in invoice.lines:
        wanted[line.sku, line.unit_price] += line.quantity
    return wanted


def _returned_before(orders: Iterable[Order], reason: str) -> Counter[Article]:
    returned: Counter[Article] = Counter()
    for order in orders:
        articles = {line.id: (line.sku, line.unit_price) for line in order.lines}
        a_return = _return_for(order, reason)
        for item in a_return.items if a_return else ():
            returned[articles[item.line_id]] += item.quantity
    return returned


def _return_for(order: Order, reason: str) -> Return | None:
    found = (each for each in order.returns if each.reason == reason)
    return next((each for each in found if each.status not in _VOID), None)


def _invoice_date(order: Order) -> str:
    return order.metadata.get("invoice_date", "")


def _steps_of_return(reason: str, items: dict[str, int]) -> NextStep:
    def next_step(order: Order) -> Step | Wait | None:
        a_return = _return_for(order, reason)
        if a_return is None:
            goods = [{"line_id": line_id, "quantity": units} for line_id, units in items.items()]
            return Step("/returns", {"items": goods, "reason": reason})
        path = f"/returns/{a_return.id}"
        match a_return.status:
            case "requested":
                return Step(f"{path}/approve")
            case "approved":
                return Step(f"{path}/receive")
            case "received" if order.totals.refund_due:
                return Step("/refunds", {"reason": reason})
            case "received" if order.totals.pending_refunds:
                return Wait()
            case "received":
                return Step(f"{path}/close")
            case "closed":
                return None
            case status:
                raise Unfinished(order, f"the return is {status}")

    return next_step


def _reasons(invoice: Invoice, missing: Counter[Article]) -> tuple[str, ...]:
    """Return why lines match no order, each reason once."""
    wanted = _wanted(invoice)
    services = {line.sku for line in invoice.lines if not line.shippable}
    reasons: list[str] = []
    for article, units in missing.items():
        if invoice.customer_id is None:
            reasons.append("no customer, so no order to look in")
        elif article[0] in services:
            reasons.append("a fee or discount: nothing that could be sent back")
        elif units < wanted[article]:
            reasons.append("the customer's earlier orders have fewer units")
        else:
            reasons.append("no earlier order of the customer has it at this price")
    return tuple(dict.fromkeys(reasons))
