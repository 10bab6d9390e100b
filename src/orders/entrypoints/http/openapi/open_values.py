"""Members of answers whose values are names, and may become more.

An `enum` would make generated clients fail at a new value. So these are texts, with the values that
this version knows as `x-extensible-enum`, which generators leave alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from orders.adapters.messages import EVENTS
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.order.order import CANCEL_REASONS
from orders.domain.order_changes import ChangeStatus
from orders.domain.payments import PaymentStatus, RefundStatus
from orders.domain.returns import ReturnStatus
from orders.domain.shipments import ShipmentStatus
from orders.entrypoints.http.openapi.shapes import GROWS, Schema
from orders.entrypoints.http.openapi.texts import COMMANDS

_VALUES: Final[Mapping[str, Mapping[str, Iterable[str]]]] = {
    "OrderResponse": {
        "status": OrderStatus,
        "payment_status": OrderPaymentStatus,
        "fulfillment_status": OrderFulfillmentStatus,
        "return_status": OrderReturnStatus,
        "cancel_reason": CANCEL_REASONS,
    },
    "PaymentResponse": {"status": PaymentStatus},
    "RefundResponse": {"status": RefundStatus},
    "ShipmentResponse": {"status": ShipmentStatus},
    "ReturnResponse": {"status": ReturnStatus},
    "ChangeResponse": {"status": ChangeStatus},
    "ActionResponse": {"action": sorted({*COMMANDS, "edit"})},
    "EventResponse": {"type": sorted(event.__name__ for event in EVENTS)},
}


def add_open_values(schemas: Schema) -> None:
    """Name the values of these members."""
    for name, members in _VALUES.items():
        for member, values in members.items():
            known = [str(value) for value in values]
            schemas[name]["properties"][member] |= {
                "description": f"One of {', '.join(known)}. {GROWS}",
                "x-extensible-enum": known,
            }
