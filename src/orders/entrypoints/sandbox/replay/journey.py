"""Processes a sale: place, pack, dispatch, capture, deliver.

Each step follows from the order's current state, so an interrupted run continues where it stopped,
and a complete one has nothing to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orders.entrypoints.sandbox.replay.api import (
    MAX_RETRY_SECONDS,
    OrdersApi,
    PlacedOrder,
    RequestRefused,
)
from orders.entrypoints.sandbox.replay.invoices import Invoice
from orders.entrypoints.sandbox.replay.views import Order

CURRENCY: Final = "GBP"
PAYMENT_METHOD: Final = "tok_ok"

_POLL_SECONDS: Final = 0.5


class Unfinished(Exception):
    """The order exists, but cannot be completed now. The message is the reason."""

    def __init__(self, order: Order, reason: str) -> None:
        super().__init__(reason)
        self.order = order


@dataclass(frozen=True, slots=True)
class Step:
    """A command: its path under the order, its body, and the end of its key."""

    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


class Wait:
    """The payment service or the worker has to act first."""


NextStep = Callable[[Order], Step | Wait | None]
"""Returns the next step for an order; None if it is complete."""


async def place(api: OrdersApi, invoice: Invoice) -> PlacedOrder:
    """Place the invoice as an order; return the same order if it was placed before.

    Raises:
        RequestRefused: If the API refuses it.
    """
    return await api.place(_draft(invoice), key=f"replay:{invoice.number}")


async def complete_sale(api: OrdersApi, invoice: Invoice, order: Order) -> Order:
    """Pack, dispatch, capture and deliver the rest of the order.

    Raises:
        Unfinished: If a step is refused or has no effect.
    """
    return await run_steps(api, order, next_step_of_sale, key=f"replay:{invoice.number}")


async def run_steps(api: OrdersApi, order: Order, next_step: NextStep, *, key: str) -> Order:
    """Run one step after the other until there is none; all their keys begin with `key`.

    Raises:
        Unfinished: If a step is refused, or nothing changes for `MAX_RETRY_SECONDS`.
    """
    deadline = time.monotonic() + MAX_RETRY_SECONDS
    while (step := next_step(order)) is not None:
        after = await _take(api, order, step, key)
        if after.version > order.version:
            deadline = time.monotonic() + MAX_RETRY_SECONDS
        elif time.monotonic() > deadline:
            waiting = "the payment service" if isinstance(step, Wait) else step.path
            raise Unfinished(order, f"nothing came of waiting for {waiting}")
        else:
            await asyncio.sleep(_POLL_SECONDS)
        order = after
    return order


async def _take(api: OrdersApi, order: Order, step: Step | Wait, key: str) -> Order:
    if isinstance(step, Wait):
        return await api.read(order.id)
    try:
        response = await api.command(
            order.id, step.path, step.body, key=f"{key}:{step.key or step.path[1:]}"
        )
    except RequestRefused as refused:
        raise Unfinished(order, refused.reason) from refused
    return response.order


def next_step_of_sale(order: Order) -> Step | Wait | None:
    """Return the next step of a sale.

    Raises:
        Unfinished: If it was cancelled, has expired, or was not paid.
    """
    match order.status, order.payment_status:
        case "completed", _:
            return None
        case "confirmed", _:
            return _send(order) or _capture(order) or _deliver(order) or Wait()
        case "pending", "pending":
            return Wait()
        case status, payment_status:
            raise Unfinished(order, f"the order is {status}, its payment {payment_status}")


def _send(order: Order) -> Step | None:
    for shipment in order.shipments:
        if shipment.status == "created":
            return Step(f"/shipments/{shipment.id}/dispatch")
    items = [
        {"line_id": line.id, "quantity": unpacked}
        for line in order.lines
        if line.shippable
        and (unpacked := line.quantity - line.cancelled - line.allocated - line.shipped)
    ]
    if not items:
        return None
    return Step("/shipments", {"items": items}, key=f"shipments/{len(order.shipments) + 1}")


def _capture(order: Order) -> Step | None:
    if not order.totals.outstanding:
        return None
    authorized = (payment for payment in order.payments if payment.authorized)
    return next((Step(f"/payments/{payment.id}/capture") for payment in authorized), None)


def _deliver(order: Order) -> Step | None:
    sent = (shipment for shipment in order.shipments if shipment.status == "dispatched")
    return next((Step(f"/shipments/{shipment.id}/deliver") for shipment in sent), None)


def _draft(invoice: Invoice) -> dict[str, Any]:
    metadata = {"invoice_date": invoice.date, "country": invoice.country}
    draft: dict[str, Any] = {
        "currency": CURRENCY,
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "shippable": line.shippable,
            }
            for line in invoice.lines
        ],
        "external_reference": invoice.number,
        "expected_total": invoice.total,
        "metadata": {name: text for name, text in metadata.items() if text},
    }
    if invoice.customer_id is not None:
        draft["customer_id"] = invoice.customer_id
    if invoice.total:
        draft["payment"] = {"method": PAYMENT_METHOD}
    return draft
