"""Members of answers whose values are names, and may become more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from orders.adapters.messages import EVENTS, message_type
from orders.domain.actions import Action
from orders.domain.identifiers import ActorKind
from orders.domain.lifecycle import (
    OrderFulfillmentStatus,
    OrderPaymentStatus,
    OrderReturnStatus,
    OrderStatus,
)
from orders.domain.order.order import CANCEL_REASONS
from orders.domain.order_changes import ChangeStatus
from orders.domain.payments import (
    REDIRECT,
    DisputeStatus,
    ManualMethod,
    PaymentStatus,
    RefundStatus,
    TermsKind,
)
from orders.domain.pricing import Confirmation
from orders.domain.returns import ReturnStatus
from orders.domain.shipments import FAILURE_REASONS, ShipmentStatus
from orders.entrypoints.http.openapi.shapes import Schema, open_value

_EVENT_NAMES: Final = sorted(event.__name__ for event in EVENTS)
_VALUES: Final[Mapping[str, Mapping[str, Iterable[str]]]] = {
    "OrderResponse": {
        "status": OrderStatus,
        "payment_status": OrderPaymentStatus,
        "fulfillment_status": OrderFulfillmentStatus,
        "return_status": OrderReturnStatus,
        "cancel_reason": CANCEL_REASONS,
        "terms": TermsKind,
        "confirmation": Confirmation,
    },
    "PaymentResponse": {"status": PaymentStatus},
    "ManualPaymentResponse": {"method": ManualMethod},
    "NextActionResponse": {"type": [REDIRECT]},
    "RefundResponse": {"status": RefundStatus},
    "DisputeResponse": {"status": DisputeStatus},
    "ShipmentResponse": {"status": ShipmentStatus, "failure_reason": FAILURE_REASONS},
    "ReturnResponse": {"status": ReturnStatus},
    "ChangeResponse": {"status": ChangeStatus, "proposed_by": ActorKind},
    "ActionResponse": {"action": sorted(set(Action) - {Action.EXPIRE})},
    "EventResponse": {"type": _EVENT_NAMES},
    "FeedEvent": {"type": list(map(message_type, _EVENT_NAMES))},
}


_FORMATS: Final[Mapping[str, str]] = {
    "source": "uri-reference",
    "time": "date-time",
    "dataschema": "uri",
}
"""Of members of `FeedEvent`: Litestar reads the types of its members, and not their formats."""


def add_open_values(schemas: Schema) -> None:
    """Name the values of these members."""
    for name, members in _VALUES.items():
        properties = schemas[name]["properties"]
        for member, values in members.items():
            properties[member] = open_value([str(each) for each in values], properties[member])
    for member, form in _FORMATS.items():
        schemas["FeedEvent"]["properties"][member]["format"] = form
